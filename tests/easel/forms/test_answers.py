"""Answers are checked against the definition: stored in one form, or refused with the component's name."""

from __future__ import annotations

from typing import Any

import pytest
from easel.forms.definition import MAX_ANSWER_BYTES, Definition, InvalidAnswers
from easel.forms.reading import parse_definition
from hypothesis import given
from hypothesis import strategies as st

IDS = ("c1", "c2", "c3", "c4")


def form(**ranking: Any) -> Definition:
    """Return a form with every component that takes answers; `ranking` changes the ranking's rules."""
    return parse_definition(
        {
            "components": [
                {"type": "prompt", "name": "prompt"},
                {"type": "image_grid", "name": "images", "count": 4},
                {"type": "ranking", "name": "ranking", "required": True, **ranking},
                {"type": "all_bad", "name": "all_bad"},
                {"type": "textarea", "name": "why", "max_length": 20},
            ]
        }
    )


def problems(answers: dict[str, Any], **ranking: Any) -> dict[str, list[str]]:
    """Return what is wrong with answers, by component."""
    with pytest.raises(InvalidAnswers) as caught:
        form(**ranking).check_answers(answers, IDS)
    assert caught.value.code == "invalid_answers"
    assert caught.value.status == 400
    return caught.value.fields


def test_a_ranking_with_ties_and_the_other_answers_are_taken() -> None:
    answers = {"ranking": [["c3"], ["c1", "c4"], ["c2"]], "all_bad": False, "why": "  sharp \n"}
    assert form().check_answers(answers, IDS) == {**answers, "why": "sharp"}


def test_images_may_be_left_unranked() -> None:
    assert form().check_answers({"ranking": [["c3"]]}, IDS) == {"ranking": [["c3"]]}


@pytest.mark.parametrize(
    ("ranking", "message"),
    [
        ([["c9"]], "names 'c9', which is no candidate of this item"),
        ([["c1"], ["c1"]], "names candidate c1 twice; rank each image once"),
        ([["c1", "c1"]], "names candidate c1 twice; rank each image once"),
        ([["c1"], []], "holds an empty group; leave it out"),
        (["c1", "c2"], "must be a list of groups, best first, as [[id], [id, id]]"),
        ({"c1": 1}, "must be a list of groups, best first, as [[id], [id, id]]"),
        ("c1", "must be a list of groups, best first, as [[id], [id, id]]"),
        ([[1]], "must hold candidate ids as texts"),
        ([[None]], "must hold candidate ids as texts"),
        ([[["c1"]]], "must hold candidate ids as texts"),
        ([[{}]], "must hold candidate ids as texts"),
    ],
)
def test_a_wrong_ranking_is_refused_by_name(ranking: Any, message: str) -> None:
    assert problems({"ranking": ranking}) == {"ranking": [message]}


@pytest.mark.parametrize("nothing", [{}, {"ranking": []}, {"ranking": None}, {"ranking": ""}, {"all_bad": False}])
def test_a_required_ranking_must_be_there(nothing: dict[str, Any]) -> None:
    assert problems(nothing) == {"ranking": ["is required"]}


def test_all_bad_may_stand_instead_of_a_ranking_or_beside_it() -> None:
    assert form().check_answers({"all_bad": True}, IDS) == {"all_bad": True}
    beside = {"ranking": [["c1"], ["c2"]], "all_bad": True}
    assert form().check_answers(beside, IDS) == beside


def test_ties_are_refused_where_the_template_takes_none() -> None:
    assert problems({"ranking": [["c1", "c2"]]}, ties=False) == {
        "ranking": ["holds a tie, and this template takes none"]
    }


def test_more_places_than_the_template_has_are_refused() -> None:
    assert problems({"ranking": [["c1"], ["c2"], ["c3"]]}, levels=2) == {
        "ranking": ["has 3 places; at most 2 are taken"]
    }


def test_a_full_ranking_is_asked_for_where_the_template_wants_one() -> None:
    assert problems({"ranking": [["c1"], ["c2"]]}, partial=False) == {
        "ranking": ["leaves 2 images unranked; rank them all"]
    }


def test_every_wrong_component_is_named_at_once() -> None:
    assert problems({"ranking": [["c9"]], "all_bad": "yes", "why": "x" * 21, "mood": "good", "prompt": "a fox"}) == {
        "mood": ["is no component of this template"],
        "prompt": ["is no component of this template"],
        "ranking": ["names 'c9', which is no candidate of this item"],
        "all_bad": ["must be true or false"],
        "why": ["has 21 characters; at most 20 are taken"],
    }


def test_a_zero_character_is_refused_in_a_text() -> None:
    assert problems({"ranking": [["c1"]], "why": "a\0b"}) == {"why": ["holds a zero character; remove it"]}


def test_answers_beyond_the_size_limit_are_refused() -> None:
    assert problems({"why": "x" * MAX_ANSWER_BYTES}) == {}


def test_answers_nested_beyond_reason_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert problems({"ranking": deep}) == {}


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(IDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
rankings = st.lists(st.lists(st.sampled_from((*IDS, "c9")), max_size=3), max_size=5)
names = st.sampled_from(["prompt", "images", "ranking", "all_bad", "why"]) | st.text(max_size=5)


@given(st.dictionaries(names, json | rankings, max_size=5), st.booleans(), st.booleans(), st.integers(2, 5))
def test_any_json_gives_checked_answers_or_a_refusal(
    answers: dict[str, Any], ties: bool, partial: bool, levels: int
) -> None:
    definition = form(ties=ties, partial=partial, levels=levels)
    try:
        checked = definition.check_answers(answers, IDS)
    except InvalidAnswers as refusal:
        assert refusal.detail
        return
    assert definition.check_answers(checked, IDS) == checked
    ranked = [one for group in checked.get("ranking", []) for one in group]
    assert len(set(ranked)) == len(ranked)
    assert set(ranked) <= set(IDS)
    assert ranked or checked["all_bad"] is True
