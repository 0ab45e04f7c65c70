"""A definition is data: taken whole, or refused with the place of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from easel.forms.components import BY_TYPE
from easel.forms.reading import MAX_BYTES, InvalidDefinition, parse_definition, problems_of
from hypothesis import given
from hypothesis import strategies as st

GRID = {"type": "image_grid", "name": "images"}
RANKING = {"type": "ranking", "name": "ranking"}


def refusal(data: Any) -> dict[str, list[str]]:
    """Return what is wrong with a definition, by place."""
    with pytest.raises(InvalidDefinition) as caught:
        parse_definition(data)
    return caught.value.fields


def test_what_a_component_leaves_out_is_filled_in() -> None:
    form = parse_definition({"components": [GRID, RANKING]})
    assert form.images == 4
    assert form.first("ranking") == "ranking"
    assert form.first("all_bad") is None
    assert parse_definition(form.model_dump(mode="json")) == form


INPUT = {"type": "input", "name": "words"}


@pytest.mark.parametrize(
    ("components", "place", "message"),
    [
        ([GRID, {"type": "script", "name": "x"}], "components.1", "'script' is no component; there are: input, "),
        ([GRID, {**RANKING, "levels": 99}], "components.1.levels", "less than or equal to 9"),
        ([GRID, {**RANKING, "onclick": "x()"}], "components.1.onclick", "is no property of a ranking; remove it"),
        ([{**GRID, "name": "Images!"}], "components.0.name", "'Images!' cannot be a name: small letters"),
        ([{**GRID, "name": "images\n"}], "components.0.name", "cannot be a name"),
        ([{"name": "images"}], "components.0", "says no type; there are: input, "),
        ([], "components", "is empty; add a component"),
        ([RANKING], "components.0", "ranks images, and the form has no image grid; add one before it"),
        ([RANKING, GRID], "components.0", "ranks images, and stands before them; move it below the images"),
        ([GRID, INPUT, INPUT], "components.2", "two components are named 'words'; rename one"),
        ([GRID, {**GRID, "name": "again"}], "components.1", "shows the images a second time; keep one"),
        (
            [{"type": "group", "name": "g", "components": [{**INPUT, "max_length": 0}]}],
            "components.0.components.0.max_length",
            "greater than or equal to 1",
        ),
        (
            [{**INPUT, "visible_if": {"name": "mood", "op": "answered"}}],
            "components.0.visible_if",
            "waits for 'mood', and there is no such component",
        ),
        (
            [{**INPUT, "required_if": {"name": "later", "op": "answered"}}, {**INPUT, "name": "later"}],
            "components.0.required_if",
            "waits for 'later', which comes later; move that one above it",
        ),
        (
            [
                {**INPUT, "name": "a", "visible_if": {"name": "b", "op": "answered"}},
                {**INPUT, "name": "b", "visible_if": {"name": "a", "op": "answered"}},
            ],
            "components.0.visible_if",
            "waits for 'b', which waits for it in turn; remove one of the conditions",
        ),
        (
            [
                {"type": "radio", "name": "mood", "options": [{"value": "good"}, {"value": "bad"}]},
                {**INPUT, "visible_if": {"name": "mood", "op": "is", "value": "so-so"}},
            ],
            "components.1.visible_if",
            "compares 'mood' with 'so-so', which is none of its options: good, bad",
        ),
        (
            [{**INPUT, "visible_if": {"name": "words", "op": "at_least", "value": "three"}}],
            "components.0.visible_if",
            "'at_least' compares with a number",
        ),
        ([{"type": "tabs", "name": "t", "components": [INPUT]}], "components.0", "holds 'words', which is no group"),
        ([{**INPUT, "formerly": ["old"]}, {**INPUT, "name": "old"}], "components.0.formerly", "was named 'old' before"),
        ([{**INPUT, **{f"p{n}": 1 for n in range(99)}}], "definition", "has a component with 101 properties; none has"),
        (
            [{**INPUT, "formerly": ["old"]}, {**INPUT, "name": "other", "formerly": ["old"]}],
            "components.1.formerly",
            "was named 'old' before, and so was 'words'; remove 'old' from one of the two",
        ),
        (
            [
                INPUT,
                {
                    "type": "prompt",
                    "name": "wish",
                    "mode": "input",
                    "visible_if": {"name": "words", "op": "answered"},
                },
                {"type": "generate", "name": "go"},
                GRID,
            ],
            "components.1.visible_if",
            "is filled in before there are answers, so it can have no condition; remove it",
        ),
        ([INPUT] * 1_000, "definition", "has 1,000 components; at most 100 are taken. Split the form in two"),
    ],
)
def test_a_wrong_definition_is_refused_with_its_place(components: list[Any], place: str, message: str) -> None:
    fields = refusal({"components": components})
    assert next(iter(fields)) == place
    assert message in fields[place][0]


def test_all_that_is_wrong_is_told_at_once_with_the_names_of_the_components() -> None:
    found = problems_of({"components": [{**RANKING, "levels": 0}, {**INPUT, "rows": 3}, {**GRID, "count": 1}]})
    assert [(one.place, one.name) for one in found] == [
        ("components.0.levels", "ranking"),
        ("components.1.rows", "words"),
        ("components.2.count", "images"),
    ]


def test_a_definition_of_a_newer_easel_says_so() -> None:
    (message,) = refusal({"schema_version": 2, "components": [GRID, {"type": "hologram"}]})["schema_version"]
    assert message.startswith("is of schema 2, made by a newer Easel; this one reads schema 1. Update Easel")


def test_groups_may_lie_eight_deep_and_no_deeper() -> None:
    part: dict[str, Any] = INPUT
    for depth in range(9):
        part = {"type": "group", "name": f"g{depth}", "components": [part]}
        if depth == 7:
            assert len(list(parse_definition({"components": [part]}).walk())) == 9
    assert refusal({"components": [part]}) == {"definition": ["has groups more than 8 deep; take some out of others"]}


def test_a_huge_or_bottomless_definition_is_refused() -> None:
    refusal({"components": [{"type": "markdown", "name": "m", "text": "x" * MAX_BYTES}]})
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    refusal({"components": deep})


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=10,
)
components: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"type": st.sampled_from([*BY_TYPE, "x"])},
    optional={
        "name": st.sampled_from(["a", "b", "c"]) | json,
        "label": json,
        "help": json,
        "required": json,
        "count": st.integers(0, 12) | json,
        "levels": json,
        "text": json,
        "rows": json,
        "options": json | st.just([{"value": "a"}]),
        "visible_if": json | st.just({"name": "a", "op": "answered"}),
        "components": st.deferred(lambda: st.lists(components, max_size=3)) | json,
    },
)


@given(
    json | st.fixed_dictionaries({"components": st.lists(components, max_size=4)}, optional={"schema_version": json})
)
def test_any_json_gives_a_definition_or_a_refusal(data: Any) -> None:
    try:
        form = parse_definition(data)
    except InvalidDefinition as error:
        assert error.detail
        assert error.fields
        return
    assert parse_definition(form.model_dump(mode="json")) == form


def test_what_stands_in_a_group_that_is_left_out_of_exports_is_left_out_too() -> None:
    group = {"type": "group", "name": "g", "exclude": True, "components": [{**INPUT, "name": "secret"}]}
    form = parse_definition({"components": [group, INPUT]})
    assert form.excluded() == {"g", "secret"}
    assert form.columns() == ["words"]
    assert form.cells({"secret": "hidden", "words": "told"}) == {"words": "told"}


@pytest.mark.parametrize("order", [("why", "reason"), ("reason", "why")])
def test_an_answer_under_a_former_name_stands_before_that_of_a_component_that_is_gone(order: tuple[str, str]) -> None:
    form = parse_definition({"components": [{**INPUT, "name": "why", "formerly": ["reason"]}]})
    assert form.translated({name: f"its {name}" for name in order}) == {"why": "its reason"}
