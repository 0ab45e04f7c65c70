"""None of the images is acceptable."""

from __future__ import annotations

from typing import Literal

from easel.forms.components.base import Answer, AnswerContext, AnswerError, BaseComponent


class AllBad(BaseComponent):
    """A tick for "none is acceptable", kept apart from the ranking and given beside or instead of it."""

    type: Literal["all_bad"]
    answers = True

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take true or false."""
        if not isinstance(answer, bool):
            raise AnswerError("must be true or false")
        return answer
