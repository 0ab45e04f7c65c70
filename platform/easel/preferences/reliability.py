"""How far each annotator can be relied on: noisy Bradley-Terry, with the strengths integrated out.

X. Chen et al., Pairwise ranking aggregation in a crowdsourced setting (WSDM 2013), in the form with guesses: an
annotator of reliability r answers a pair by the strengths, as in Bradley-Terry, with the probability r, and by
tossing a coin otherwise. r is 1 for who judges as the others do and 0 for who answers at random.

Items of a few images with two or three judges each are the rule here, so strengths cannot be fitted beside r: they
would follow the very answers in question, and everybody would look reliable. Over strengths from any symmetric
distribution, though, two people agree on a pair with the probability

    1/2 + c r_i r_j,   c = 2 E[(p - 1/2)^2],   p the probability of the first image where one judges,

so how often each two people met and agreed is all that is needed. c, how clear the images' differences are, is fitted
too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from easel.preferences.agreement import Met, met
from easel.preferences.newton import Array
from finetune.types import Judgement

OVERLAPS = 30
"""Judgements shared with others from which on a reliability is used."""
PRIOR = (8.0, 2.0)
"""Beta prior of r, as answers seen before: eight by judgement and two by guessing."""


@dataclass(frozen=True)
class Reliability:
    """What is known of one annotator."""

    reliability: float
    """The most probable share of answers that were judged and not guessed, 0 to 1."""
    overlaps: int
    """Judgements of items that somebody else judged too."""

    @property
    def weight(self) -> float:
        """The weight that the annotator's judgements get: the reliability after 30 overlaps, 1 before."""
        return self.reliability if self.overlaps >= OVERLAPS else 1.0


def fit(items: Iterable[Sequence[Judgement]]) -> Mapping[str, Reliability]:
    """Return what is known of each annotator, by name, from the judgements of each item, taken in one pass.

    See `Meetings`. No items: no annotators.
    """
    meetings = Meetings()
    for judgements in items:
        meetings.take(judgements)
    return meetings.fit()


class Meetings:
    """Takes the judgements of one item after another, and tells how far each annotator can be relied on.

    A tie and an order agree half. As in `aggregate`, images left unranked and rankings of images that are all bad are
    no votes, nor images on one place that were not compared, and the pairs of n images that two people share count as
    n - 1 votes. Memory grows with the annotators alone.
    """

    def __init__(self) -> None:
        self._overlaps: Counter[str] = Counter()
        self._met: dict[tuple[str, str], float] = defaultdict(float)
        self._agreed: dict[tuple[str, str], float] = defaultdict(float)

    def take(self, judgements: Sequence[Judgement], known: Sequence[Met] | None = None) -> None:
        """Add an item's judgements; known: what `agreement.met` says of them, where that was asked already."""
        for judgement in judgements:
            self._overlaps[judgement.annotator] += 0
        with_others: set[str] = set()
        for two in met(judgements) if known is None else known:
            with_others |= {two.one, two.other}
            pair = (min(two.one, two.other), max(two.one, two.other))
            self._met[pair] += two.images - 1
            self._agreed[pair] += (two.images - 1) * two.share
        self._overlaps.update(with_others)

    def fit(self) -> Mapping[str, Reliability]:
        """Return what is known of each annotator; of one without an overlap the prior's mode, 0.875."""
        names = sorted(self._overlaps)
        found = _reliabilities(names, self._met, self._agreed)
        return {name: Reliability(float(r), self._overlaps[name]) for name, r in zip(names, found, strict=True)}


def _reliabilities(
    names: Sequence[str], met: Mapping[tuple[str, str], float], agreed: Mapping[tuple[str, str], float]
) -> Array:
    """Return each r: the maximum of the posterior over all r and c, by L-BFGS."""
    people = {name: number for number, name in enumerate(names)}
    mode = (PRIOR[0] - 1) / (sum(PRIOR) - 2)
    if not met:
        return np.full(len(names), mode)
    from scipy.optimize import minimize  # slow to load; not needed where no two judged the same

    first, second = np.array([[people[one], people[other]] for one, other in met]).T
    yes = np.array([agreed[pair] for pair in met])
    no = np.array([met[pair] for pair in met]) - yes

    def loss(at: Array) -> tuple[float, Array]:
        """Return the negated log posterior at (logit r, logit 2c), and its gradient. The prior of logit 2c is N(0,
        1)."""
        r, clear = 1 / (1 + np.exp(-at[:-1])), 1 / (1 + np.exp(-at[-1]))
        above = clear / 2 * r[first] * r[second]
        value = yes @ np.log(0.5 + above) + no @ np.log(0.5 - above) - at[-1] ** 2 / 2
        value += (PRIOR[0] - 1) * np.log(r).sum() + (PRIOR[1] - 1) * np.log1p(-r).sum()
        slope = above * (yes / (0.5 + above) - no / (0.5 - above))  # by the logarithm of r_i, r_j or c
        of = np.bincount(first, weights=slope, minlength=len(r)) + np.bincount(second, weights=slope, minlength=len(r))
        gradient = of * (1 - r) + (PRIOR[0] - 1) * (1 - r) - (PRIOR[1] - 1) * r
        return -float(value), -np.array([*gradient, slope.sum() * (1 - clear) - at[-1]])

    start = np.array([*np.full(len(names), np.log(mode / (1 - mode))), 0.0])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-12, 12)] * len(start))
    return np.asarray(1 / (1 + np.exp(-found.x[:-1])))
