"""Conditions of a template: whether a component is shown, or asked for, by another one's answer.

The page decides the same in static/easel/form/conditions.js; tests/easel/forms/conditions.json holds both to one table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Op = Literal["is", "is_not", "contains", "at_least", "at_most", "answered", "empty"]
WORDS: dict[str, str] = {
    "is": "is",
    "is_not": "is not",
    "contains": "contains",
    "at_least": "is at least",
    "at_most": "is at most",
    "answered": "is answered",
    "empty": "is not answered",
}
_ALONE = {"answered", "empty"}


def is_empty(answer: Any) -> bool:
    """Tell whether nothing was answered; false and 0 are answers."""
    return answer is None or answer in ("", [], {})


class Condition(BaseModel):
    """One comparison with the answer of a component above."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(description="The component whose answer is looked at; it stands before this one.")
    op: Op
    value: bool | float | Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="What the answer is compared with; none for answered and empty."
    )

    @model_validator(mode="after")
    def _value_fits_op(self) -> Self:
        if self.op in _ALONE and self.value is not None:
            raise ValueError(f"{self.op!r} takes no value; leave it out")
        if self.op not in _ALONE and self.value is None:
            raise ValueError(f"{self.op!r} needs a value to compare with")
        if self.op in {"at_least", "at_most"} and (isinstance(self.value, bool) or not isinstance(self.value, float)):
            raise ValueError(f"{self.op!r} compares with a number")
        return self

    def holds(self, answers: Mapping[str, Any]) -> bool:
        """Tell whether it holds for these answers; one that is not there is empty."""
        answer: Any = answers.get(self.name)
        match self.op:
            case "answered":
                return not is_empty(answer)
            case "empty":
                return is_empty(answer)
            case "is":
                return _same(answer, self.value)
            case "is_not":
                return not _same(answer, self.value)
            case "contains":
                return _contains(answer, self.value)
            case "at_least":
                return _is_number(answer) and bool(answer >= cast("float", self.value))
            case "at_most":
                return _is_number(answer) and bool(answer <= cast("float", self.value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(answer: Any, value: Any) -> bool:
    # True is 1 in Python and not in JSON.
    if isinstance(answer, bool) or isinstance(value, bool):
        return answer is value
    return bool(answer == value)


def _contains(answer: Any, value: Any) -> bool:
    if isinstance(answer, list):
        return any(_same(one, value) for one in answer)
    return isinstance(answer, str) and isinstance(value, str) and value.casefold() in answer.casefold()
