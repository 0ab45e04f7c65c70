"""All model versions of a project by strength: Davidson's model on every blind vote between two of them (`votes`).

Where votes were asked for because of what they tell (`selecting`), the fit takes them as they are: which were asked for
hangs on earlier votes alone, so the likelihood is the same, and strengths are right where Davidson's model is. A second
fit, with weights, is beside it for where it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from uuid import UUID

from easel.accounts.models import User
from easel.evaluation.votes import ModelVote, votes_of
from easel.projects.models import Project
from easel.registry.models import ModelVersion


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
    weighed: float | None
    """The strength with each vote weighed by how unlikely its draw was; None where all draws were alike."""
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

    @property
    def selected(self) -> bool:
        """Whether some of the votes were asked for because of what they tell."""
        return any(row.weighed is not None for row in self.rows)


def board_of(project: Project, kind: str = User.Kind.HUMAN) -> Board:
    """Return the board of what people, or simulated annotators, voted in a project."""
    from easel.preferences.comparisons import Comparisons
    from easel.preferences.davidson import fit, fit_clustered
    from easel.preferences.intervals import ranks

    votes = votes_of(project, kind)
    ids = sorted({model for one in votes for model in (one.a, one.b)})
    if not ids:
        return Board([], 0, 0, connected=True)
    index = {pk: number for number, pk in enumerate(ids)}
    a, b = [index[one.a] for one in votes], [index[one.b] for one in votes]
    scores, own = [one.score for one in votes], [one.weight for one in votes]
    found = fit_clustered(len(ids), a, b, scores, [one.prompt for one in votes], weights=own)
    inverse = inverse_probabilities(votes)
    weighed: Sequence[float | None] = [None] * len(ids)
    if inverse is not None:
        both = [weight * more for weight, more in zip(own, inverse, strict=True)]
        weighed = fit(Comparisons.of_votes(len(ids), a, b, scores, both)).log_worths
    models = ModelVersion.objects.in_bulk(ids)
    counts: dict[UUID, list[int]] = {pk: [0, 0, 0] for pk in ids}
    for one in votes:
        counts[one.a][{1.0: 0, 0.5: 1, 0.0: 2}[one.score]] += 1
        counts[one.b][{1.0: 2, 0.5: 1, 0.0: 0}[one.score]] += 1
    rows = [
        Row(models[pk], rank, found.log_worths[n], found.low[n], found.high[n], weighed[n], *counts[pk])
        for n, (pk, rank) in enumerate(zip(ids, ranks(found.low, found.high), strict=True))
    ]
    rows.sort(key=lambda row: (row.rank, -row.strength))
    return Board(rows, len(votes), len({one.prompt for one in votes}), connected=found.connected)


def inverse_probabilities(votes: Sequence[ModelVote]) -> list[float] | None:
    """Return what each vote weighs by how unlikely its draw was, 1 on average; None where all draws were alike.

    With these weights, strengths are those that uniform draws end in, also where strengths alone do not tell who beats
    whom (Horvitz and Thompson 1952). Without, they are exacter and the order is, but closer models are asked more, and
    what holds for them counts more: docs/explanation/labels-saved.md. What was not drawn by chance weighs 1.
    """
    drawn = [1 / one.drawn for one in votes if one.drawn]
    if not drawn:
        return None
    mean = sum(drawn) / len(drawn)
    return [1 / one.drawn / mean if one.drawn else 1.0 for one in votes]
