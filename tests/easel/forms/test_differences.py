"""What changed between two definitions is said in words, and nothing that changed goes unsaid."""

from __future__ import annotations

from typing import Any

import pytest
from easel.forms.components import BY_TYPE
from easel.forms.differences import differences, side_by_side
from easel.forms.reading import parse_definition
from hypothesis import given
from hypothesis import strategies as st

from tests.easel.forms.test_components import form_of

GRID = {"type": "image_grid", "name": "images", "label": "Images", "count": 4}
RANK = {"type": "ranking", "name": "rank", "label": "Rank", "levels": 5}
STYLE = {
    "type": "radio",
    "name": "style",
    "label": "Style",
    "options": [{"value": "a", "label": "Blue"}, {"value": "b", "label": "Red"}],
}
WHY = {"type": "textarea", "name": "why", "label": "Why?"}


def words(old: list[Any], new: list[Any]) -> list[tuple[str, str]]:
    """What is said of the way from one form to the other."""
    found = differences(parse_definition({"components": old}), parse_definition({"components": new}))
    return [(change.kind, change.words) for change in found]


CASES: dict[str, tuple[list[Any], list[Any], list[tuple[str, str]]]] = {
    "a number": (
        [GRID, RANK],
        [GRID, {**RANK, "levels": 3}],
        [("changed", "Ranking “Rank”: at most 5 places → at most 3 places")],
    ),
    "a switch": (
        [GRID, RANK],
        [GRID, {**RANK, "ties": False}],
        [("changed", "Ranking “Rank”: images may share a place: yes → no")],
    ),
    "a label": ([WHY], [{**WHY, "label": "How so?"}], [("changed", "Text area “Why?”: label: “Why?” → “How so?”")]),
    "an added component": ([GRID], [GRID, WHY], [("added", "Text area “Why?” was added, after “Images”.")]),
    "a removed component": ([GRID, WHY], [GRID], [("removed", "Text area “Why?” was removed.")]),
    "a move": ([GRID, STYLE, WHY], [WHY, GRID, STYLE], [("moved", "Text area “Why?” was moved, at the beginning.")]),
    "a rename": (
        [WHY],
        [{**WHY, "name": "reason", "formerly": ["why"]}],
        [("renamed", "Text area “Why?” is now named “reason”; its name was “why”, whose answers it keeps.")],
    ),
    "a name that is not kept": (
        [GRID, WHY],
        [GRID, {**WHY, "name": "reason"}],
        [("removed", "Text area “Why?” was removed."), ("added", "Text area “Why?” was added, after “Images”.")],
    ),
    "another type": (
        [WHY],
        [{"type": "input", "name": "why", "label": "Why?"}],
        [("changed", "“Why?” was “Text area” and is “Input” now.")],
    ),
    "options": (
        [STYLE],
        [{**STYLE, "options": [{"value": "c", "label": "Green"}, {"value": "a", "label": "Sky"}]}],
        [("changed", "Radio buttons “Style”: options: “Green” added, “Red” removed, “Blue” is now “Sky”")],
    ),
    "a condition": (
        [STYLE, {**WHY, "visible_if": {"name": "style", "op": "is", "value": "a"}}],
        [STYLE, {**WHY, "visible_if": {"name": "style", "op": "answered"}}],
        [
            (
                "changed",
                "Text area “Why?”: now shown only where “style” is answered; before, shown only where “style” is “a”",
            )
        ],
    ),
    "a condition whose component was renamed": (
        [STYLE, {**WHY, "required_if": {"name": "style", "op": "is", "value": "a"}}],
        [
            {**STYLE, "name": "look", "formerly": ["style"]},
            {**WHY, "required_if": {"name": "look", "op": "is", "value": "a"}},
        ],
        [("renamed", "Radio buttons “Style” is now named “look”; its name was “style”, whose answers it keeps.")],
    ),
    "a component in a group": (
        [{"type": "group", "name": "more", "label": "More", "components": [STYLE, WHY]}],
        [WHY, {"type": "group", "name": "more", "label": "More", "components": [{**STYLE, "required": True}]}],
        [
            ("moved", "Text area “Why?” was moved, at the beginning."),
            ("changed", "Radio buttons “Style”: required: no → yes"),
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_said_in_words(case: str) -> None:
    old, new, said = CASES[case]
    found = words(old, new)
    assert sorted(found) == sorted(said)
    assert words(new, new) == []


def test_a_first_version_is_all_new() -> None:
    form = parse_definition({"components": [GRID, RANK]})
    assert [change.kind for change in differences(None, form)] == ["added", "added"]
    assert [(row.kind, row.old) for row in side_by_side(None, form)] == [("added", None), ("added", None)]


def test_side_by_side_the_removed_stand_where_they_stood() -> None:
    old = parse_definition({"components": [GRID, STYLE, WHY]})
    new = parse_definition({"components": [{**GRID, "label": "Pictures"}, WHY]})
    rows = side_by_side(old, new)
    told = [(row.kind, row.old and row.old.label, row.new and row.new.label) for row in rows]
    assert told == [("changed", "Images", "Pictures"), ("removed", "Style", None), ("same", "Why?", "Why?")]


def test_a_change_far_inside_a_long_text_is_shown_where_it_is() -> None:
    text = {"type": "markdown", "name": "intro", "text": "word " * 100 + "old"}
    ((kind, said),) = words([text], [{**text, "text": "word " * 100 + "new"}])
    assert kind == "changed"
    assert "old”" in said
    assert "new”" in said


@pytest.mark.parametrize("kind", BY_TYPE)
def test_every_component_has_words(kind: str) -> None:
    form, name = form_of(kind)
    assert differences(form, form) == []
    added = next(change for change in differences(None, form) if change.name == name)
    assert added.words.startswith(BY_TYPE[kind].title)
    told = next(row.new for row in side_by_side(None, form) if row.new and row.new.name == name)
    assert told.title == BY_TYPE[kind].title
    assert all(line.what and line.value for line in told.lines)


NAMES = ["a", "b", "c", "d", "e"]
leaves = st.fixed_dictionaries(
    {"type": st.sampled_from(["input", "textarea", "number", "date"]), "label": st.sampled_from(["", "One", "Two"])},
    optional={"help": st.text("xy", max_size=3), "required": st.booleans(), "exclude": st.booleans()},
)


@st.composite
def forms(draw: st.DrawFn) -> dict[str, Any]:
    """A form of a few components with different names, some of them in a group."""
    parts = [{**draw(leaves), "name": name} for name in draw(st.permutations(NAMES))[: draw(st.integers(1, 5))]]
    inside = draw(st.integers(0, len(parts)))
    group = [{"type": "group", "name": "g", "components": parts[:inside]}] if inside else []
    return {"components": [*parts[inside:], *group] if draw(st.booleans()) else [*group, *parts[inside:]]}


@given(forms(), forms())
def test_definitions_differ_exactly_where_something_is_said(old: dict[str, Any], new: dict[str, Any]) -> None:
    before, after = parse_definition(old), parse_definition(new)
    assert bool(differences(before, after)) == (before != after)
    rows = side_by_side(before, after)
    assert [row.new.name for row in rows if row.new] == [part.name for part in after.walk()]
    assert sorted(row.old.name for row in rows if row.old) == sorted(part.name for part in before.walk())
    assert any(row.kind != "same" for row in rows) == (before != after)


@given(forms(), st.randoms(use_true_random=False))
def test_what_is_moved_is_the_least_that_explains_the_order(old: dict[str, Any], random: Any) -> None:
    parts = [part for part in old["components"] if part["type"] != "group"]
    if len(parts) < 2:
        return
    one = random.choice(parts)
    others = [part for part in parts if part is not one]
    place = random.randrange(len(parts))
    moved = [*others[:place], one, *others[place:]]
    found = words(parts, moved)
    assert [kind for kind, _ in found] == ([] if moved == parts else ["moved"])
