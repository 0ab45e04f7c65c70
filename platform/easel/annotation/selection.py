"""Which two models to compare next: where votes are most likely to put the leaderboard in the right order. Pure maths.

Every two models are drawn by chance until they have `FIRST` votes; then by what votes are expected to tell, while one
draw in five stays uniform. Each draw's probability is known and above 0, so that votes can be weighed by its inverse.

What votes tell is the expected value of information for putting two in order (Chick and Inoue, Operations Research 49,
2001; Frazier, Powell and Dayanik, SIAM Journal on Control and Optimization 47, 2008: the knowledge gradient). The
strengths of Davidson's model (1970) are taken for normal around the fit, with its Fisher information and the prior's as
precision (Laplace). n more votes between i and j, whose difference x has the variance v and each of which has the
information c about it, bring the variance of any difference d down by cov(d, x)^2 n c / (1 + n c v), whatever they turn
out to be; and by as much the fit of d will move. So the probability that d then has the right sign is known beforehand,
and what it gains, summed over all pairs of models, is what is expected of the votes. One vote alone seldom turns a
sign, hence n = `AHEAD` of them.

Draws are in proportion to the square of that: in proportion to itself, half of the votes still go where little is to be
learned; greedily where it is largest, all who rank between two fits would be sent to the same two models. Chatbot Arena
(Chiang et al. 2024, arXiv:2403.04132, section 5) draws by the width of each pair's own interval, which knows nothing of
what others tell of the two; docs/explanation/labels-saved.md compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, owens_t

Array = npt.NDArray[np.float64]

FIRST = 3
"""Votes of each two models before anything is believed of them."""
UNIFORM = 0.2
"""Of the draws, whatever is believed: no two models are forgotten, and no vote weighs over 5 times a uniform draw's."""
AHEAD = 20
"""Votes that are looked ahead."""
SHARPNESS = 2
"""The power of what votes tell that draws are in proportion to."""
PRIOR_SD = 2.0
"""Of a log worth, as the leaderboard's."""
CELLS = 2_000_000
"""Numbers of one step: 16 MB."""


@dataclass(frozen=True)
class Matchup:
    """Models that items compare: two of them, or more side by side."""

    models: tuple[int, ...]
    """Their places in the fit."""
    left: int
    """Items that still want somebody."""


@dataclass(frozen=True)
class Chance:
    """How likely a matchup is to be drawn next."""

    probability: float
    information: float
    """How many pairs of models `AHEAD` more votes on it are expected to put in the right order."""


def chances(
    matchups: Sequence[Matchup], log_worths: Sequence[float], nu: float, votes: npt.ArrayLike
) -> tuple[Chance, ...]:
    """Return the chance of each matchup. Those with items left have probabilities above 0 that sum to 1; others have 0.

    log_worths: (n,), nu: of the fit to all votes so far (`preferences.davidson`). votes: (n, n), symmetric, how many
    each two models have. Raises ValueError for a matchup of fewer than two different models of the fit.
    """
    count = np.asarray(votes, dtype=float)
    things = len(log_worths)
    if count.shape != (things, things):
        raise ValueError(f"votes are a table of {things} by {things}, one row for each strength")
    for one in matchups:
        if len(one.models) < 2 or len(set(one.models)) < len(one.models):
            raise ValueError(f"a matchup is of two different models or more, not of {one.models}")
        if min(one.models) < 0 or max(one.models) >= things:
            raise ValueError(f"a matchup names models of 0 to {things - 1}, not {one.models}")
    told = _information(matchups, np.asarray(log_worths, dtype=float), nu, count)
    open_ = np.array([one.left > 0 for one in matchups], dtype=bool)
    if not open_.any():
        return tuple(Chance(0.0, float(one)) for one in told)
    fresh = open_ & np.array([_is_fresh(one, count) for one in matchups], dtype=bool)
    wanted = fresh.astype(float) if fresh.any() else np.where(open_, told, 0.0) ** SHARPNESS
    if wanted.sum() <= 0:  # everything is known as well as can be told: all are alike
        wanted = open_.astype(float)
    probability = UNIFORM * open_ / open_.sum() + (1 - UNIFORM) * wanted / wanted.sum()
    return tuple(
        Chance(float(one), float(other)) for one, other in zip(probability / probability.sum(), told, strict=True)
    )


