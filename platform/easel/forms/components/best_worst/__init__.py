"""The best and the worst of several images."""

from __future__ import annotations

from typing import ClassVar, Literal

from easel.forms.components.base import Answer, AnswerContext, AnswerError, BaseComponent, FormView, Group, Order


class BestWorst(BaseComponent):
    """The best and the worst of several images: `{"best": "c3", "worst": "c1"}`.

    Best-worst scaling (Louviere, Flynn and Marley 2015): of four images two choices tell five of the six pairs.
    """

    title: ClassVar[str] = "Best and worst"
    group: ClassVar[Group] = "judgement"
    answers: ClassVar[bool] = True
    orders: ClassVar[bool] = True
    ties_are_equal: ClassVar[bool] = False

    type: Literal["best_worst"]

    def misfit(self, form: FormView) -> str:
        """Best and worst need three images."""
        return form.needs_images(self, "names the best and the worst image", least=3)

    def is_missing(self, context: AnswerContext) -> bool:
        """It may be left out where the annotator said that no image is acceptable."""
        return super().is_missing(context) and not any(value is True for value in context.answers.values())

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take two different candidates of the item."""
        if not isinstance(answer, dict) or set(answer) != {"best", "worst"}:
            raise AnswerError('must name both, as {"best": id, "worst": id}')
        for candidate in answer.values():
            if not isinstance(candidate, str) or candidate not in context.candidates:
                raise AnswerError(f"names {str(candidate)[:60]!r}, which is no candidate of this item")
        if answer["best"] == answer["worst"]:
            raise AnswerError("names one image as the best and as the worst; choose two")
        return {"best": answer["best"], "worst": answer["worst"]}

    def order(self, answer: Answer, context: AnswerContext) -> Order:
        """The best, all the others on one place between, the worst; the others were not compared with each other."""
        middle = sorted(context.candidates - set(answer.values()))
        return [[answer["best"]], *([middle] if middle else []), [answer["worst"]]]

    def cells(self, answer: Answer) -> dict[str, object]:
        """A column for each."""
        return {f"{self.name}.best": answer["best"], f"{self.name}.worst": answer["worst"]}

    def columns(self) -> tuple[str, ...]:
        """A column for each."""
        return (f"{self.name}.best", f"{self.name}.worst")
