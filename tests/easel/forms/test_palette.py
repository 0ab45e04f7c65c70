"""What the builder offers: every component of the vocabulary, and a control for every property."""

from __future__ import annotations

import json

import pytest
from easel.forms.components import BY_TYPE
from easel.forms.palette import ANSWERS, palette

CONTROLS = {
    "text", "long", "name", "formerly", "flag", "whole", "number", "day", "choice",
    "options", "texts", "sizes", "models", "condition",
}  # fmt: skip


def test_every_component_is_offered_in_a_group_with_words() -> None:
    offered = palette()["components"]
    assert [one["type"] for one in offered] == list(BY_TYPE)
    for one in offered:
        assert one["group"] in palette()["groups"]
        assert 0 < len(one["words"]) <= 80
        assert "`" not in one["words"]


@pytest.mark.parametrize("kind", BY_TYPE)
def test_every_property_has_a_control_and_a_label(kind: str) -> None:
    offered = next(one for one in palette()["components"] if one["type"] == kind)
    named = {one["name"]: one for one in offered["properties"]}
    assert set(named) == set(BY_TYPE[kind].model_fields) - {"type", "components"}
    for one in named.values():
        assert one["control"] in CONTROLS, one
        assert one["label"]
        assert one["needed"] or "default" in one, one


def test_what_a_component_begins_with_is_its_example() -> None:
    for one in palette()["components"]:
        assert BY_TYPE[one["type"]].model_validate(one["defaults"]).type == one["type"]
        assert one["layout"] == bool(BY_TYPE[one["type"]].model_validate(one["defaults"]).children)


def test_limits_come_from_the_schema() -> None:
    ranking = next(one for one in palette()["components"] if one["type"] == "ranking")
    levels = next(one for one in ranking["properties"] if one["name"] == "levels")
    assert (levels["control"], levels["least"], levels["most"], levels["default"]) == ("whole", 2, 9, 5)
    assert levels["help"] == "At most this many places."


def test_what_says_nothing_of_a_component_is_marked() -> None:
    unused = {
        one["type"]: {part["name"] for part in one["properties"] if part["unused"]} for one in palette()["components"]
    }
    assert unused["divider"] == {"required", "required_if", "exclude"}
    assert unused["prompt"] == {"required_if", "exclude"}
    assert unused["ranking"] == set()


def test_what_conditions_compare_is_known_of_components_that_are_answered() -> None:
    assert all(BY_TYPE[kind].answers for kind in ANSWERS)


def test_it_is_json() -> None:
    assert json.loads(json.dumps(palette())) == palette()
