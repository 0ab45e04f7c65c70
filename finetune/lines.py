"""What the process of one run says to its worker: one JSON object a line, each with one of these."""

from __future__ import annotations

from pydantic import Field

from finetune.types import MetricPoint, SampleGrid, TrainResult
from generation.types import Contract


class Step(Contract):
    """How far it has come. Also its sign of life."""

    done: int = Field(ge=0)
    total: int = Field(ge=0)
    """Steps; 0 until it is known how many there will be."""
    note: str = Field(default="", max_length=200)


class Ended(Contract):
    """Why it ended without weights: the fields of a Failure."""

    code: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    reason: str = Field(min_length=1, max_length=2_000)
    retryable: bool


class Said(Contract):
    """One line."""

    step: Step | None = None
    point: MetricPoint | None = None
    grid: SampleGrid | None = None
    result: TrainResult | None = None
    ended: Ended | None = None
