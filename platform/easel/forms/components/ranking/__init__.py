"""Ordered groups of candidates, best first."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from easel.forms.components.base import Answer, AnswerContext, AnswerError, BaseComponent, FormView, Group, Order
from easel.forms.conditions import is_empty


class Ranking(BaseComponent):
    """A ranking with ties: `[["c3"], ["c1", "c4"], ["c2"]]`. Candidates left out are unranked (a partial ranking).

    With `buckets` the places have names, and an answer has a group for each of them, which may be empty.
    """

    title: ClassVar[str] = "Ranking"
    group: ClassVar[Group] = "judgement"
    answers: ClassVar[bool] = True
    orders: ClassVar[bool] = True

    type: Literal["ranking"]
    ties: bool = Field(default=True, description="Whether images may share a place.")
    levels: int = Field(default=5, ge=2, le=9, description="At most this many places.")
    partial: bool = Field(default=True, description="Whether candidates may be left unranked.")
    buckets: tuple[Annotated[str, StringConstraints(min_length=1, max_length=40)], ...] = Field(
        default=(),
        max_length=9,
        description="Names of the places, best first, to sort images into; empty: plain places.",
    )

    @model_validator(mode="after")
    def _buckets_are_places(self) -> Self:
        if len(self.buckets) == 1:
            raise ValueError("one bucket sorts nothing; name two or more, or none")
        if len(set(self.buckets)) < len(self.buckets):
            raise ValueError("two buckets have one name; names must differ")
        return self

    def misfit(self, form: FormView) -> str:
        """A ranking needs images before it."""
        return form.needs_images(self, "ranks images", least=2)

    def is_missing(self, context: AnswerContext) -> bool:
        """A ranking may be left out where the annotator said that no image is acceptable."""
        given = context.answers.get(self.name)
        if any(given) if isinstance(given, list) else not is_empty(given):
            return False
        return not any(value is True for value in context.answers.values())

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take groups of the item's own candidates, each at most once."""
        if not isinstance(answer, list) or not all(isinstance(group, list) for group in answer):
            raise AnswerError("must be a list of groups, best first, as [[id], [id, id]]")
        if self.buckets:
            if answer and len(answer) != len(self.buckets):
                raise AnswerError(f"must have a group for each of the {len(self.buckets)} buckets; empty ones count")
        elif any(not group for group in answer):
            raise AnswerError("holds an empty group; leave it out")
        ids = [candidate for group in answer for candidate in group]
        if not all(isinstance(candidate, str) for candidate in ids):
            raise AnswerError("must hold candidate ids as texts")
        if unknown := [candidate for candidate in ids if candidate not in context.candidates]:
            raise AnswerError(f"names {unknown[0][:60]!r}, which is no candidate of this item")
        if len(set(ids)) < len(ids):
            doubled = next(candidate for candidate in ids if ids.count(candidate) > 1)
            raise AnswerError(f"names candidate {doubled} twice; rank each image once")
        if not self.buckets and not self.ties and any(len(group) > 1 for group in answer):
            raise AnswerError("holds a tie, and this template takes none")
        if not self.buckets and len(answer) > self.levels:
            raise AnswerError(f"has {len(answer)} places; at most {self.levels} are taken")
        if answer and not self.partial and len(ids) < len(context.candidates):
            raise AnswerError(f"leaves {len(context.candidates) - len(ids)} images unranked; rank them all")
        return answer

    def order(self, answer: Answer, context: AnswerContext) -> Order:
        """The groups that hold images."""
        return [group for group in answer if group]

    def cells(self, answer: Answer) -> dict[str, object]:
        """The ranking in one cell: `c3 > c1 = c4 > c2`."""
        return {self.name: " > ".join(" = ".join(group) if group else "-" for group in answer)}
