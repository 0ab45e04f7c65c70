"""What every component has, and what an answer is checked against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Answer = Any  # JSON; each component narrows its own


class AnswerError(Exception):
    """An answer breaks a component's rule; the message is for the person who gave it."""


@dataclass(frozen=True)
class AnswerContext:
    """What an answer may refer to."""

    candidates: frozenset[str]
    """Ids of the item's candidates."""
    answers: Mapping[str, Any]
    """All answers, so that one component can look at another's."""


class BaseComponent(BaseModel):
    """The fields that all components share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: ClassVar[bool] = False
    """Whether people answer it; the others only show something."""

    name: Name
    label: str = Field(default="", max_length=200)
    help: str = Field(default="", max_length=1_000)
    required: bool = False
    exclude: bool = Field(default=False, description="Leave it out of exports.")

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Return the answer in its stored form. Raises AnswerError when it breaks a rule."""
        raise AnswerError("takes no answer")

    def is_missing(self, context: AnswerContext) -> bool:
        """Tell whether a required answer is not there."""
        return context.answers.get(self.name) in (None, "", [], {})
