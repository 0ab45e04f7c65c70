"""A day."""

from __future__ import annotations

from datetime import date as Day
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from easel.forms.components.base import Answer, AnswerContext, AnswerError, BaseComponent, Group


class Date(BaseComponent):
    """A day, within limits where some are set."""

    title: ClassVar[str] = "Date"
    group: ClassVar[Group] = "inputs"
    answers: ClassVar[bool] = True

    type: Literal["date"]
    min: Day | None = Field(default=None, description="The first day that is taken.")
    max: Day | None = Field(default=None, description="The last day that is taken.")

    @model_validator(mode="after")
    def _min_is_before_max(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} must not be after max {self.max}")
        return self

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take a day as 2026-11-21."""
        try:
            day = Day.fromisoformat(answer) if isinstance(answer, str) and len(answer) == 10 else None
        except ValueError:
            day = None
        if day is None:
            raise AnswerError("must be a day, as 2026-11-21")
        if self.min is not None and day < self.min:
            raise AnswerError(f"is before {self.min}, the first day that is taken")
        if self.max is not None and day > self.max:
            raise AnswerError(f"is after {self.max}, the last day that is taken")
        return day.isoformat()
