"""A text of several lines."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from easel.forms.components.base import Answer, AnswerContext, AnswerError, BaseComponent


class Textarea(BaseComponent):
    """A free text, such as why the best is the best."""

    type: Literal["textarea"]
    answers = True
    rows: int = Field(default=2, ge=1, le=20)
    max_length: int = Field(default=2_000, ge=1, le=20_000, description="Characters.")

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take a text within the length; surrounding space is dropped."""
        if not isinstance(answer, str):
            raise AnswerError("must be a text")
        if "\x00" in answer:
            raise AnswerError("holds a zero character; remove it")
        if len(answer) > self.max_length:
            raise AnswerError(f"has {len(answer)} characters; at most {self.max_length} are taken")
        return answer.strip()
