"""A number on a line."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from easel.forms.components.base import Answer, AnswerContext, BaseComponent, Group, checked_number


class Slider(BaseComponent):
    """A number between two ends that are named, such as from "not at all" to "exactly"."""

    title: ClassVar[str] = "Slider"
    group: ClassVar[Group] = "inputs"
    answers: ClassVar[bool] = True

    type: Literal["slider"]
    min: float = Field(default=0, ge=-1e6, le=1e6)
    max: float = Field(default=100, ge=-1e6, le=1e6)
    step: float = Field(default=1, gt=0, le=1e6)
    low: str = Field(default="", max_length=60, description="Words at the left end.")
    high: str = Field(default="", max_length=60, description="Words at the right end.")

    @model_validator(mode="after")
    def _min_is_below_max(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min {self.min:g} must be below max {self.max:g}")
        if self.step > self.max - self.min:
            raise ValueError(f"a step of {self.step:g} is longer than the slider; lower it")
        return self

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take a number within the limits."""
        return checked_number(answer, self.min, self.max)
