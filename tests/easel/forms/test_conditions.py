"""Conditions show and ask for components by other answers; the page is held to the same table (tests/browser)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from easel.forms.conditions import Condition
from easel.forms.definition import InvalidAnswers
from easel.forms.reading import parse_definition

TABLE = json.loads((Path(__file__).parent / "conditions.json").read_text())

FORM = parse_definition(
    {
        "components": [
            {"type": "radio", "name": "mood", "options": [{"value": "good"}, {"value": "bad"}]},
            {
                "type": "group",
                "name": "details",
                "visible_if": {"name": "mood", "op": "is", "value": "bad"},
                "components": [
                    {"type": "textarea", "name": "why", "required": True},
                    {"type": "rating", "name": "how_bad"},
                    {"type": "input", "name": "more", "required_if": {"name": "how_bad", "op": "at_least", "value": 4}},
                ],
            },
            {"type": "input", "name": "last", "visible_if": {"name": "why", "op": "answered"}},
        ]
    }
)


@pytest.mark.parametrize(("op", "value", "answer", "holds"), TABLE)
def test_a_condition_holds_as_the_table_says(op: Any, value: Any, answer: Any, holds: bool) -> None:
    assert Condition(name="x", op=op, value=value).holds({"x": answer}) is holds
    if answer is None:
        assert Condition(name="x", op=op, value=value).holds({}) is holds


def refused(answers: dict[str, Any]) -> dict[str, list[str]]:
    """What is wrong with answers."""
    with pytest.raises(InvalidAnswers) as caught:
        FORM.check_answers(answers, ())
    return caught.value.fields


def test_what_is_hidden_is_not_asked_for() -> None:
    assert FORM.check_answers({"mood": "good"}, ()) == {"mood": "good"}
    assert FORM.check_answers({}, ()) == {}


def test_what_is_shown_is_asked_for() -> None:
    assert refused({"mood": "bad"}) == {"why": ["is required"]}
    given = {"mood": "bad", "why": "blurred", "last": "x"}
    assert FORM.check_answers(given, ()) == given


def test_an_answer_is_asked_for_where_another_one_says_so() -> None:
    assert refused({"mood": "bad", "why": "x", "how_bad": 4}) == {"more": ["is required"]}
    FORM.check_answers({"mood": "bad", "why": "x", "how_bad": 3}, ())


def test_answers_to_what_is_hidden_are_refused_by_name() -> None:
    assert refused({"mood": "good", "why": "x"}) == {"why": ["is hidden by a condition; leave it out"]}
    assert refused({"last": "x"}) == {"last": ["is hidden by a condition; leave it out"]}
