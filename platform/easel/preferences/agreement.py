"""How far annotators agree: Krippendorff's alpha, Kendall's tau-b, and agreement on pairs, each with an interval.

Libraries compute the first two from tables of everything; here both are sums over items, so that answers can be
streamed and items resampled. The tests hold them against krippendorff, evalica and scipy.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isnan, sqrt

import numpy as np

from easel.preferences.intervals import LEVEL, RESAMPLES, Interval, clustered_bootstrap, resampled
from easel.preferences.newton import Array
from finetune.types import Judgement

WARN_BELOW = 0.3
"""Of alpha: guidelines may be unclear, or the matter one of taste. Never a reason to reject anybody by itself."""
FINE = 9  # decimals at which two positions count as one value


@dataclass(frozen=True)
class Agreement:
    """What the answers of several people to the same items have in common. The clusters of the intervals are items."""

    alpha: Interval
    """Krippendorff's alpha for ordinal values: 1 in full agreement, 0 as by chance, negative in opposition."""
    tau: Interval
    """Mean of Kendall's tau-b over each two people of each item, -1 to 1; who puts all images level has none."""
    pairs: Interval
    """The share of pairs of images on which two people agree, a tie against an order half."""

    @property
    def warns(self) -> bool:
        """Whether alpha is so low that the guidelines should be looked at."""
        return self.alpha.estimate is not None and self.alpha.estimate < WARN_BELOW


class Levels(dict[int, int]):
    """The place of each image in a judgement, best 0."""

    ties_are_equal: bool = True
    """Whether images on one place were judged equal; else they were not compared with each other."""


def levels(judgement: Judgement) -> Levels:
    """Return the place of each image that a judgement compares with others, best 0: none where all images are bad."""
    placed = Levels((image, place) for place, group in enumerate(judgement.groups) for image in group)
    placed.ties_are_equal = judgement.ties_are_equal
    return placed if len(placed) > 1 and not judgement.all_bad else Levels()


def on_pairs(one: Mapping[int, int], other: Mapping[int, int]) -> tuple[int, float]:
    """Return how many images two people both compared, and in which share of the pairs of these they agree.

    one, other: the place of each image. A tie and an order agree half. Fewer than two shared images: 0 and 0.
    """
    signs = _signs(one, other)
    if not signs:
        return 0, 0.0
    return len({image for pair in signs for image in pair}), _share(signs)


def tau_b(one: Mapping[int, int], other: Mapping[int, int]) -> float | None:
    """Return Kendall's tau-b of the images that two people both ranked (Kendall 1945); None where one ties them all."""
    return _tau(_signs(one, other))


def _tau(signs: Mapping[tuple[int, int], tuple[int, int]]) -> float | None:
    both = signs.values()
    ordered = [sum(here * here for here, _ in both), sum(there * there for _, there in both)]
    return sum(here * there for here, there in both) / sqrt(ordered[0] * ordered[1]) if all(ordered) else None


def _share(signs: Mapping[tuple[int, int], tuple[int, int]]) -> float:
    return sum(1 - abs(here - there) / 2 for here, there in signs.values()) / len(signs)


