"""Intervals for means of votes that come in clusters: ten votes about one prompt say less than ten about ten."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from easel.preferences.newton import Array

RESAMPLES = 1000
LEVEL = 0.95
CELLS = 2_000_000  # numbers of one chunk of resamples: 16 MB


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds of its interval. None where the data cannot say."""

    estimate: float | None
    low: float | None
    high: float | None
    votes: int
    clusters: int


def clustered_bootstrap(
    values: npt.ArrayLike,
    clusters: Sequence[Hashable],
    *,
    weights: npt.ArrayLike | None = None,
    also_by: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Return the weighted mean of values with a percentile bootstrap over clusters (Efron and Tibshirani 1993, ch. 13).

    values, clusters: (n,), as the score of each vote and its prompt. also_by: a second cluster each, as the annotator;
    the two are then drawn independently and a vote counts the product of its draws (the pigeonhole bootstrap, Owen
    2007), which covers annotators who differ too. The same seed gives the same bounds. No values: all None. One
    cluster: no bounds, for nothing is known of how clusters differ. Raises ValueError for lengths that differ and for
    weights below 0.
    """
    value = np.asarray(values, dtype=float)
    weight = np.ones(len(value)) if weights is None else np.asarray(weights, dtype=float)
    kinds = [clusters] if also_by is None else [clusters, also_by]
    if any(len(one) != len(value) for one in (weight, *kinds)):
        raise ValueError(f"{len(value)} values need as many clusters and weights")
    if not np.isfinite(value).all() or not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError("values are finite numbers, and weights are 0 or more")
    codes = [numbered(one) for one in kinds]
    counts = [int(one.max(initial=-1)) + 1 for one in codes]
    if weight.sum() == 0:
        return Interval(None, None, None, len(value), counts[0])
    estimate = float(np.average(value, weights=weight))
    if min(counts) < 2:
        return Interval(estimate, None, None, len(value), counts[0])
    if also_by is None:
        sums = np.stack([np.bincount(codes[0], weights=one) for one in (value * weight, weight)], axis=1)
        drawn = [draws @ sums for draws in resampled(counts[0], resamples, seed)]
    else:
        sums = np.stack([value * weight, weight], axis=1)
        chunk = max(1, CELLS // max(len(value), *counts))
        both = zip(
            resampled(counts[0], resamples, seed, chunk), resampled(counts[1], resamples, seed + 1, chunk), strict=True
        )
        drawn = [(first[:, codes[0]] * second[:, codes[1]]) @ sums for first, second in both]
    totals = np.concatenate(drawn)
    totals = totals[totals[:, 1] > 0]  # crossed draws can miss every vote
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high), len(value), counts[0])


def win_rate(
    scores: npt.ArrayLike,
    prompts: Sequence[Hashable],
    *,
    weights: npt.ArrayLike | None = None,
    annotators: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Return the mean of scores (1 won, 0 lost, 0.5 a tie) with an interval clustered by prompt.

    Where all prompts say the same (or there is one), resampling them tells nothing: the interval is then Wilson's, with
    each prompt as one vote. Without votes the estimate is None and the interval is all of 0 to 1.
    """
    score = np.asarray(scores, dtype=float)
    if not ((score >= 0) & (score <= 1)).all():
        raise ValueError("the score of a vote lies between 0 (lost) and 1 (won)")
    found = clustered_bootstrap(
        score, prompts, weights=weights, also_by=annotators, resamples=resamples, level=level, seed=seed
    )
    if found.estimate is None:
        return Interval(None, 0.0, 1.0, found.votes, found.clusters)
    if found.low is None or found.high is None or found.high - found.low < 1e-12:
        low, high = wilson(found.estimate * found.clusters, found.clusters, level=level)
        return Interval(found.estimate, low, high, found.votes, found.clusters)
    return found


def wilson(wins: float, votes: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the score interval of a share (E. B. Wilson 1927): sensible for few votes, and for none or all won."""
    if votes <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = wins / votes
    middle = (share + z**2 / (2 * votes)) / (1 + z**2 / votes)
    half = z * sqrt(share * (1 - share) / votes + z**2 / (4 * votes**2)) / (1 + z**2 / votes)
    return max(0.0, middle - half), min(1.0, middle + half)


def ranks(low: Sequence[float], high: Sequence[float]) -> tuple[int, ...]:
    """Return the rank of each thing: 1 plus the number of those whose whole interval lies above its own."""
    return tuple(1 + sum(bottom > top for bottom in low) for top in high)


def resampled(clusters: int, resamples: int, seed: int, chunk: int | None = None) -> Iterator[Array]:
    """Yield how often each cluster is drawn in each resample: chunks of (some resamples, clusters)."""
    generator = np.random.default_rng(seed)
    chunk = chunk or max(1, CELLS // clusters)
    for start in range(0, resamples, chunk):
        some = range(min(chunk, resamples - start))
        yield np.array(
            [np.bincount(generator.integers(clusters, size=clusters), minlength=clusters) for _ in some], float
        )


def numbered(clusters: Sequence[Hashable]) -> npt.NDArray[np.int64]:
    """Number clusters in the order of their first appearance: bounds do not hang on what they are called."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(one, len(known)) for one in clusters], dtype=np.int64)
