"""One of a few options, all in view."""

from __future__ import annotations

from typing import ClassVar, Literal

from easel.forms.components.base import Answer, AnswerContext, BaseComponent, Group, Options, checked_option


class Radio(BaseComponent):
    """One of a few options, all in view."""

    title: ClassVar[str] = "Radio buttons"
    group: ClassVar[Group] = "inputs"
    answers: ClassVar[bool] = True

    type: Literal["radio"]
    options: Options

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take the value of an option."""
        return checked_option(answer, self.options)
