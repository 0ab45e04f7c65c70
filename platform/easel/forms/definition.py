"""A template's definition: data, never code. One place validates definitions and answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from easel.common.documents import fault_of
from easel.common.errors import InvalidInput
from easel.forms.components import Answer, AnswerContext, AnswerError, BaseComponent, Component
from easel.forms.conditions import is_empty

SCHEMA_VERSION = 1
MAX_ANSWER_BYTES = 64 * 1024


class InvalidAnswers(InvalidInput):
    """Answers that break a component's rule; `fields` names the components."""

    code = "invalid_answers"


@dataclass(frozen=True)
class AttemptValues:
    """What an annotator asks for in a live form."""

    prompt: str = ""
    negative: str = ""
    model: UUID | None = None
    """None: the project's own."""
    count: int = 4
    """Images."""
    seed: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    """Fields of generation.types.RenderSettings."""


class Definition(BaseModel):
    """The whole form: its components in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    components: tuple[Component, ...] = Field(min_length=1, max_length=100)

    def walk(self) -> Iterator[BaseComponent]:
        """Every component in the order in which people meet them; those inside another come after it."""
        waiting = list(reversed(self.components))
        while waiting:
            component = waiting.pop()
            yield component
            waiting += reversed(component.children)

    @property
    def images(self) -> int:
        """How many images an item of this form shows."""
        return max((part.images for part in self.walk()), default=0)

    @property
    def live(self) -> bool:
        """Whether annotators write the prompts and have the images generated."""
        return self.first("generate") is not None

    @property
    def orders(self) -> bool:
        """Whether its answers say which images are better than which."""
        return any(part.orders for part in self.walk())

    @property
    def needs_text(self) -> bool:
        """Whether answers are checked against the prompt's text."""
        return any(part.needs_text for part in self.walk())

    def first(self, kind: str) -> str | None:
        """Return the name of the first component of a type."""
        return next((component.name for component in self.walk() if component.type == kind), None)

    def check_answers(
        self, answers: Mapping[str, Answer], candidates: Iterable[str], text: str = ""
    ) -> dict[str, Answer]:
        """Return the answers in their stored form.

        candidates: ids of the item's images. text: its prompt, which marks on words need.
        Raises InvalidAnswers that names every component whose answer is wrong, missing, hidden or unknown.
        """
        if fault := fault_of(answers, MAX_ANSWER_BYTES, zeros=True):
            raise InvalidAnswers(f"The body of the answers {fault}.")
        checked: dict[str, Answer] = {}
        context = AnswerContext(frozenset(candidates), answers, checked, text)
        known = {component.name for component in self.walk() if component.answers}
        problems = {name: ["is no component of this template"] for name in answers if name not in known}
        for component, shown in _in_view(self.components, checked):
            if not component.answers:
                continue
            given = answers.get(component.name)
            if not shown:
                if given is not None:
                    problems[component.name] = ["is hidden by a condition; leave it out"]
                continue
            if component.is_missing(context) and component.is_required(context):
                problems[component.name] = ["is required"]
                continue
            if given is None or given == "":
                continue
            try:
                answer = component.check(given, context)
            except AnswerError as error:
                problems[component.name] = [str(error)]
                continue
            if not is_empty(answer):
                checked[component.name] = answer
            elif component.is_required(context) and component.is_missing(_without(component, context)):
                problems[component.name] = ["is required"]
        _refuse(problems)
        return checked

    def check_attempt(self, values: Mapping[str, Any]) -> AttemptValues:
        """Return what filled-in components ask to be generated. Raises InvalidAnswers that names what is wrong."""
        if fault := fault_of(values, MAX_ANSWER_BYTES):
            raise InvalidAnswers(f"The body of the attempt {fault}.")
        asking = {component.name: component for component in self.walk() if component.asks}
        problems = {name: ["is not filled in for an attempt"] for name in values if name not in asking}
        if not self.live:
            raise InvalidAnswers("This form generates no images: it has no generate button.")
        found: dict[str, Any] = {"count": self.images}
        for name, component in asking.items():
            value = values.get(name)
            if value is None or (isinstance(value, str) and not value.strip()):
                if component.required or component.type == "prompt":
                    problems[name] = ["is required"]
                continue
            try:
                found |= component.ask(value)
            except AnswerError as error:
                problems[name] = [str(error)]
        _refuse(problems)
        return AttemptValues(**found)

    def ranking_of(self, checked: Mapping[str, Answer], candidates: Iterable[str]) -> list[list[str]]:
        """Return which candidates checked answers put before which, by the first component that says so."""
        context = AnswerContext(frozenset(candidates), checked, checked)
        for part in self.walk():
            if part.orders and part.name in checked:
                return part.order(checked[part.name], context)
        return []

    def ties_are_equal(self, checked: Mapping[str, Answer]) -> bool:
        """Tell whether candidates on one place of `ranking_of` were judged equal, or not compared with each other."""
        said = next((part for part in self.walk() if part.orders and part.name in checked), None)
        return said is None or said.ties_are_equal

    def all_bad_of(self, checked: Mapping[str, Answer]) -> bool:
        """Tell whether checked answers call no candidate acceptable."""
        return any(part.says_all_bad(checked[part.name]) for part in self.walk() if part.name in checked)

    def columns(self) -> list[str]:
        """The columns of a table of answers."""
        return [column for part in self._exported() for column in part.columns()]

    def cells(self, checked: Mapping[str, Answer]) -> dict[str, object]:
        """Checked answers in these columns."""
        return {
            column: cell
            for part in self._exported()
            if part.name in checked
            for column, cell in part.cells(checked[part.name]).items()
        }

    def words(self, checked: Mapping[str, Answer], letters: Mapping[str, str], text: str) -> list[tuple[str, str]]:
        """Checked answers as people read them: a component's label and what was answered."""
        told = ((part, part.words(checked[part.name], letters, text)) for part in self.walk() if part.name in checked)
        return [(part.label or part.title, words) for part, words in told if words]

    def translated(self, answers: Mapping[str, Answer]) -> dict[str, Answer]:
        """Answers of an earlier version under the names that their components have now.

        A component may have taken the name of one that is gone: then its own answer, under its former name, counts.
        """
        now = {old: part.name for part in self.walk() for old in part.formerly}
        kept = {name: answer for name, answer in answers.items() if name not in now}
        return kept | {now[name]: answer for name, answer in answers.items() if name in now}

    def excluded(self) -> frozenset[str]:
        """The names of the components that exports leave out: those marked so, and all that is inside them."""
        return frozenset(_excluded(self.components))

    def _exported(self) -> Iterator[BaseComponent]:
        excluded = self.excluded()
        return (part for part in self.walk() if part.answers and part.name not in excluded)


def _in_view(
    components: Iterable[BaseComponent], checked: Mapping[str, Answer], shown: bool = True
) -> Iterator[tuple[BaseComponent, bool]]:
    """Yield every component in order, and whether it is shown given the answers that were checked until then."""
    for component in components:
        visible = shown and (component.visible_if is None or component.visible_if.holds(checked))
        yield component, visible
        yield from _in_view(component.children, checked, visible)


def _excluded(components: Iterable[BaseComponent], within: bool = False) -> Iterator[str]:
    for component in components:
        left_out = within or component.exclude
        if left_out:
            yield component.name
        yield from _excluded(component.children, left_out)


def _without(component: BaseComponent, context: AnswerContext) -> AnswerContext:
    return replace(context, answers={**context.answers, component.name: None})


def _refuse(problems: dict[str, list[str]]) -> None:
    if problems:
        detail = "; ".join(f"{name[:60]} {messages[0]}" for name, messages in problems.items())
        raise InvalidAnswers(f"{detail}.", fields=problems)
