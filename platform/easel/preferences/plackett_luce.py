"""Whole rankings, partial ones and ties included.

R. L. Plackett, The analysis of permutations, Applied Statistics 24 (1975), after R. D. Luce (1959): the best is
chosen from all that were ranked, with a probability proportional to its worth; the next from what is left, and so on.
At two images it is the Bradley-Terry model.

A tie stands for all orders of its images alike: its log likelihood is the mean of theirs, which for two images is
half a win each. What a ranking leaves out was not chosen from. choix fits the same without ties and weights; the
tests hold ours against it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from math import comb, inf

import numpy as np

from easel.preferences.comparisons import Comparisons
from easel.preferences.intervals import LEVEL
from easel.preferences.newton import Array, Objective, centred, floats, half_widths, maximise, pull
from easel.preferences.strengths import Strengths

PRIOR_SD = 2.0  # of a log worth, as in davidson.py
TIED = 12  # images of one tie: each of their 2^12 subsets is a choice


def fit(
    things: int,
    rankings: Iterable[Sequence[Sequence[int]]],
    weights: Iterable[float] | None = None,
    *,
    prior_sd: float = PRIOR_SD,
    level: float = LEVEL,
) -> Strengths:
    """Return the most probable strengths under a Gaussian prior on the log worths (mean 0), with Laplace intervals.

    rankings: groups of indexes below `things`, best first; ties share a group. Any rankings have an answer, none
    included; the result says whether they were disconnected or separable. An infinite prior_sd stands for maximum
    likelihood. Raises ValueError where that has no finite maximum, and for a tie of more than 12.
    """
    rows = [tuple(tuple(group) for group in ranking) for ranking in rankings]
    counted = [1.0] * len(rows) if weights is None else list(weights)
    comparisons = Comparisons.of_rankings(things, rows, counted)
    if prior_sd == inf and (len(comparisons.components()) > 1 or comparisons.separable):
        raise ValueError("without a prior, disconnected or separable rankings have no finite strengths; give prior_sd")
    at, information = maximise(_objective(things, rows, counted, prior_sd), np.zeros(things))
    log_worths = at - at.mean() if things else at
    width = half_widths(centred(information, things), level)
    return Strengths(
        log_worths=floats(log_worths),
        low=floats(log_worths - width),
        high=floats(log_worths + width),
        components=comparisons.components(),
        separable=comparisons.separable,
    )


def choices(ranking: Sequence[Sequence[int]]) -> tuple[Counter[int], dict[tuple[int, ...], float]]:
    """Return how often each thing was chosen, and from which sets, each with its weight.

    The log likelihood is the chosen log worths less the log summed worth of each set. Of a tie of m, a set of k of
    them with all worse ones was chosen from in a share 1 / C(m, k) of the orders. Choices from one thing alone say
    nothing.
    """
    chosen: Counter[int] = Counter()
    sets: dict[tuple[int, ...], float] = {}
    worse: tuple[int, ...] = ()
    for group in reversed(ranking):
        if len(group) > TIED:
            raise ValueError(f"a tie of {len(group)} images; at most {TIED} are taken")
        chosen.update(group)
        for size in range(1, len(group) + 1):
            for some in combinations(group, size):
                sets[tuple(sorted((*some, *worse)))] = 1 / comb(len(group), size)
        worse += tuple(group)
    return chosen, sets


def _objective(
    things: int, rankings: Sequence[Sequence[Sequence[int]]], weights: Sequence[float], prior_sd: float
) -> Objective:
    """Return the log posterior over log worths, with its derivatives."""
    from scipy.sparse import csr_array, diags_array

    credit = np.zeros(things)
    total: dict[tuple[int, ...], float] = defaultdict(float)
    for (ranking, weight), times in Counter(zip(rankings, weights, strict=True)).items():
        chosen, sets = choices(ranking)
        for thing, count in chosen.items():
            credit[thing] += times * weight * count
        for one, share in sets.items():
            total[one] += times * weight * share
    ends = np.cumsum([0, *map(len, total)])
    members = csr_array(
        (np.ones(ends[-1]), [thing for one in total for thing in one], ends), shape=(len(total), things)
    )
    weight_of = np.array(list(total.values()), dtype=float)
    weak = pull(prior_sd)
    level = np.full(
        (things, things), 1.0 if weak == 0 else 0.0
    )  # without a prior the level is free; this keeps it at 0

    def objective(at: Array) -> tuple[Array, Array, Array]:
        top = at.max(initial=0)
        worths = np.exp(at - top)
        sums = members @ worths
        value = credit @ at - weight_of @ (np.log(sums) + top) - weak / 2 * at @ at - at @ level @ at / 2
        shares = diags_array(1 / sums) @ members @ diags_array(worths)  # the probability of each in each set
        expected = shares.T @ weight_of
        gradient = credit - expected - weak * at - level @ at
        information = np.diag(expected + weak) - (shares.T @ diags_array(weight_of) @ shares).toarray() + level
        return np.asarray(value), gradient, information

    return objective