def _signs(one: Mapping[int, int], other: Mapping[int, int]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return for each two images that both compared which way each of two people puts them: -1, 0, 1."""
    return {
        (a, b): ((one[a] > one[b]) - (one[a] < one[b]), (other[a] > other[b]) - (other[a] < other[b]))
        for a, b in combinations(sorted(one.keys() & other.keys()), 2)
        if _compares(one, a, b) and _compares(other, a, b)
    }


def _compares(placed: Mapping[int, int], a: int, b: int) -> bool:
    return placed[a] != placed[b] or not isinstance(placed, Levels) or placed.ties_are_equal


def measure(
    items: Iterable[Sequence[Judgement]], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Agreement:
    """Measure the agreement of the judgements of each item, taken in one pass; see `Meter`."""
    meter = Meter()
    for judgements in items:
        meter.take(judgements)
    return meter.agreement(resamples=resamples, level=level, seed=seed)


@dataclass(frozen=True, slots=True)
class Met:
    """What two people said of one item, where both compared the same images."""

    one: str
    other: str
    images: int
    pairs: int
    share: float
    """Of the pairs on which they agree, a tie against an order half."""
    tau: float | None


def met(judgements: Sequence[Judgement]) -> list[Met]:
    """Return each two people of an item who compared the same images."""
    told = [(judgement.annotator, placed) for judgement in judgements if (placed := levels(judgement))]
    found = []
    for (one, here), (other, there) in combinations(told, 2):
        if signs := _signs(here, there):
            images = len({image for pair in signs for image in pair})
            found.append(Met(one, other, images, len(signs), _share(signs), _tau(signs)))
    return found


class Shares:
    """Shares of pairs, item by item."""

    def __init__(self) -> None:
        self._shares, self._items, self._weights = array("d"), array("q"), array("d")

    def add(self, item: int, share: float, pairs: int) -> None:
        """Add what two people said of an item."""
        self._shares.append(share)
        self._items.append(item)
        self._weights.append(pairs)

    def interval(self, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0) -> Interval:
        """Return their mean; the clusters are items."""
        return clustered_bootstrap(
            self._shares, self._items, weights=self._weights, resamples=resamples, level=level, seed=seed
        )


class Meter:
    """Takes the judgements of one item after another, and tells how far they agree.

    For alpha, an image of an item is a unit, and its value its position in a person's ranking, 0 (best) to 1, a tie at
    the middle of its places. Items that fewer than two people ranked say nothing; without any, every estimate is None,
    and so is that of alpha where all positions are one value. Bounds are those of a percentile bootstrap over items.
    """

    def __init__(self) -> None:
        self._items = 0
        self._values = _Values()
        self._pairs = Shares()
        self._taus, self._tau_items = array("d"), array("q")

    def take(self, judgements: Sequence[Judgement], known: Sequence[Met] | None = None) -> None:
        """Add an item's judgements; known: what `met` says of them, where that was asked already."""
        item = self._items
        self._items += 1
        self._values.take(item, [placed for judgement in judgements if (placed := levels(judgement))])
        for two in met(judgements) if known is None else known:
            self._pairs.add(item, two.share, two.pairs)
            if two.tau is not None:
                self._taus.append(two.tau)
                self._tau_items.append(item)

    def agreement(self, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0) -> Agreement:
        """Return what was taken so far says."""
        return Agreement(
            alpha=self._values.alpha(resamples, level, seed),
            tau=clustered_bootstrap(self._taus, self._tau_items, resamples=resamples, level=level, seed=seed),
            pairs=self._pairs.interval(resamples=resamples, level=level, seed=seed),
        )


class _Values:
    """The units of alpha by pattern: which values people gave, whoever gave them. There are few patterns."""

    def __init__(self) -> None:
        self.patterns: dict[tuple[float, ...], int] = {}
        self.pattern, self.item = array("q"), array("q")

    def take(self, item: int, told: Sequence[Mapping[int, int]]) -> None:
        """Add an item's units: of each image, the positions that at least two people gave it."""
        given: dict[int, list[float]] = {}
        for placed in told:
            for image, position in positions(placed).items():
                given.setdefault(image, []).append(position)
        for some in given.values():
            if len(some) > 1:
                self.pattern.append(self.patterns.setdefault(tuple(sorted(some)), len(self.patterns)))
                self.item.append(item)

    def alpha(self, resamples: int, level: float, seed: int) -> Interval:
        """Return alpha with its interval."""
        if not self.patterns:
            return Interval(None, None, None, 0, 0)
        unit = np.frombuffer(self.pattern, dtype=np.int64)
        items, index = np.unique(np.frombuffer(self.item, dtype=np.int64), return_inverse=True)
        answers = int(np.array([len(one) for one in self.patterns])[unit].sum())
        table = self._coincidences()

        def times(weights: Array | None = None) -> Array:
            return np.bincount(unit, weights=weights, minlength=len(table)).astype(float)

        estimate = float(alpha_of(times() @ table))
        if isnan(estimate):
            return Interval(None, None, None, answers, len(items))
        if len(items) < 2:
            return Interval(estimate, None, None, answers, 1)
        found = np.concatenate(
            [
                alpha_of(np.array([times(one[index]) for one in draws]) @ table)
                for draws in resampled(len(items), resamples, seed)
            ]
        )
        low, high = np.nanquantile(found, [(1 - level) / 2, (1 + level) / 2])
        return Interval(estimate, float(low), float(high), answers, len(items))

    def _coincidences(self) -> Array:
        """Return each pattern's coincidences, (patterns, values * values): ordered pairs of values, by m - 1."""
        domain = {value: at for at, value in enumerate(sorted({value for one in self.patterns for value in one}))}
        table = np.zeros((len(self.patterns), len(domain), len(domain)))
        for number, pattern in enumerate(self.patterns):
            for i, one in enumerate(pattern):
                for j, other in enumerate(pattern):
                    if i != j:
                        table[number, domain[one], domain[other]] += 1 / (len(pattern) - 1)
        return table.reshape(len(self.patterns), -1)


def positions(placed: Mapping[int, int]) -> dict[int, float]:
    """Return where each image stands in a ranking of n: 0 best, 1 worst, ties at the middle of the places they take."""
    sizes = Counter(placed.values())
    middle, before = {}, 0
    for place in sorted(sizes):
        middle[place] = round((before + (sizes[place] - 1) / 2) / (len(placed) - 1), FINE)
        before += sizes[place]
    return {image: middle[place] for image, place in placed.items()}


def alpha_of(coincidences: Array) -> Array:
    """Return Krippendorff's alpha for ordinal values (Content Analysis, 2004, chapter 11).

    coincidences: (..., V * V), how often two people gave a unit the one and the other value, in the order of the
    values. The distance of two values is how many answers lie between them, either value's own counted half, squared.
    NaN where all answers are the same value.
    """
    values = int(sqrt(coincidences.shape[-1]))
    table = coincidences.reshape(*coincidences.shape[:-1], values, values)
    times = table.sum(axis=-1)
    middle = np.cumsum(times, axis=-1) - times / 2
    distance = (middle[..., :, None] - middle[..., None, :]) ** 2
    observed = np.sum(table * distance, axis=(-1, -2))
    expected = np.sum(times[..., :, None] * times[..., None, :] * distance, axis=(-1, -2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(expected > 0, 1 - (times.sum(axis=-1) - 1) * observed / expected, np.nan))
