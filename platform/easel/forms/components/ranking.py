"""Ordered groups of candidates, best first."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from easel.forms.components.base import Answer, AnswerContext, AnswerError, BaseComponent


class Ranking(BaseComponent):
    """A ranking with ties: `[["c3"], ["c1", "c4"], ["c2"]]`. Candidates left out are unranked (a partial ranking)."""

    type: Literal["ranking"]
    answers = True
    ties: bool = True
    levels: int = Field(default=5, ge=2, le=9, description="At most this many places.")
    partial: bool = Field(default=True, description="Whether candidates may be left unranked.")

    def is_missing(self, context: AnswerContext) -> bool:
        """A ranking may be left out where the annotator said that no image is acceptable."""
        return super().is_missing(context) and not any(value is True for value in context.answers.values())

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take groups of the item's own candidates, each at most once."""
        if not isinstance(answer, list) or not all(isinstance(group, list) for group in answer):
            raise AnswerError("must be a list of groups, best first, as [[id], [id, id]]")
        if any(not group for group in answer):
            raise AnswerError("holds an empty group; leave it out")
        ids = [candidate for group in answer for candidate in group]
        if not all(isinstance(candidate, str) for candidate in ids):
            raise AnswerError("must hold candidate ids as texts")
        if unknown := [candidate for candidate in ids if candidate not in context.candidates]:
            raise AnswerError(f"names {unknown[0][:60]!r}, which is no candidate of this item")
        if len(set(ids)) < len(ids):
            doubled = next(candidate for candidate in ids if ids.count(candidate) > 1)
            raise AnswerError(f"names candidate {doubled} twice; rank each image once")
        if not self.ties and any(len(group) > 1 for group in answer):
            raise AnswerError("holds a tie, and this template takes none")
        if len(answer) > self.levels:
            raise AnswerError(f"has {len(answer)} places; at most {self.levels} are taken")
        if answer and not self.partial and len(ids) < len(context.candidates):
            raise AnswerError(f"leaves {len(context.candidates) - len(ids)} images unranked; rank them all")
        return answer
