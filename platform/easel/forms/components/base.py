"""What every component has, and what an answer is checked against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from easel.forms.conditions import Condition, Name, is_empty

if TYPE_CHECKING:
    from easel.forms.components import Component

LARGEST = 1e12
Answer = Any  # JSON; each component narrows its own
Value = Any  # JSON: what is filled in for an attempt
Order = list[list[str]]  # candidate ids, best first; those in one group are equal
Group = Literal["inputs", "generation", "media", "judgement", "layout"]


class AnswerError(Exception):
    """An answer breaks a component's rule; the message is for the person who gave it."""


@dataclass(frozen=True)
class AnswerContext:
    """What an answer may refer to."""

    candidates: frozenset[str]
    """Ids of the item's candidates."""
    answers: Mapping[str, Any]
    """All answers as they were given, so that one component can look at another's."""
    checked: Mapping[str, Any] = field(default_factory=dict)
    """Those of the components before this one, in their stored form: what conditions look at."""
    text: str = ""
    """The prompt's text."""


class BaseComponent(BaseModel):
    """The fields that all components share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]
    """What the builder calls it."""
    group: ClassVar[Group]
    """Where it stands in the builder's palette."""
    answers: ClassVar[bool] = False
    """Whether people answer it; the others only show something, or are filled in for an attempt."""
    orders: ClassVar[bool] = False
    """Whether its answer says which candidates are better than which."""
    ties_are_equal: ClassVar[bool] = True
    """Whether candidates in one group of its order were judged equal; else they were not compared with each other."""
    needs_text: ClassVar[bool] = False
    """Whether its answers are checked against the prompt's text."""

    type: str
    name: Name
    label: str = Field(default="", max_length=200)
    help: str = Field(default="", max_length=1_000)
    required: bool = False
    exclude: bool = Field(default=False, description="Leave it out of exports.")
    visible_if: Condition | None = Field(default=None, description="Show it only where this holds.")
    required_if: Condition | None = Field(default=None, description="Ask for an answer where this holds.")
    formerly: tuple[Name, ...] = Field(
        default=(), max_length=20, description="Names that it had in earlier versions: their answers stay its own."
    )

    @property
    def asks(self) -> bool:
        """Whether it is filled in for an attempt, before there are images."""
        return False

    @property
    def images(self) -> int:
        """How many images it shows."""
        return 0

    @property
    def children(self) -> tuple[BaseComponent, ...]:
        """The components inside it."""
        return ()

    def misfit(self, form: FormView) -> str:
        """Say why it does not fit the form that it stands in, and what would mend it; "" where it does."""
        return ""

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Return the answer in its stored form. Raises AnswerError when it breaks a rule."""
        raise AnswerError("takes no answer")

    def ask(self, value: Value) -> dict[str, Any]:
        """Return what a value means for an attempt, as fields of `AttemptValues`. Raises AnswerError."""
        raise AnswerError("is not filled in")

    def is_missing(self, context: AnswerContext) -> bool:
        """Tell whether a required answer is not there."""
        return is_empty(context.answers.get(self.name))

    def is_required(self, context: AnswerContext) -> bool:
        """Tell whether it has to be answered, as things stand."""
        return self.required or (self.required_if is not None and self.required_if.holds(context.checked))

    def order(self, answer: Answer, context: AnswerContext) -> Order:
        """Return which candidates a checked answer puts before which."""
        return []

    def says_all_bad(self, answer: Answer) -> bool:
        """Tell whether a checked answer calls no candidate acceptable."""
        return False

    def words(self, answer: Answer, letters: Mapping[str, str], text: str) -> str:
        """A checked answer as people read it, or "" where the images themselves show it.

        letters: what the images were called, by id. text: the prompt.
        """
        labels = {option.value: option.label or option.value for option in getattr(self, "options", ())}
        given = answer if isinstance(answer, list) else [answer]
        return "" if self.orders else ", ".join(labels.get(str(one), str(one)) for one in given)

    def columns(self) -> tuple[str, ...]:
        """The columns that it has in a table of answers."""
        return (self.name,)

    def cells(self, answer: Answer) -> dict[str, object]:
        """A checked answer in these columns."""
        return {self.name: "; ".join(map(str, answer)) if isinstance(answer, list) else answer}


class LayoutComponent(BaseComponent):
    """A component that holds others."""

    components: tuple[Component, ...] = Field(min_length=1, max_length=100)

    @property
    def children(self) -> tuple[BaseComponent, ...]:
        """The components inside it."""
        return self.components


class FormView:
    """A form as its components see it: flat, in the order in which people meet them."""

    def __init__(self, components: Iterable[BaseComponent]) -> None:
        self.components = tuple(components)
        self.types = [component.type for component in self.components]

    def before(self, component: BaseComponent) -> Iterator[BaseComponent]:
        """The components above one."""
        for other in self.components:
            if other is component:
                return
            yield other

    @property
    def images(self) -> int:
        """How many images an item shows."""
        return max((component.images for component in self.components), default=0)

    def needs_images(self, component: BaseComponent, does: str, least: int = 1, most: int = 9) -> str:
        """Say why a component that judges images cannot, or ""."""
        if not self.images:
            return f"{does}, and the form has no image grid; add one before it"
        if not any(other.images for other in self.before(component)):
            return f"{does}, and stands before them; move it below the images"
        if not least <= self.images <= most:
            wanted = f"{least}" if least == most else f"at least {least}"
            return f"{does}, and the form shows {self.images}; have its image grid show {wanted}"
        return ""

    def shows_images_once(self, component: BaseComponent) -> str:
        """Say that a form shows its images already, or ""."""
        return (
            "shows the images a second time; keep one" if any(other.images for other in self.before(component)) else ""
        )


class Option(BaseModel):
    """One of the things that can be chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,39}$")] = Field(
        description="What answers and exports say: letters, digits, _ . and -"
    )
    label: str = Field(default="", max_length=200, description="What people read; empty: the value.")


