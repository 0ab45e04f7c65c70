"""How far runs have come, as pages and the API show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from easel.registry.models import ModelVersion
from easel.training.models import FinetunePoint, FinetuneRun


@dataclass(frozen=True)
class RunProgress:
    """A run, and how quickly it goes."""

    run: FinetuneRun
    steps_per_second: float | None
    """Lately; None where it cannot be told."""

    @property
    def live(self) -> bool:
        """Whether a page should look again soon."""
        return self.run.state in {"queued", "running"}

    @property
    def seconds_left(self) -> float | None:
        """Time until the last step at the present pace."""
        if not self.steps_per_second:
            return None
        return max(0, self.run.steps - self.run.job.done) / self.steps_per_second


def progress_of(run: FinetuneRun, at: datetime) -> RunProgress:
    """Return how far a run has come."""
    return RunProgress(run, FinetunePoint.objects.pace(run, at) if run.state == "running" else None)


def progress_of_all(runs: Iterable[FinetuneRun], at: datetime) -> list[RunProgress]:
    """Return how far runs have come: one query for each that runs, and there are as many as workers."""
    return [progress_of(run, at) for run in runs]


@dataclass(frozen=True)
class Estimate:
    """How long a run would take, and how that is known."""

    seconds: float
    of: FinetuneRun
    """The run whose pace it was."""


def estimate(method: str, base: ModelVersion, steps: int) -> Estimate | None:
    """Return how long a run of so many steps would take, or None where no run like it is finished."""
    like = FinetuneRun.objects.timed(method, base)
    if like is None or like.seconds_a_step is None:
        return None
    return Estimate(like.seconds_a_step * steps, like)
