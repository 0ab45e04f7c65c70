"""Who was compared with whom, how often, and who won: what the models of this folder are fitted to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from easel.preferences.newton import Array


@dataclass(frozen=True)
class Comparisons:
    """The summed weights of the votes between n things, both (n, n).

    wins[i, j]: of those for i over j. ties[i, j] = ties[j, i]: of those for neither.
    """

    wins: Array
    ties: Array

    @classmethod
    def of_votes(
        cls,
        things: int,
        first: npt.ArrayLike,
        second: npt.ArrayLike,
        scores: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
    ) -> Comparisons:
        """Count votes. `first`, `second`: indexes of things; `scores`: 1 the first won, 0 the second, 0.5 a tie.

        Raises ValueError for other scores, for a thing that does not exist and for one against itself.
        """
        a, b = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)
        score = np.asarray(scores, dtype=float)
        weight = np.ones(len(score)) if weights is None else np.asarray(weights, dtype=float)
        if not len(a) == len(b) == len(score) == len(weight):
            raise ValueError("votes need as many first things as second ones, scores and weights")
        if not np.isin(score, (0, 0.5, 1)).all():
            raise ValueError("a vote scores 1 (the first won), 0 (the second won) or 0.5 (a tie)")
        if len(a) and (min(a.min(), b.min()) < 0 or max(a.max(), b.max()) >= things or (a == b).any()):
            raise ValueError(f"a vote names two different things of 0 to {things - 1}")
        if not (np.isfinite(weight) & (weight >= 0)).all():
            raise ValueError("the weight of a vote is a number of 0 or more")

        def summed(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], of: Array) -> Array:
            counted = np.bincount(rows * things + columns, weights=of, minlength=things**2)
            return np.asarray(counted, dtype=float).reshape(things, things)

        ties = summed(a, b, weight * (score == 0.5))
        return cls(wins=summed(a, b, weight * (score == 1)) + summed(b, a, weight * (score == 0)), ties=ties + ties.T)

    @classmethod
    def of_rankings(
        cls, things: int, rankings: Iterable[Sequence[Sequence[int]]], weights: Iterable[float] | None = None
    ) -> Comparisons:
        """Count each two things of each ranking (groups, best first; ties share a group) as one vote."""
        first, second, scores, weight = [], [], [], []
        of = iter(weights) if weights is not None else None
        for ranking in rankings:
            counts = 1.0 if of is None else next(of)
            placed = [(thing, place) for place, group in enumerate(ranking) for thing in group]
            for (a, at), (b, other) in combinations(placed, 2):
                first.append(a)
                second.append(b)
                scores.append(1.0 if at < other else 0.5)
                weight.append(counts)
        return cls.of_votes(things, first, second, scores, weight)

    @property
    def total(self) -> Array:
        """Of each two: the summed weight of all votes, (n, n), symmetric."""
        return self.wins + self.wins.T + self.ties

    def components(self) -> tuple[tuple[int, ...], ...]:
        """Return the groups of things that comparisons connect: how two groups compare, no vote says."""
        return _components(self.total > 0)

    @property
    def separable(self) -> bool:
        """Whether some connected things never lose or tie against the others: without a prior, infinitely strong.

        Bradley-Terry has a finite maximum only where wins cross every split of the things both ways (Ford 1957).
        """
        reached = _reached((self.wins + self.ties) > 0)
        joined = _reached(self.total > 0)
        return bool((joined & ~(reached & reached.T)).any())


def _reached(edges: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which thing is reached from which along edges, itself included, by repeated squaring."""
    reached = edges | np.eye(len(edges), dtype=bool)
    while True:
        further = (reached.astype(np.float32) @ reached.astype(np.float32)) > 0
        if (further == reached).all():
            return reached
        reached = further


def _components(edges: npt.NDArray[np.bool_]) -> tuple[tuple[int, ...], ...]:
    joined = _reached(edges)
    firsts = joined.argmax(axis=1) if len(edges) else np.empty(0, dtype=int)
    return tuple(tuple(np.flatnonzero(firsts == first).tolist()) for first in np.unique(firsts))