def _differ(options: tuple[Option, ...]) -> tuple[Option, ...]:
    values = [option.value for option in options]
    if doubled := [value for value in values if values.count(value) > 1]:
        raise ValueError(f"two options have the value {doubled[0]!r}; values must differ")
    return options


Options = Annotated[tuple[Option, ...], Field(min_length=1, max_length=50), AfterValidator(_differ)]


def checked_text(answer: Answer, most: int, *, lines: bool = True) -> str:
    """Take a text of at most so many characters, without the space around it; of one line unless `lines`."""
    if not isinstance(answer, str):
        raise AnswerError("must be a text")
    if "\x00" in answer:
        raise AnswerError("holds a zero character; remove it")
    if len(answer) > most:
        raise AnswerError(f"has {len(answer)} characters; at most {most} are taken")
    text = answer.strip()
    if not lines and len(text.splitlines()) > 1:
        raise AnswerError("has more than one line; write it in one")
    return text


def checked_number(answer: Answer, least: float | None, most: float | None, *, whole: bool = False) -> int | float:
    """Take a number within limits."""
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        raise AnswerError("must be a number")
    if not -LARGEST <= answer <= LARGEST:  # nor what is not finite
        raise AnswerError("is too large a number")
    if whole and answer != int(answer):
        raise AnswerError("must be a whole number")
    if least is not None and answer < least:
        raise AnswerError(f"is {answer:g}; at least {least:g} is taken")
    if most is not None and answer > most:
        raise AnswerError(f"is {answer:g}; at most {most:g} is taken")
    return int(answer) if whole else answer


def checked_level(answer: Answer, levels: int) -> int:
    """Take a whole number from 1 to the levels."""
    if isinstance(answer, bool) or not isinstance(answer, int) or not 1 <= answer <= levels:
        raise AnswerError(f"must be a whole number from 1 to {levels}")
    return answer


def checked_option(answer: Answer, options: Sequence[Option]) -> str:
    """Take the value of an option."""
    values = [option.value for option in options]
    if not isinstance(answer, str):
        raise AnswerError("must be the value of an option, as a text")
    if answer not in values:
        raise AnswerError(f"{answer[:60]!r} is no option; choose one of: {', '.join(values)}")
    return answer


def checked_options(answer: Answer, options: Sequence[Option], most: int | None = None) -> list[str]:
    """Take a list of the values of options, each once; they come back in the options' order."""
    values = [option.value for option in options]
    if not isinstance(answer, list) or not all(isinstance(one, str) for one in answer):
        raise AnswerError("must be a list of the values of options")
    for one in answer:
        if one not in values:
            raise AnswerError(f"{one[:60]!r} is no option; choose from: {', '.join(values)}")
        if answer.count(one) > 1:
            raise AnswerError(f"names {one!r} twice")
    if most is not None and len(answer) > most:
        raise AnswerError(f"has {len(answer)} choices; at most {most} are taken")
    return [value for value in values if value in answer]


def of_candidates(answer: Answer, context: AnswerContext) -> dict[str, Any]:
    """Take an object with an entry for candidates of the item."""
    if not isinstance(answer, dict):
        raise AnswerError("must be an object with an entry for each image")
    for candidate in answer:
        if candidate not in context.candidates:
            raise AnswerError(f"names {candidate[:60]!r}, which is no candidate of this item")
    return answer


def by_letter(found: Mapping[str, str], letters: Mapping[str, str]) -> str:
    """Words about images, each after the letter that its image had, in the order of letters."""
    said = sorted((letters.get(one, "?"), words) for one, words in found.items() if words)
    return "; ".join(f"{letter}: {words}" for letter, words in said)
