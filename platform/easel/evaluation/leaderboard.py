"""All model versions of a project by strength: Davidson's model on every blind vote between two of them (`votes`)."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from uuid import UUID

from easel.accounts.models import User
from easel.evaluation.votes import votes_of
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

    votes = votes_of(project, kind)
    ids = sorted({model for one in votes for model in (one.a, one.b)})
    if not ids:
        return Board([], 0, 0, connected=True)
    index = {pk: number for number, pk in enumerate(ids)}
    found = fit_clustered(
        len(ids),
        [index[one.a] for one in votes],
        [index[one.b] for one in votes],
        [one.score for one in votes],
        [one.prompt for one in votes],
        weights=[one.weight for one in votes],
    )
    models = ModelVersion.objects.in_bulk(ids)
    counts: dict[UUID, list[int]] = {pk: [0, 0, 0] for pk in ids}
    for one in votes:
        counts[one.a][{1.0: 0, 0.5: 1, 0.0: 2}[one.score]] += 1
        counts[one.b][{1.0: 2, 0.5: 1, 0.0: 0}[one.score]] += 1
    rows = [
        Row(models[pk], rank, found.log_worths[n], found.low[n], found.high[n], *counts[pk])
        for n, (pk, rank) in enumerate(zip(ids, ranks(found.low, found.high), strict=True))
    ]
    rows.sort(key=lambda row: (row.rank, -row.strength))
    return Board(rows, len(votes), len({one.prompt for one in votes}), connected=found.connected)
