"""A number."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from easel.forms.components.base import Answer, AnswerContext, BaseComponent, Group, checked_number


class Number(BaseComponent):
    """A number within limits, such as how many people are in the picture."""

    title: ClassVar[str] = "Number"
    group: ClassVar[Group] = "inputs"
    answers: ClassVar[bool] = True

    type: Literal["number"]
    min: float | None = Field(default=None, ge=-1e9, le=1e9)
    max: float | None = Field(default=None, ge=-1e9, le=1e9)
    whole: bool = Field(default=False, description="Whether only whole numbers are taken.")
    unit: str = Field(default="", max_length=20)

    @model_validator(mode="after")
    def _min_is_below_max(self) -> Self:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min {self.min:g} must be below max {self.max:g}")
        return self

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take a number within the limits."""
        return checked_number(answer, self.min, self.max, whole=self.whole)
