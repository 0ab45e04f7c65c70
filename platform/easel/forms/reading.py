"""Reading a definition from JSON: taken whole, or refused with the place of everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from easel.common.documents import fault_of
from easel.common.errors import InvalidInput
from easel.forms.components import BY_TYPE, BaseComponent
from easel.forms.components.base import FormView
from easel.forms.conditions import Condition
from easel.forms.definition import SCHEMA_VERSION, Definition

MAX_BYTES = 256 * 1024
MAX_COMPONENTS = 100
MAX_LAYERS = 8
"""Of layout components, one inside the other."""
MAX_PROPERTIES = 50
MAX_PROBLEMS = 50


class InvalidDefinition(InvalidInput):
    """A template definition that breaks the schema."""

    code = "invalid_definition"


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a definition."""

    place: str
    """As `components.2.components.0.levels`; empty: the definition as a whole."""
    name: str
    """The component's name, where it has one."""
    message: str


def parse_definition(data: Any) -> Definition:
    """Read a definition. Raises InvalidDefinition that names the components and what is wrong with them."""
    definition, problems = _read(data)
    if definition is None or problems:
        fields: dict[str, list[str]] = {}
        for problem in problems:
            fields.setdefault(problem.place or "definition", []).append(problem.message)
        raise InvalidDefinition(" ".join(map(_sentence, problems[:5])), fields=fields)
    return definition


def problems_of(data: Any) -> list[Problem]:
    """Return all that is wrong with a definition; nothing where it can be published."""
    return _read(data)[1]


def _sentence(problem: Problem) -> str:
    of = f"“{problem.name}” " if problem.name else f"{problem.place} " if problem.place else "The definition "
    _, _, last = problem.place.rpartition(".")
    part = f"({last}) " if problem.name and last and not last.isdigit() else ""
    return f"{of}{part}{problem.message}."


def _read(data: Any) -> tuple[Definition | None, list[Problem]]:
    if not isinstance(data, dict):
        return None, [Problem("", "", "must be an object with a list of components")]
    if message := _too_much(data):
        return None, [Problem("", "", message)]
    if fault := fault_of(data, MAX_BYTES):
        return None, [Problem("", "", fault)]
    version = data.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        message = (
            f"is of schema {version}, made by a newer Easel; this one reads schema {SCHEMA_VERSION}. "
            "Update Easel, or save the form with the older one"
        )
        return None, [Problem("schema_version", "", message)]
    try:
        definition = Definition.model_validate(data)
    except ValidationError as error:
        # A list whose items are wrong is called too short as well: that says nothing of its own.
        told = [one for one in error.errors() if not (one["type"] == "too_short" and one["input"])]
        return None, [_problem(one, data) for one in told[:MAX_PROBLEMS]]
    return definition, list(_misfits(definition))[:MAX_PROBLEMS]


def _too_much(data: Mapping[str, Any]) -> str:
    """Say that there are too many components or too deep ones, before anything is made of them."""
    if len(data) > MAX_PROPERTIES:
        return f"has {len(data):,} properties; a definition has components and a schema_version"
    count, waiting = 0, [(data.get("components"), 0)]
    while waiting:
        parts, layer = waiting.pop()
        if not isinstance(parts, list):
            continue
        count += len(parts)
        if layer > MAX_LAYERS:
            return f"has groups more than {MAX_LAYERS} deep; take some out of others"
        within = [part for part in parts if isinstance(part, dict)]
        if (most := max(map(len, within), default=0)) > MAX_PROPERTIES:
            return f"has a component with {most:,} properties; none has more than {MAX_PROPERTIES}"
        waiting += [(part.get("components"), layer + 1) for part in within]
    if count > MAX_COMPONENTS:
        return f"has {count:,} components; at most {MAX_COMPONENTS} are taken. Split the form in two"
    return ""


def _problem(error: ErrorDetails, data: Mapping[str, Any]) -> Problem:
    """What pydantic says, at a place as people count it and in words that say what to do."""
    at: Any = data
    place: list[str] = []
    name, kind, tag_next = "", "", False
    for step in error["loc"]:
        if tag_next and isinstance(step, str) and step == kind:
            tag_next = False
            continue
        place.append(str(step))
        at = (
            at[step]
            if isinstance(at, list) and isinstance(step, int) and step < len(at)
            else (at.get(step) if isinstance(at, dict) else None)
        )
        if isinstance(step, int) and isinstance(at, dict) and place[-2:-1] == ["components"]:
            name = at["name"] if isinstance(at.get("name"), str) else ""
            kind, tag_next = str(at.get("type")), True
    return Problem(".".join(place), name[:40], _words(error, kind))


