"""One or several of many options, from a list that folds out."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import (
    Answer,
    AnswerContext,
    BaseComponent,
    Group,
    Options,
    checked_option,
    checked_options,
)


class Select(BaseComponent):
    """One of many options, or several of them, from a list."""

    title: ClassVar[str] = "Select"
    group: ClassVar[Group] = "inputs"
    answers: ClassVar[bool] = True

    type: Literal["select"]
    options: Options
    multiple: bool = Field(default=False, description="Whether several may be chosen.")

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take the value of an option; a list of them where several may be chosen."""
        return checked_options(answer, self.options) if self.multiple else checked_option(answer, self.options)
