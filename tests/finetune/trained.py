"""Runs of the three trainers on a tiny model, and what spoils them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from finetune import dpo, listwise, opening, rwr
from finetune.outcome import Outcome
from finetune.types import MetricPoint, TrainSettings
from generation.pipelines import LoadedPipeline

METHODS = {"dpo": dpo, "listwise": listwise, "rwr": rwr}
STRONG: dict[str, Any] = {"learning_rate": 1e-2, "warmup_steps": 0, "lora_rank": 4, "stop_above": 9.0}
BETA = {"dpo": {"beta": 500.0}, "listwise": {"beta": 500.0}, "rwr": {"temperature": 0.2}}


class Run:
    """A run into a folder of its own, with what it told."""

    def __init__(self, method: str, base: Path, snapshot: Path, out: Path, **knobs: Any) -> None:
        self.module: ModuleType = METHODS[method]
        extra = {name: knobs.pop(name) for name in list(knobs) if name not in TrainSettings.model_fields}
        self.config = self.module.Config(base=str(base), snapshot=str(snapshot), out=str(out), **extra)
        self.settings = TrainSettings.model_validate(
            {**STRONG, **BETA[method], "steps": 4, "batch": 2, "checkpoint_every": 2, **knobs}
        )
        self.points: list[MetricPoint] = []
        self.grids: list[tuple[int, Sequence[Image.Image]]] = []

    def train(self, **options: Any) -> Outcome:
        """Train, or go on."""
        outcome: Outcome = self.module.train(
            self.config,
            self.settings,
            on_point=self.points.append,
            on_grid=lambda step, images: self.grids.append((step, images)),
            **options,
        )
        return outcome

    def stopping_at(self, step: int) -> Callable[[], bool]:
        """Return what tells the run to stop after a step."""
        return lambda: len(self.points) + 1 == step


class Spoilt:
    """Makes the base of a run fail at some call of its network, as a driver or a batch of bad numbers would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail: Callable[[int, Any, Any], Any]) -> None:
        self.calls = 0
        real = opening.load_base

        def load(*arguments: Any) -> LoadedPipeline:
            loaded = real(*arguments)

            def hook(module: Any, given: Any, made: Any) -> Any:
                self.calls += 1
                return fail(self.calls, given, made)

            loaded.pipe.unet.register_forward_hook(hook)
            return loaded

        monkeypatch.setattr(opening, "load_base", load)
