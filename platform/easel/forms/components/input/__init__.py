"""A text of one line."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import Answer, AnswerContext, BaseComponent, Group, checked_text


class Input(BaseComponent):
    """A short text of one line, such as a name for what is in the picture."""

    title: ClassVar[str] = "Input"
    group: ClassVar[Group] = "inputs"
    answers: ClassVar[bool] = True

    type: Literal["input"]
    placeholder: str = Field(default="", max_length=200)
    max_length: int = Field(default=200, ge=1, le=1_000, description="Characters.")

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take a text within the length and of one line; surrounding space is dropped."""
        return checked_text(answer, self.max_length, lines=False)
