"""A template's definition: data, never code. One place validates definitions and answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from easel.common.documents import fault_of
from easel.common.errors import InvalidInput
from easel.forms.components import Answer, AnswerContext, AnswerError, Component, ImageGrid

MAX_BYTES = 256 * 1024
MAX_ANSWER_BYTES = 64 * 1024


class InvalidAnswers(InvalidInput):
    """Answers that break a component's rule; `fields` names the components."""

    code = "invalid_answers"


class InvalidDefinition(InvalidInput):
    """A template definition that breaks the schema."""

    code = "invalid_definition"


class Definition(BaseModel):
    """The whole form: its components in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    components: tuple[Component, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Definition:
        names = [component.name for component in self.components]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two components are named {name!r}; names must differ, answers are kept under them")
        return self

    @model_validator(mode="after")
    def _a_ranking_has_images(self) -> Definition:
        types = [component.type for component in self.components]
        if "ranking" in types and "image_grid" not in types:
            raise ValueError("the form has a ranking and no image grid; add one before it")
        return self

    @property
    def images(self) -> int:
        """How many images an item of this form shows."""
        return next((part.count for part in self.components if isinstance(part, ImageGrid)), 0)

    def first(self, kind: str) -> str | None:
        """Return the name of the first component of a type."""
        return next((component.name for component in self.components if component.type == kind), None)

    def check_answers(self, answers: Mapping[str, Answer], candidates: Iterable[str]) -> dict[str, Answer]:
        """Return the answers in their stored form.

        Raises InvalidAnswers that names every component whose answer is wrong, missing or unknown.
        """
        if fault := fault_of(answers, MAX_ANSWER_BYTES, zeros=True):
            raise InvalidAnswers(f"The body of the answers {fault}.")
        context = AnswerContext(candidates=frozenset(candidates), answers=answers)
        known = {component.name: component for component in self.components if component.answers}
        problems: dict[str, list[str]] = {
            name: ["is no component of this template"] for name in answers if name not in known
        }
        checked: dict[str, Answer] = {}
        for name, component in known.items():
            if component.is_missing(context):
                if component.required:
                    problems[name] = ["is required"]
                continue
            if answers.get(name) is None:
                continue
            try:
                checked[name] = component.check(answers[name], context)
            except AnswerError as error:
                problems[name] = [str(error)]
        if problems:
            detail = "; ".join(f"{name[:60]} {messages[0]}" for name, messages in problems.items())
            raise InvalidAnswers(f"{detail}.", fields=problems)
        return checked


def parse_definition(data: Any) -> Definition:
    """Read a definition. Raises InvalidDefinition that names the component and what is wrong with it."""
    if fault := fault_of(data, MAX_BYTES):
        raise InvalidDefinition(f"The definition {fault}.")
    try:
        return Definition.model_validate(data)
    except ValidationError as error:
        fields: dict[str, list[str]] = {}
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"]) or "definition"
            fields.setdefault(where, []).append(problem["msg"].removeprefix("Value error, "))
        detail = "; ".join(f"{where}: {messages[0]}" for where, messages in fields.items())
        raise InvalidDefinition(f"{detail}.", fields=fields) from error