def _words(error: ErrorDetails, kind: str) -> str:
    given = str(error.get("input"))[:40]
    match error["type"]:
        case "union_tag_invalid":
            return f"{kind[:40]!r} is no component; there are: {', '.join(BY_TYPE)}"
        case "union_tag_not_found":
            return f"says no type; there are: {', '.join(BY_TYPE)}"
        case "extra_forbidden":
            return f"is no property of {'a ' + kind if kind else 'a definition'}; remove it"
        case "missing":
            return "is missing"
        case "too_short":
            return "is empty; add a component" if error["loc"][-1] == "components" else "is empty; add one"
        case "string_pattern_mismatch" if error["loc"][-1] in {"name", "formerly"}:
            return f"{given!r} cannot be a name: small letters, digits and _, a letter first, at most 40"
        case "string_pattern_mismatch":
            return f"{given!r} cannot be a value: letters, digits, _ . and -, at most 40"
    message = error["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _misfits(definition: Definition) -> Iterator[Problem]:
    """What is wrong with components beside each other: names, conditions, and what each says of its form."""
    form = FormView(definition.walk())
    places = {id(component): place for place, component in placed(definition.components)}
    seen: dict[str, BaseComponent] = {}
    for component in form.components:
        if component.name in seen:
            message = f"two components are named {component.name!r}; rename one, answers are kept under their names"
            yield Problem(places[id(component)], component.name, message)
        seen.setdefault(component.name, component)
    owners: dict[str, BaseComponent] = {}
    for component in form.components:
        place = places[id(component)]
        for old in component.formerly:
            owner = owners.setdefault(old, component)
            if old in seen:
                message = f"was named {old!r} before, and another component is named so now; rename that one"
                yield Problem(f"{place}.formerly", component.name, message)
            elif owner is not component:
                message = f"was named {old!r} before, and so was {owner.name!r}; remove {old!r} from one of the two"
                yield Problem(f"{place}.formerly", component.name, message)
        for which in ("visible_if", "required_if"):
            condition = getattr(component, which)
            if condition is not None and (message := _condition_fault(component, condition, form, seen)):
                yield Problem(f"{place}.{which}", component.name, message)
        if message := component.misfit(form):
            yield Problem(place, component.name, message)


def placed(components: tuple[BaseComponent, ...], above: str = "components") -> Iterator[tuple[str, BaseComponent]]:
    """Yield every component with its place, as `components.2.components.0`."""
    for number, component in enumerate(components):
        place = f"{above}.{number}"
        yield place, component
        yield from placed(component.children, f"{place}.components")


def _condition_fault(
    component: BaseComponent, condition: Condition, form: FormView, named: Mapping[str, BaseComponent]
) -> str:
    if component.asks:
        return "is filled in before there are answers, so it can have no condition; remove it"
    other = named.get(condition.name)
    if other is None:
        return (
            f"waits for {condition.name!r}, and there is no such component; choose another one, or remove the condition"
        )
    if _waits_for_itself(component, named):
        return f"waits for {condition.name!r}, which waits for it in turn; remove one of the conditions"
    if not any(one is other for one in form.before(component)):
        return f"waits for {condition.name!r}, which comes later; move that one above it"
    if not other.answers:
        return f"waits for {condition.name!r}, which takes no answer; choose another component"
    values = [option.value for option in getattr(other, "options", ())]
    if values and condition.op in {"is", "is_not", "contains"} and condition.value not in values:
        offered = ", ".join(values)
        return f"compares {other.name!r} with {str(condition.value)[:40]!r}, which is none of its options: {offered}"
    return ""


def _waits_for_itself(component: BaseComponent, named: Mapping[str, BaseComponent]) -> bool:
    met, waiting = set(), [component.name]
    while waiting:
        one = named.get(waiting.pop())
        for condition in (one.visible_if, one.required_if) if one is not None else ():
            if condition is None or condition.name in met:
                continue
            if condition.name == component.name:
                return True
            met.add(condition.name)
            waiting.append(condition.name)
    return False
