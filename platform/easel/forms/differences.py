"""What changed between two definitions: in words, and side by side.

Components are the same where they have the same name, or where the newer one says that it was `formerly` called so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from easel.forms.components.base import BaseComponent
from easel.forms.definition import Definition
from easel.forms.wording import change_in_words, property_in_words, quoted, title_of, value_in_words

Kind = Literal["same", "added", "removed", "renamed", "moved", "changed"]


@dataclass(frozen=True)
class Change:
    """One difference."""

    kind: Kind
    name: str
    """The component's name, the newer one where it has two."""
    words: str


@dataclass(frozen=True)
class Line:
    """A property as one side has it."""

    what: str
    value: str
    changed: bool


@dataclass(frozen=True)
class Side:
    """A component as one of the definitions has it."""

    name: str
    title: str
    label: str
    depth: int
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Row:
    """A component side by side: `old` is missing where it was added, `new` where it was removed."""

    kind: Kind
    old: Side | None
    new: Side | None


@dataclass(frozen=True)
class Placed:
    """A component and where it stands."""

    component: BaseComponent
    parent: BaseComponent | None
    before: BaseComponent | None
    """Its neighbour before it, in the same parent."""
    depth: int

    @property
    def name(self) -> str:
        """The component's name."""
        return self.component.name


def differences(old: Definition | None, new: Definition) -> list[Change]:
    """Return what changed, in the order of the newer definition; nothing to compare with: all was added."""
    return [change for pair in _pairs(old, new) for change in pair.changes()]


def side_by_side(old: Definition | None, new: Definition) -> list[Row]:
    """Return every component of both definitions, those that are the same beside each other."""
    return [pair.row() for pair in _pairs(old, new)]


@dataclass(frozen=True)
class _Pair:
    """A component in both definitions, or in one of them."""

    old: Placed | None
    new: Placed | None
    renames: dict[str, str]
    """New names by the old ones, of all components."""
    moved: bool = False

    def changes(self) -> Iterator[Change]:
        if self.new is None:
            assert self.old is not None
            yield Change("removed", self.old.name, f"{title_of(self.old.component)} was removed.")
            return
        name, title = self.new.name, title_of(self.new.component)
        if self.old is None:
            yield Change("added", name, f"{title} was added{_where(self.new)}.")
            return
        if self.old.name != name:
            words = (
                f"{title} is now named {quoted(name)}; its name was {quoted(self.old.name)}, whose answers it keeps."
            )
            yield Change("renamed", name, words)
        if self.moved:
            yield Change("moved", name, f"{title} was moved{_where(self.new)}.")
        was, now = self.old.component, self.new.component
        if type(was) is not type(now):
            kinds = f"was “{was.title}” and is “{now.title}” now"
            yield Change("changed", name, f"{quoted(now.label or name)} {kinds}.")
        for field, before, after in self._properties():
            subject = title_of(was) if field == "label" else title
            yield Change("changed", name, f"{subject}: {change_in_words(now, field, before, after)}")

    def row(self) -> Row:
        changed = {field for field, _, _ in self._properties()} if self.old and self.new else set()
        sides = [_side(placed, changed) if placed else None for placed in (self.old, self.new)]
        kinds = [change.kind for change in self.changes()]
        order: tuple[Kind, ...] = ("added", "removed", "changed", "renamed", "moved")
        return Row(next((kind for kind in order if kind in kinds), "same"), *sides)

    def _properties(self) -> list[tuple[str, Any, Any]]:
        """The properties that both have and that differ: name, old value, new value."""
        assert self.old is not None and self.new is not None
        before, after = _properties(self.old.component), _properties(self.new.component)
        for field in ("visible_if", "required_if"):  # a condition on a component that was renamed is the same one
            if isinstance(before.get(field), dict):
                before[field] = {
                    **before[field],
                    "name": self.renames.get(before[field].get("name"), before[field]["name"]),
                }
        if self.old.name != self.new.name:
            del before["formerly"]
        if type(self.old.component) is not type(self.new.component):
            before = {field: value for field, value in before.items() if field in BaseComponent.model_fields}
        return [
            (field, before[field], after[field]) for field in after if field in before and before[field] != after[field]
        ]


