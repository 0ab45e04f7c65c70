"""A text of several lines."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import Answer, AnswerContext, BaseComponent, Group, checked_text


class Textarea(BaseComponent):
    """A free text, such as why the best is the best."""

    title: ClassVar[str] = "Text area"
    group: ClassVar[Group] = "inputs"
    answers: ClassVar[bool] = True

    type: Literal["textarea"]
    rows: int = Field(default=2, ge=1, le=20)
    placeholder: str = Field(default="", max_length=200)
    max_length: int = Field(default=2_000, ge=1, le=20_000, description="Characters.")
    completion: bool = Field(
        default=False, description="It is the ideal answer to the prompt: the completion of a fine-tuning pair."
    )

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take a text within the length; surrounding space is dropped."""
        return checked_text(answer, self.max_length)
