"""What a run tells while it goes, and what it ends with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from finetune.types import MetricPoint, TrainSettings

OnPoint = Callable[[MetricPoint], None]
"""Hears of the figures of a step. After a resume it may hear of a step again, with the same figures."""
OnGrid = Callable[[int, Sequence[Image.Image]], None]
"""Hears of the samples at a checkpoint: the step, and one picture a prompt, in their order."""


@dataclass(frozen=True)
class Outcome:
    """The end of a run."""

    adapter: Path
    """The weights, as `pipe.load_lora_weights` reads them."""
    steps: int
    """Optimizer steps behind them."""
    stopped: str
    """Why it ended before its last step, in one line; empty where it did not."""
    interrupted: bool
    """Whether it was told to stop, and goes on from here when it is started again."""
    values: dict[str, float]
    """The last figures, named as in MetricPoint; `seconds` is the time that training took."""
    settings: TrainSettings
    """With every default filled in."""
    device: str
