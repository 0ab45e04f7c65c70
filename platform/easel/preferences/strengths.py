"""What a fitted model of strengths answers, whichever model it is."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp


@dataclass(frozen=True)
class Strengths:
    """Log worths with intervals. All finite; `connected` and `separable` say how far the votes speak for themselves."""

    log_worths: tuple[float, ...]
    """Mean 0."""
    low: tuple[float, ...]
    high: tuple[float, ...]
    """The bounds of each log worth's interval. A log worth is counted from the mean of all."""
    components: tuple[tuple[int, ...], ...]
    """Things that comparisons connect; a thing that was never compared stands alone."""
    separable: bool
    """Some never lost to others that they met: without the prior their strengths would be infinite."""

    @property
    def connected(self) -> bool:
        """Whether votes say how each two compare; otherwise the prior alone says it, and the intervals are as wide."""
        return len(self.components) <= 1

    @property
    def worths(self) -> tuple[float, ...]:
        """The strengths as shares that sum to 1."""
        worths = [exp(one) for one in self.log_worths]
        return tuple(one / sum(worths) for one in worths)
