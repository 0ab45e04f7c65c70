"""Any of a few options, all in view."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import Answer, AnswerContext, BaseComponent, Group, Options, checked_options


class Checkbox(BaseComponent):
    """Any of a few options, all in view."""

    title: ClassVar[str] = "Check boxes"
    group: ClassVar[Group] = "inputs"
    answers: ClassVar[bool] = True

    type: Literal["checkbox"]
    options: Options
    most: int | None = Field(default=None, ge=1, le=50, description="At most this many may be ticked.")

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take a list of the values of options, each once."""
        return checked_options(answer, self.options, self.most)
