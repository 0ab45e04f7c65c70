"""Newton's method for concave log posteriors, and the intervals that their curvature gives."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Objective: TypeAlias = Callable[[Array], tuple[Array, Array, Array]]
"""At points (..., d): the log posterior (...), its gradient (..., d), and the observed information (..., d, d), its
negated second derivative. The leading axes are fits side by side, as those of a bootstrap."""

ROUNDS = 200
TOLERANCE = 1e-9  # of a log worth


def maximise(objective: Objective, start: Array) -> tuple[Array, Array]:
    """Return the maximum (..., d) of strictly concave functions, and the observed information there.

    A step is halved until it goes uphill: full steps overshoot where many votes agree. Raises ArithmeticError where
    there is no maximum to be found, as without a prior for data that has none.
    """
    at = start
    value, gradient, information = objective(at)
    for _ in range(ROUNDS):
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        if not np.isfinite(step).all():  # halved for ever, it would stay what it is
            raise ArithmeticError("a step of Newton's method is no finite number; are the counts?")
        while True:
            reached = objective(at + step)
            long = np.abs(step).max(axis=-1, initial=0) > TOLERANCE
            downhill = ~(reached[0] >= value - 1e-12 * np.abs(value)) & long
            if not downhill.any():
                break
            step = np.where(downhill[..., None], step / 2, step)
        at = at + step
        value, gradient, information = reached
        if not long.any():
            return at, information
    raise ArithmeticError(f"no maximum within {ROUNDS} steps of Newton's method; give a prior (a finite prior_sd)")


def pull(prior_sd: float) -> float:
    """Return the precision of a Gaussian prior: 0 for an infinite standard deviation. Raises ValueError below 0."""
    if not prior_sd > 0:
        raise ValueError(f"the standard deviation of a prior is above 0 (infinite: no prior), not {prior_sd}")
    return 1 / prior_sd**2


def centred(information: Array, size: int) -> Array:
    """Return the covariance of the first `size` parameters less their mean, from the information of them all.

    Only differences between log worths are measured; how high they lie together is not, and does not widen intervals.
    """
    covariance = np.linalg.inv(information)[:size, :size]
    centre = np.eye(size) - 1 / max(size, 1)
    return np.asarray(centre @ covariance @ centre)


def half_widths(covariance: Array, level: float) -> Array:
    """Return half the width of each parameter's interval: quantile of the normal times its standard error."""
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval lies between 0 and 1, as 0.95, not {level}")
    return NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(np.maximum(np.diag(covariance), 0))


def floats(values: Any) -> tuple[float, ...]:
    """Return an array as plain floats, as results keep them."""
    return tuple(np.asarray(values, dtype=float).tolist())
