"""Words of one's own."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from easel.forms.components.base import Answer, AnswerContext, AnswerError, BaseComponent, Group, checked_text

MAX_TAG = 60


class Tags(BaseComponent):
    """Words of one's own, with suggestions."""

    title: ClassVar[str] = "Tags"
    group: ClassVar[Group] = "inputs"
    answers: ClassVar[bool] = True

    type: Literal["tags"]
    suggestions: tuple[Annotated[str, StringConstraints(min_length=1, max_length=MAX_TAG)], ...] = Field(
        default=(), max_length=100
    )
    only_suggested: bool = Field(default=False, description="Whether only suggested tags are taken.")
    most: int = Field(default=10, ge=1, le=50, description="At most this many tags.")

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take a list of different texts; surrounding space is dropped."""
        if not isinstance(answer, list):
            raise AnswerError("must be a list of texts")
        tags = [checked_text(tag, MAX_TAG, lines=False) for tag in answer]
        if not all(tags):
            raise AnswerError("holds an empty tag; leave it out")
        if len(set(tags)) < len(tags):
            raise AnswerError("names a tag twice")
        if len(tags) > self.most:
            raise AnswerError(f"has {len(tags)} tags; at most {self.most} are taken")
        if self.only_suggested and (own := [tag for tag in tags if tag not in self.suggestions]):
            raise AnswerError(f"{own[0]!r} is not among the suggested tags")
        return tags
