"""All model versions of a project by strength: Davidson's model on every blind vote between two of them.

A vote counts where images of different models stood side by side under the same prompt and seed: in evaluations, and in
comparisons that people asked for. Rankings of one model's own images say nothing about models. Votes of people and of
simulated annotators never share a board.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import exp
from uuid import UUID

from easel.accounts.models import User
from easel.annotation.models import Annotation, Assignment, Item
from easel.evaluation.results import score_of
from easel.projects.models import Project
from easel.registry.models import ModelVersion

PAGE = 2_000


@dataclass(frozen=True)
class Row:
    """A model on the board."""

    model: ModelVersion
    rank: int
    """1 plus how many models are surely stronger; equal where the intervals overlap."""
    strength: float
    """Log worth, counted from the mean of all: two models with a difference of 1 win about 73 to 27 without ties."""
    low: float
    high: float
    won: int
    tied: int
    lost: int

    @property
    def votes(self) -> int:
        """Votes that it took part in."""
        return self.won + self.tied + self.lost

    @property
    def against_mean(self) -> float:
        """How often it would beat a model of mean strength, ties left aside."""
        return 1 / (1 + exp(-self.strength))


@dataclass(frozen=True)
class Board:
    """A leaderboard."""

    rows: list[Row]
    votes: int
    prompts: int
    connected: bool
    """Whether votes say how each two compare, if only by way of others."""


def board_of(project: Project, kind: str = User.Kind.HUMAN) -> Board:
    """Return the board of what people, or simulated annotators, voted in a project."""
    from easel.preferences.davidson import fit_clustered
    from easel.preferences.intervals import ranks

    votes = list(_votes(project, kind))
    ids = sorted({model for one in votes for model in one[:2]})
    if not ids:
        return Board([], 0, 0, connected=True)
    index = {pk: number for number, pk in enumerate(ids)}
    scores = [score for *_, score, _ in votes]
    prompts = [prompt for *_, prompt in votes]
    found = fit_clustered(len(ids), [index[a] for a, *_ in votes], [index[b] for _, b, *_ in votes], scores, prompts)
    models = ModelVersion.objects.in_bulk(ids)
    counts: dict[UUID, list[int]] = {pk: [0, 0, 0] for pk in ids}
    for a, b, score, _ in votes:
        counts[a][{1.0: 0, 0.5: 1, 0.0: 2}[score]] += 1
        counts[b][{1.0: 2, 0.5: 1, 0.0: 0}[score]] += 1
    rows = [
        Row(models[pk], rank, found.log_worths[n], found.low[n], found.high[n], *counts[pk])
        for n, (pk, rank) in enumerate(zip(ids, ranks(found.low, found.high), strict=True))
    ]
    rows.sort(key=lambda row: (row.rank, -row.strength))
    return Board(rows, len(votes), len(set(prompts)), connected=found.connected)


def _votes(project: Project, kind: str) -> Iterator[tuple[UUID, UUID, float, UUID]]:
    """Yield (a, b, score of a, prompt) of every two models that an answer compares."""
    compared = Item.objects.to_rank().filter(project=project, request__compared__isnull=False)
    rows = (
        Annotation.objects.filter(item__in=compared, annotator__kind=kind, assignment__state=Assignment.State.SUBMITTED)
        .order_by("id")
        .values_list("item", "item__prompt", "ranking", "all_bad", "ties_are_equal")
    )
    models: dict[UUID, dict[str, UUID]] = {}
    links = Item.candidates.through.objects.filter(item__in=compared)
    for item, candidate, model in links.values_list("item", "candidate", "candidate__model").iterator(PAGE):
        models.setdefault(item, {})[str(candidate)] = model
    for item, prompt, ranking, all_bad, equal in rows.iterator(PAGE):
        for one, other in combinations(sorted(models.get(item, {})), 2):
            a, b = models[item][one], models[item][other]
            score = score_of(ranking, other, one, all_bad=all_bad, ties_are_equal=equal)
            if score is not None and a != b:
                yield a, b, score, prompt
