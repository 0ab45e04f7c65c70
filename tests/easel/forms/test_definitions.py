"""A definition is data: taken whole, or refused with the place of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from easel.forms.definition import MAX_BYTES, InvalidDefinition, parse_definition
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


@pytest.mark.parametrize(
    ("components", "place", "message"),
    [
        ([GRID, {"type": "script", "name": "x"}], "components.1", "does not match any of the expected tags"),
        ([GRID, {**RANKING, "levels": 99}], "components.1.ranking.levels", "less than or equal to 9"),
        ([GRID, {**RANKING, "onclick": "x()"}], "components.1.ranking.onclick", "not permitted"),
        ([{**GRID, "name": "Images!"}], "components.0.image_grid.name", "should match pattern"),
        ([{**GRID, "name": "images\n"}], "components.0.image_grid.name", "should match pattern"),
        ([{"name": "images"}], "components.0", "Unable to extract tag"),
        ([], "components", "at least 1 item"),
        ([RANKING], "definition", "the form has a ranking and no image grid; add one before it"),
        ([GRID, GRID], "definition", "two components are named 'images'"),
    ],
)
def test_a_wrong_definition_is_refused_with_its_place(components: list[Any], place: str, message: str) -> None:
    fields = refusal({"components": components})
    assert next(iter(fields)) == place
    assert message in fields[place][0]


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
components = st.fixed_dictionaries(
    {"type": st.sampled_from(["prompt", "image_grid", "markdown", "ranking", "all_bad", "textarea", "x"])},
    optional={
        "name": st.sampled_from(["a", "b", "c"]) | json,
        "label": json,
        "help": json,
        "required": json,
        "count": st.integers(0, 12) | json,
        "levels": json,
        "text": json,
        "rows": json,
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
        assert error.fields or "The definition" in error.detail
        return
    assert parse_definition(form.model_dump(mode="json")) == form
