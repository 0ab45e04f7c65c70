"""None of the images is acceptable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from easel.forms.components.base import Answer, AnswerContext, AnswerError, BaseComponent, FormView, Group


class AllBad(BaseComponent):
    """A tick for "none is acceptable", kept apart from the ranking and given beside or instead of it."""

    title: ClassVar[str] = "None is acceptable"
    group: ClassVar[Group] = "judgement"
    answers: ClassVar[bool] = True

    type: Literal["all_bad"]

    def misfit(self, form: FormView) -> str:
        """It judges images."""
        return form.needs_images(self, "judges images")

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take true or false."""
        if not isinstance(answer, bool):
            raise AnswerError("must be true or false")
        return answer

    def is_missing(self, context: AnswerContext) -> bool:
        """Where it is required it has to be ticked."""
        return context.answers.get(self.name) is not True

    def words(self, answer: Answer, letters: Mapping[str, str], text: str) -> str:
        """Nothing: it is told as a mark of the whole annotation."""
        return ""

    def says_all_bad(self, answer: Answer) -> bool:
        """Whether none is acceptable."""
        return answer is True
