"""Each image rated by aspects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import (
    Answer,
    AnswerContext,
    AnswerError,
    BaseComponent,
    FormView,
    Group,
    Options,
    by_letter,
    checked_level,
    of_candidates,
)


class ImageRatings(BaseComponent):
    """Each image rated by aspects: `{"c1": {"fidelity": 4}}`. What is not rated is left out, unless it is required."""

    title: ClassVar[str] = "Image ratings"
    group: ClassVar[Group] = "judgement"
    answers: ClassVar[bool] = True

    type: Literal["image_ratings"]
    aspects: Options = Field(description="What is rated, such as alignment, fidelity and aesthetics.")
    levels: int = Field(default=5, ge=2, le=10)
    low: str = Field(default="", max_length=60, description="Words at the low end.")
    high: str = Field(default="", max_length=60, description="Words at the high end.")

    def misfit(self, form: FormView) -> str:
        """Ratings of images need images."""
        return form.needs_images(self, "rates images")

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take a level for images of the item by aspects; all of them where it is required."""
        names = [aspect.value for aspect in self.aspects]
        checked = {}
        for candidate, ratings in of_candidates(answer, context).items():
            if not isinstance(ratings, dict):
                raise AnswerError('must hold an object for each image, as {"fidelity": 4}')
            if unknown := [name for name in ratings if name not in names]:
                raise AnswerError(f"{unknown[0][:60]!r} is no aspect; there are: {', '.join(names)}")
            if ratings:
                checked[candidate] = {
                    name: checked_level(ratings[name], self.levels) for name in names if name in ratings
                }
        missing = len(context.candidates) * len(names) - sum(len(ratings) for ratings in checked.values())
        if self.is_required(context) and missing:
            raise AnswerError(f"misses {missing} ratings; rate every image by every aspect")
        return checked

    def words(self, answer: Answer, letters: Mapping[str, str], text: str) -> str:
        """As `A: Fidelity 4, Beauty 2; B: Fidelity 5`."""
        labels = {aspect.value: aspect.label or aspect.value for aspect in self.aspects}
        rated = {
            one: ", ".join(f"{labels[name]} {level}" for name, level in given.items()) for one, given in answer.items()
        }
        return by_letter(rated, letters)

    def columns(self) -> tuple[str, ...]:
        """A column an aspect."""
        return tuple(f"{self.name}.{aspect.value}" for aspect in self.aspects)

    def cells(self, answer: Answer) -> dict[str, object]:
        """Of each aspect the ratings, as `c1=4; c2=3`."""
        return {
            f"{self.name}.{aspect.value}": "; ".join(
                f"{candidate}={ratings[aspect.value]}"
                for candidate, ratings in answer.items()
                if aspect.value in ratings
            )
            for aspect in self.aspects
        }