def _where(placed: Placed) -> str:
    """Say where a component stands, as ", after “Images”"."""
    inside = f" in {title_of(placed.parent)}" if placed.parent else ""
    if placed.before is None:
        return f"{inside}, at the beginning"
    return f"{inside}, after {quoted(placed.before.label or placed.before.name)}"


def _properties(component: BaseComponent) -> dict[str, Any]:
    return component.model_dump(mode="json", exclude={"type", "name", "components"})


def _side(placed: Placed, changed: set[str]) -> Side:
    component = placed.component
    lines = []
    for field, value in _properties(component).items():
        described = type(component).model_fields[field]
        plain = value == described.get_default(call_default_factory=True) or value in (None, [], "")
        if field == "label" or (plain and field not in changed):
            continue
        lines.append(Line(property_in_words(component, field), value_in_words(value), field in changed))
    label = component.label or component.name
    return Side(placed.name, component.title, label, placed.depth, tuple(lines))


def _placed(parts: Iterable[BaseComponent], parent: BaseComponent | None = None, depth: int = 0) -> Iterator[Placed]:
    before = None
    for part in parts:
        yield Placed(part, parent, before, depth)
        yield from _placed(part.children, part, depth + 1)
        before = part


def _pairs(old: Definition | None, new: Definition) -> list[_Pair]:
    """Return the components of both, in the newer one's order; removed ones after what stood before them."""
    mine = {placed.name: placed for placed in _placed(new.components)}
    theirs = {placed.name: placed for placed in _placed(old.components)} if old else {}
    matches = _matches(mine, theirs)
    renames = {was: name for name, was in matches.items()}
    moved = _moved(mine, theirs, matches)
    pairs = [_Pair(theirs.get(matches.get(name, "")), placed, renames, name in moved) for name, placed in mine.items()]
    places = {was: place for place, name in enumerate(mine) if (was := matches.get(name))}
    gone: dict[int, list[_Pair]] = {}
    last = -1
    for was, placed in theirs.items():
        last = places.get(was, last)
        if was not in renames:
            gone.setdefault(last, []).append(_Pair(placed, None, renames))
    found = gone.get(-1, [])
    for place, pair in enumerate(pairs):
        found += [pair, *gone.get(place, [])]
    return found


def _matches(mine: dict[str, Placed], theirs: dict[str, Placed]) -> dict[str, str]:
    """Return the old name of each component that was there already, by its new one."""
    matches = {name: name for name in mine if name in theirs}
    for name, placed in mine.items():
        if name not in matches:
            taken = set(matches.values())
            formerly = reversed(placed.component.formerly)  # the last name first
            found = next((was for was in formerly if was in theirs and was not in taken), None)
            if found:
                matches[name] = found
    return matches


def _moved(mine: dict[str, Placed], theirs: dict[str, Placed], matches: dict[str, str]) -> set[str]:
    """Return those that stand in another parent, or have passed a neighbour: as few of them as explain the order."""
    places = {name: place for place, name in enumerate(theirs)}
    moved = set()
    families: dict[str | None, list[str]] = {}
    for name, was in matches.items():
        parent, former = mine[name].parent, theirs[was].parent
        home = parent.name if parent else None
        if (matches.get(home) if home else None) != (former.name if former else None) or (home and home not in matches):
            moved.add(name)
        else:
            families.setdefault(home, []).append(name)
    in_new_order = {name: place for place, name in enumerate(mine)}
    for siblings in families.values():
        siblings.sort(key=in_new_order.__getitem__)
        kept = _longest_rising([places[matches[name]] for name in siblings])
        moved |= {name for place, name in enumerate(siblings) if place not in kept}
    return moved


def _longest_rising(values: list[int]) -> set[int]:
    """Return the places of a longest rising subsequence."""
    ends: list[int] = []
    at: list[int] = []
    before: list[int | None] = []
    for place, value in enumerate(values):
        length = bisect_left(ends, value)
        ends[length:] = [value] if length == len(ends) else [value, *ends[length + 1 :]]
        at[length:] = [place] if length == len(at) else [place, *at[length + 1 :]]
        before.append(at[length - 1] if length else None)
    kept = set()
    place_or_none = at[-1] if at else None
    while place_or_none is not None:
        kept.add(place_or_none)
        place_or_none = before[place_or_none]
    return kept
