"""The learning rate of a step: it rises, stays, and falls at the end."""

from __future__ import annotations

import math

from finetune.types import TrainSettings


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Return the learning rate of a step, counted from 0, by its place in the run alone: a resumed run goes on with it.

    It rises over `warmup_steps`, and over the last `decay` of the steps it falls to nothing along a cosine. A small
    model is taught with large steps, and what the last of them leave undone stays in its pictures as a mottle.
    """
    rate, steps = settings.learning_rate or 0.0, settings.steps or 1
    rising = min(1.0, (step + 1) / max(1, settings.warmup_steps or 0))
    falling = (settings.decay or 0.0) * steps
    left = min(1.0, (steps - step) / falling) if falling else 1.0
    return rate * rising * (0.5 - 0.5 * math.cos(math.pi * left))
