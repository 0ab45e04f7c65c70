"""Paired comparisons with ties.

R. R. Davidson, On extending the Bradley-Terry model to accommodate ties in paired comparison experiments, Journal of
the American Statistical Association 65 (1970): with worths w and a tie parameter nu,

    P(i over j) = w_i / D,   P(tie) = nu sqrt(w_i w_j) / D,   D = w_i + w_j + nu sqrt(w_i w_j).

Ours, because no library at hand has it with weights and a prior. In log worths and log nu the log likelihood is
concave, so Newton's method finds the one maximum.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from math import exp, inf, log

import numpy as np
import numpy.typing as npt

from easel.preferences.comparisons import Comparisons
from easel.preferences.intervals import CELLS, LEVEL, RESAMPLES, numbered, resampled
from easel.preferences.newton import Array, Objective, centred, floats, half_widths, maximise, pull
from easel.preferences.strengths import Strengths

PRIOR_SD = 2.0
"""Of a log worth: wide, for models may differ so much that one wins 99 of 100; yet never infinite."""
TIE_PRIOR_SD = 2.0
"""Of log nu, around nu = 1: a third of the votes between equals are ties."""


@dataclass(frozen=True)
class Davidson(Strengths):
    """Fitted strengths, and how readily people tie."""

    nu: float
    """Ties are nu / (2 + nu) of the votes between equals."""
    nu_low: float
    nu_high: float

    def win(self, i: int, j: int) -> tuple[float, float, float]:
        """Return the probabilities of i over j, of a tie, and of j over i."""
        ahead = (self.log_worths[i] - self.log_worths[j]) / 2
        parts = exp(ahead), self.nu, exp(-ahead)
        return parts[0] / sum(parts), parts[1] / sum(parts), parts[2] / sum(parts)


def fit(
    comparisons: Comparisons,
    *,
    prior_sd: float = PRIOR_SD,
    tie_prior_sd: float = TIE_PRIOR_SD,
    level: float = LEVEL,
) -> Davidson:
    """Return the most probable strengths under Gaussian priors on the log worths (mean 0) and on log nu (mean 0).

    Intervals are normal approximations at the maximum: its observed information, the priors' included, inverted
    (Laplace). They take votes for independent; where several votes share a prompt, see `fit_clustered`.

    Any data has an answer: none at all (strengths 0), ties only, disconnected or separable ones; the result says which
    it was. An infinite standard deviation stands for no prior, the plain maximum likelihood; raises ValueError where
    that has no finite maximum.
    """
    if prior_sd == inf and (len(comparisons.components()) > 1 or comparisons.separable):
        raise ValueError("without a prior, disconnected or separable votes have no finite strengths; give prior_sd")
    if tie_prior_sd == inf and not 0 < comparisons.ties.sum() < comparisons.total.sum():
        raise ValueError("without a prior, nu is 0 or infinite where no vote or every vote is a tie; give tie_prior_sd")
    things = len(comparisons.wins)
    at, information = maximise(
        _objective(comparisons.wins, comparisons.ties, prior_sd, tie_prior_sd), np.zeros(things + 1)
    )
    covariance = centred(information, things)
    log_worths = at[:things] - at[:things].mean() if things else at[:0]
    width = half_widths(covariance, level)
    tie_width = float(half_widths(np.array(np.linalg.inv(information)[things:, things:]), level)[0])
    log_nu = float(at[things])
    return Davidson(
        log_worths=floats(log_worths),
        low=floats(log_worths - width),
        high=floats(log_worths + width),
        components=comparisons.components(),
        separable=comparisons.separable,
        nu=exp(log_nu),
        nu_low=exp(log_nu - tie_width),
        nu_high=exp(log_nu + tie_width),
    )


def _objective(wins: Array, ties: Array, prior_sd: float, tie_prior_sd: float) -> Objective:
    """Return the log posterior over (log worths, log nu), with its derivatives.

    wins, ties: (..., n, n). A pair's three outcomes have the logits d/2, -d/2 and log nu, d being the difference of the
    log worths. Every pair stands twice in the matrices, hence the halves.
    """
    things = wins.shape[-1]
    back = np.swapaxes(wins, -1, -2)
    net, total = (wins - back) / 2, wins + back + ties
    weak, tie_weak = pull(prior_sd), pull(tie_prior_sd)
    # Without a prior the level is free: this keeps it at 0, and moves nothing else.
    level = np.full((things, things), 1.0 if weak == 0 else 0.0)

    def objective(at: Array) -> tuple[Array, Array, Array]:
        worths, log_nu = at[..., :things], at[..., things, None, None]
        half = (worths[..., :, None] - worths[..., None, :]) / 2
        top = np.maximum(np.abs(half), log_nu)
        up, down, tie = np.exp(half - top), np.exp(-half - top), np.exp(log_nu - top)
        sum_of = up + down + tie
        up, down, tie = up / sum_of, down / sum_of, tie / sum_of
        log_nu = log_nu[..., 0, 0]
        value = np.sum(2 * net * half - total * (top + np.log(sum_of)), axis=(-1, -2)) / 2
        value += np.sum(ties, axis=(-1, -2)) / 2 * log_nu
        value -= (
            weak / 2 * np.sum(worths**2, axis=-1) + tie_weak / 2 * log_nu**2 + np.sum(worths @ level * worths, -1) / 2
        )
        gradient = np.empty(at.shape)
        gradient[..., :things] = np.sum(net - total * (up - down) / 2, axis=-1) - weak * worths - worths @ level
        gradient[..., things] = np.sum(ties - total * tie, axis=(-1, -2)) / 2 - tie_weak * log_nu
        curve = total * (up + down - (up - down) ** 2) / 4
        information = np.empty((*at.shape, things + 1))
        diagonal = np.eye(things) * (np.sum(curve, axis=-1) + weak)[..., None]
        information[..., :things, :things] = diagonal - curve + level
        mixed = -np.sum(total * tie * (up - down), axis=-1) / 2
        information[..., :things, things] = information[..., things, :things] = mixed
        information[..., things, things] = np.sum(total * tie * (1 - tie), axis=(-1, -2)) / 2 + tie_weak
        return value, gradient, information

    return objective


def fit_clustered(
    things: int,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    scores: npt.ArrayLike,
    clusters: Sequence[Hashable],
    *,
    weights: npt.ArrayLike | None = None,
    prior_sd: float = PRIOR_SD,
    tie_prior_sd: float = TIE_PRIOR_SD,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Davidson:
    """Fit votes that share prompts: the leaderboard. Votes as for `Comparisons.of_votes`, with the cluster of each.

    The bounds are those of a percentile bootstrap over clusters, or of `fit`, whichever lie further out: the bootstrap
    knows that votes of one prompt hang together, the information that a handful of unanimous votes proves little.
    """
    index = numbered(clusters)
    a, b, score = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64), np.asarray(scores, dtype=float)
    weight = np.ones(len(score)) if weights is None else np.asarray(weights, dtype=float)
    if len(index) != len(score):
        raise ValueError(f"{len(score)} votes need as many clusters")
    whole = fit(
        Comparisons.of_votes(things, a, b, score, weight), prior_sd=prior_sd, tie_prior_sd=tie_prior_sd, level=level
    )
    count = int(index.max(initial=-1)) + 1
    if count < 2:
        return whole
    # One cell for each outcome between each two: wins of i over j, then ties.
    ahead, behind = np.where(score == 0, b, a), np.where(score == 0, a, b)
    cell = (score == 0.5) * things**2 + ahead * things + behind
    start = np.array([*whole.log_worths, log(whole.nu)])
    found = []
    for draws in resampled(count, resamples, seed, max(1, CELLS // (2 * things**2 + count))):
        counted = np.array([np.bincount(cell, weights=weight * draw[index], minlength=2 * things**2) for draw in draws])
        counted = counted.reshape(len(draws), 2, things, things).astype(float)
        wins, ties = counted[:, 0], counted[:, 1]
        objective = _objective(wins, ties + np.swapaxes(ties, -1, -2), prior_sd, tie_prior_sd)
        found.append(maximise(objective, np.tile(start, (len(draws), 1)))[0])
    drawn = np.concatenate(found)
    drawn[:, :things] -= drawn[:, :things].mean(axis=1, keepdims=True)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return replace(
        whole,
        low=floats(np.minimum(low[:things], whole.low)),
        high=floats(np.maximum(high[:things], whole.high)),
        nu_low=min(exp(low[things]), whole.nu_low),
        nu_high=max(exp(high[things]), whole.nu_high),
    )