def _is_fresh(matchup: Matchup, votes: Array) -> bool:
    return any(votes[pair] < FIRST for pair in combinations(matchup.models, 2))


def _information(matchups: Sequence[Matchup], worths: Array, nu: float, votes: Array) -> Array:
    """Return what is expected of `AHEAD` more votes on each matchup. A ranking of n models counts as n - 1 votes, one
    for each pair on average, as in `preferences.aggregate`."""
    asked = sorted({tuple(sorted(pair)) for one in matchups for pair in combinations(one.models, 2)})
    gain = dict(zip(asked, _gains(asked, worths, nu, votes), strict=True))
    found = []
    for one in matchups:
        pairs = [gain[min(a, b), max(a, b)] for a, b in combinations(one.models, 2)]
        found.append((len(one.models) - 1) * sum(pairs) / len(pairs))
    return np.array(found, dtype=float)


def _gains(asked: Sequence[tuple[int, ...]], worths: Array, nu: float, votes: Array) -> Array:
    """Return how many pairs of models `AHEAD` votes on each of these pairs are expected to put in order."""
    things = len(worths)
    if not asked:
        return np.empty(0)
    curve = information_of_votes(worths, nu)
    weighed = votes * curve
    np.fill_diagonal(weighed, 0.0)
    precision = np.diag(weighed.sum(axis=1) + 1 / PRIOR_SD**2) - weighed
    covariance: Array = np.linalg.inv(precision).astype(float)
    first, second = np.triu_indices(things, 1)
    apart = np.abs(worths[first] - worths[second])
    spread = np.sqrt(_variance(covariance, first, second))
    unsure = apart < 6 * spread  # the others are in order for certain, and cost as much to reckon
    first, second, apart, spread = first[unsure], second[unsure], apart[unsure], spread[unsure]
    before = ndtr(apart / spread)
    at = np.array(asked)
    gains = np.zeros(len(at))
    step = max(1, CELLS // max(1, len(first)))
    for start in range(0, len(at), step):
        i, j = at[start : start + step].T
        columns = covariance[:, i] - covariance[:, j]
        shared = columns[first] - columns[second]  # covariance of each unsure difference with each one asked for
        informed = AHEAD * curve[i, j]
        learned = shared**2 * (informed / (1 + informed * _variance(covariance, i, j)))
        # The fit of d moves by a normal of variance `learned`, which leaves `rest` of d's own. That both then have one
        # sign has the probability 1 - 2 T(h, sqrt(rest / learned)), T being Owen's; Phi(h) = 1 - 2 T(h, inf) without.
        rest = np.maximum(spread[:, None] ** 2 - learned, 0.0)
        slope = np.sqrt(rest / np.maximum(learned, 1e-300))
        after = 1 - 2 * owens_t((apart / spread)[:, None], slope)
        gains[start : start + step] = (after - before[:, None]).sum(axis=0)
    return np.maximum(gains, 0.0)


def _variance(covariance: Array, i: npt.NDArray[np.int64], j: npt.NDArray[np.int64]) -> Array:
    return np.asarray(covariance[i, i] + covariance[j, j] - 2 * covariance[i, j])


def information_of_votes(log_worths: npt.ArrayLike, nu: float) -> Array:
    """Return the Fisher information of one vote about the difference of each two log worths, (n, n): Davidson 1970.

    A vote scores half of +1, 0 (a tie) or -1 times the difference in the exponent, so its information is the variance
    of that score: 1/4 at most, without ties between equals, and little where one wins nearly always.
    """
    worths = np.asarray(log_worths, dtype=float)
    half = (worths[:, None] - worths[None, :]) / 2
    top = np.maximum(np.abs(half), np.log(nu))
    up, down, tie = np.exp(half - top), np.exp(-half - top), nu * np.exp(-top)
    total = up + down + tie
    up, down = up / total, down / total
    return np.asarray((up + down - (up - down) ** 2) / 4)
