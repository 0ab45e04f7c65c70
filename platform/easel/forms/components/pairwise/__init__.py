"""The better of two images."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import Answer, AnswerContext, AnswerError, BaseComponent, FormView, Group, Order

TIE, BOTH_BAD = "tie", "both_bad"


class Pairwise(BaseComponent):
    """Which of two images is better: a candidate's id, `tie`, or `both_bad`."""

    title: ClassVar[str] = "Pairwise choice"
    group: ClassVar[Group] = "judgement"
    answers: ClassVar[bool] = True
    orders: ClassVar[bool] = True

    type: Literal["pairwise"]
    tie: bool = Field(default=True, description="Offer that both are equally good.")
    both_bad: bool = Field(default=True, description="Offer that neither is acceptable.")

    def misfit(self, form: FormView) -> str:
        """A choice between two needs two images."""
        return form.needs_images(self, "chooses between two images", least=2, most=2)

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take a candidate of the item, or one of the two words that are offered."""
        if len(context.candidates) != 2:
            raise AnswerError(f"chooses between two images, and this item has {len(context.candidates)}; skip it")
        offered = [word for word, on in ((TIE, self.tie), (BOTH_BAD, self.both_bad)) if on]
        if not isinstance(answer, str) or (answer not in context.candidates and answer not in offered):
            words = "".join(f" or {word!r}" for word in offered)
            raise AnswerError(f"must be the id of one of the two images{words}")
        return answer

    def order(self, answer: Answer, context: AnswerContext) -> Order:
        """The chosen image before the other one; both in one group where they are equal, none where both are bad."""
        if answer == BOTH_BAD:
            return []
        if answer == TIE:
            return [sorted(context.candidates)]
        return [[answer], sorted(context.candidates - {answer})]

    def says_all_bad(self, answer: Answer) -> bool:
        """Whether neither is acceptable."""
        return bool(answer == BOTH_BAD)
