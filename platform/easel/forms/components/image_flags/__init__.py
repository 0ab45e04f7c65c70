"""Flags on single images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import (
    Answer,
    AnswerContext,
    BaseComponent,
    FormView,
    Group,
    Options,
    by_letter,
    checked_options,
    of_candidates,
)


class ImageFlags(BaseComponent):
    """Flags on single images, such as harm: `{"c1": ["violence"]}`. An image without a flag is left out."""

    title: ClassVar[str] = "Image flags"
    group: ClassVar[Group] = "judgement"
    answers: ClassVar[bool] = True

    type: Literal["image_flags"]
    flags: Options = Field(description="What an image can be flagged for.")

    def misfit(self, form: FormView) -> str:
        """Flags on images need images."""
        return form.needs_images(self, "flags images")

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take flags of images of the item."""
        given = of_candidates(answer, context)
        return {candidate: found for candidate, flags in given.items() if (found := checked_options(flags, self.flags))}

    def words(self, answer: Answer, letters: Mapping[str, str], text: str) -> str:
        """As `A: Violence; C: Nudity`."""
        labels = {flag.value: flag.label or flag.value for flag in self.flags}
        return by_letter({one: ", ".join(labels[flag] for flag in flags) for one, flags in answer.items()}, letters)

    def columns(self) -> tuple[str, ...]:
        """A column a flag."""
        return tuple(f"{self.name}.{flag.value}" for flag in self.flags)

    def cells(self, answer: Answer) -> dict[str, object]:
        """Of each flag the images that have it."""
        return {
            f"{self.name}.{flag.value}": "; ".join(one for one, flags in answer.items() if flag.value in flags)
            for flag in self.flags
        }
