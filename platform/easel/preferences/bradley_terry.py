"""Paired comparisons whose ties count half.

R. A. Bradley and M. E. Terry, Rank analysis of incomplete block designs, Biometrika 39 (1952): with worths w, P(i
over j) = w_i / (w_i + w_j). Ours rather than a library's: votes are weighted, ties are half a win each, and the prior
is Gaussian; the tests hold it against evalica and choix where these can say the same.
"""

from __future__ import annotations

from math import inf

import numpy as np

from easel.preferences.comparisons import Comparisons
from easel.preferences.intervals import LEVEL
from easel.preferences.newton import Array, Objective, centred, floats, half_widths, maximise, pull
from easel.preferences.strengths import Strengths

PRIOR_SD = 2.0  # of a log worth, as in davidson.py


def fit(comparisons: Comparisons, *, prior_sd: float = PRIOR_SD, level: float = LEVEL) -> Strengths:
    """Return the most probable strengths under a Gaussian prior on the log worths (mean 0), with Laplace intervals.

    Any votes have an answer, none included; the result says whether they were disconnected or separable. An infinite
    prior_sd stands for maximum likelihood; raises ValueError where that has no finite maximum.
    """
    if prior_sd == inf and (len(comparisons.components()) > 1 or comparisons.separable):
        raise ValueError("without a prior, disconnected or separable votes have no finite strengths; give prior_sd")
    at, information = maximise(_objective(comparisons, prior_sd), np.zeros(len(comparisons.wins)))
    log_worths = at - at.mean() if len(at) else at
    width = half_widths(centred(information, len(at)), level)
    return Strengths(
        log_worths=floats(log_worths),
        low=floats(log_worths - width),
        high=floats(log_worths + width),
        components=comparisons.components(),
        separable=comparisons.separable,
    )


def _objective(comparisons: Comparisons, prior_sd: float) -> Objective:
    """Return the log posterior over log worths, with its derivatives."""
    score, total = comparisons.wins + comparisons.ties / 2, comparisons.total
    weak = pull(prior_sd)
    level = np.full(total.shape, 1.0 if weak == 0 else 0.0)  # without a prior the level is free; this keeps it at 0

    def objective(at: Array) -> tuple[Array, Array, Array]:
        ahead = at[:, None] - at[None, :]
        log_p = -np.logaddexp(0, -ahead)
        p = np.exp(log_p)
        value = np.sum(score * log_p) - weak / 2 * at @ at - at @ level @ at / 2
        gradient = np.sum(score - total * p, axis=1) - weak * at - level @ at
        curve = total * p * p.T
        information = np.diag(np.sum(curve, axis=1) + weak) - curve + level
        return np.asarray(value), gradient, information

    return objective
