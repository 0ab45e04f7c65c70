"""Stars, or a Likert scale."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from easel.forms.components.base import Answer, AnswerContext, BaseComponent, Group, checked_level


class Rating(BaseComponent):
    """One rating of the whole item: stars, or the steps of a Likert scale."""

    title: ClassVar[str] = "Rating"
    group: ClassVar[Group] = "inputs"
    answers: ClassVar[bool] = True

    type: Literal["rating"]
    levels: int = Field(default=5, ge=2, le=10)
    style: Literal["stars", "likert"] = "stars"
    low: str = Field(default="", max_length=60, description="Words at the low end.")
    high: str = Field(default="", max_length=60, description="Words at the high end.")
    good_from: int | None = Field(
        default=None,
        ge=2,
        le=10,
        description="From this rating on a shown text counts as good (the label in TRL's format).",
    )

    @model_validator(mode="after")
    def _good_is_on_the_scale(self) -> Self:
        if self.good_from is not None and self.good_from > self.levels:
            raise ValueError(f"good_from {self.good_from} is beyond the {self.levels} levels; lower it")
        return self

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take a whole number from 1 to the levels."""
        return checked_level(answer, self.levels)
