"""Every component keeps what its folder says: the same examples serve tests, documentation and the builder."""

from __future__ import annotations

import json
from typing import Any

import pytest
from easel.forms.components import BY_TYPE, COMPONENTS, FOLDER
from easel.forms.definition import Definition, InvalidAnswers
from easel.forms.reading import parse_definition

TEXT = "a red apple on a table"


def example(kind: str) -> dict[str, Any]:
    """A component's examples."""
    found: dict[str, Any] = json.loads((FOLDER / kind / "examples.json").read_text())
    return found


def form_of(kind: str) -> tuple[Definition, str]:
    """A form around a component's example, and the component's name."""
    said = example(kind)
    around = said.get("form", [])
    parts = [said["definition"] if part == "*" else part for part in around]
    if "*" not in around:
        parts.append(said["definition"])
    return parse_definition({"components": parts}), said["definition"]["name"]


def candidates(kind: str, form: Definition) -> list[str]:
    """Candidates of an item of this form."""
    return [f"c{number + 1}" for number in range(form.images)]


TAKEN = [(kind, *pair) for kind in BY_TYPE for pair in example(kind)["taken"]]
REFUSED = [(kind, *pair) for kind in BY_TYPE for pair in example(kind)["refused"] if pair[0] is not None]


@pytest.mark.parametrize("kind", BY_TYPE)
def test_a_component_is_a_folder_with_all_its_parts(kind: str) -> None:
    assert BY_TYPE[kind].model_fields["type"].annotation.__args__ == (kind,)  # type: ignore[union-attr]
    parts = {path.name for path in (FOLDER / kind).iterdir()}
    assert {"__init__.py", "field.html", "field.js", "examples.json"} <= parts
    assert BY_TYPE[kind].__doc__
    assert BY_TYPE[kind].title


def test_every_folder_is_in_the_list() -> None:
    folders = {path.parent.name for path in FOLDER.glob("*/__init__.py")}
    assert folders == set(BY_TYPE)
    assert len(BY_TYPE) == len(COMPONENTS)


@pytest.mark.parametrize("kind", BY_TYPE)
def test_an_example_is_a_form_and_comes_back_as_it_was(kind: str) -> None:
    form, _ = form_of(kind)
    assert parse_definition(json.loads(form.model_dump_json())) == form


@pytest.mark.parametrize(("kind", "given", "stored"), TAKEN)
def test_answers_are_taken_in_one_form(kind: str, given: Any, stored: Any) -> None:
    form, name = form_of(kind)
    ids = candidates(kind, form)
    checked = form.check_answers({name: given}, ids, TEXT)
    assert checked == {name: stored}
    assert form.check_answers(checked, ids, TEXT) == checked
    cells = form.cells(checked)
    assert set(cells) <= set(form.columns())
    assert all(isinstance(cell, str | int | float | bool) for cell in cells.values())
    letters = {pk: pk.replace("c", "image ") for pk in ids}
    assert all(words and "c1" not in words for _, words in form.words(checked, letters, TEXT))


@pytest.mark.parametrize(("kind", "given", "message"), REFUSED)
def test_wrong_answers_are_refused_by_name(kind: str, given: Any, message: str) -> None:
    form, name = form_of(kind)
    with pytest.raises(InvalidAnswers) as caught:
        form.check_answers({name: given}, candidates(kind, form), TEXT)
    assert caught.value.fields == {name: [message]}


@pytest.mark.parametrize("kind", [kind for kind in BY_TYPE if BY_TYPE[kind].answers])
def test_every_component_that_is_answered_shows_answers_it_takes_and_refuses(kind: str) -> None:
    assert example(kind)["taken"]
    assert example(kind)["refused"]


def test_answers_are_told_in_the_words_of_the_form() -> None:
    form = judged(
        {"type": "ranking", "name": "ranking"},
        {"type": "radio", "name": "safe", "label": "Safe?", "options": [{"value": "y", "label": "Yes"}]},
        {"type": "image_flags", "name": "harm", "flags": [{"value": "gore", "label": "Gore"}, {"value": "hate"}]},
        {"type": "region_marks", "name": "spots", "kinds": [{"value": "bad", "label": "Broken"}], "notes": True},
    )
    mark = {"x": 0.1, "y": 0.1, "w": 0.0, "h": 0.0, "kind": "bad", "note": "six fingers"}
    answers = {"ranking": [["c1"]], "safe": "y", "harm": {"c2": ["hate"], "c1": ["gore"]}, "spots": {"c2": [mark]}}
    assert form.words(answers, {"c1": "B", "c2": "A"}, TEXT) == [
        ("Safe?", "Yes"),
        ("Image flags", "A: hate; B: Gore"),
        ("Region marks", "A: 1 x Broken (six fingers)"),
    ]


def judged(*components: dict[str, Any], count: int = 4) -> Definition:
    """A form with images and what judges them."""
    return parse_definition({"components": [{"type": "image_grid", "name": "images", "count": count}, *components]})


def test_a_choice_between_two_is_a_ranking_of_two() -> None:
    form = judged({"type": "pairwise", "name": "better"}, count=2)
    assert form.ranking_of({"better": "c2"}, ["c1", "c2"]) == [["c2"], ["c1"]]
    assert form.ranking_of({"better": "tie"}, ["c1", "c2"]) == [["c1", "c2"]]
    assert form.ranking_of({"better": "both_bad"}, ["c1", "c2"]) == []
    assert form.all_bad_of({"better": "both_bad"})
    assert not form.all_bad_of({"better": "tie"})


def test_best_and_worst_put_the_others_between_them() -> None:
    form = judged({"type": "best_worst", "name": "ends"})
    order = form.ranking_of({"ends": {"best": "c3", "worst": "c1"}}, ["c1", "c2", "c3", "c4"])
    assert order == [["c3"], ["c2", "c4"], ["c1"]]


def test_a_bucket_may_be_empty_and_the_ranking_leaves_it_out() -> None:
    form = judged({"type": "ranking", "name": "sorted", "buckets": ["Good", "Fair", "Poor"]})
    checked = form.check_answers({"sorted": [[], ["c1", "c2"], ["c4"]]}, ["c1", "c2", "c3", "c4"])
    assert checked == {"sorted": [[], ["c1", "c2"], ["c4"]]}
    assert form.ranking_of(checked, ["c1", "c2", "c3", "c4"]) == [["c1", "c2"], ["c4"]]
    with pytest.raises(InvalidAnswers, match="must have a group for each of the 3 buckets"):
        form.check_answers({"sorted": [["c1"]]}, ["c1", "c2", "c3", "c4"])


def test_an_attempt_says_what_is_to_be_generated() -> None:
    form = parse_definition(
        {
            "components": [
                {"type": "prompt", "name": "prompt", "mode": "input"},
                {"type": "negative_prompt", "name": "without", "mode": "input"},
                {"type": "model_select", "name": "model"},
                {"type": "settings", "name": "settings", "seed": True, "sizes": [[64, 128]]},
                {"type": "count", "name": "how_many", "min": 2, "max": 6},
                {"type": "generate", "name": "go"},
                {"type": "image_grid", "name": "images"},
                {"type": "ranking", "name": "ranking", "required": True},
            ]
        }
    )
    assert form.live
    model = "01900000-0000-7000-8000-000000000001"
    attempt = form.check_attempt(
        {
            "prompt": " a fox ",
            "model": model,
            "how_many": 3,
            "settings": {"steps": 8, "size": [64, 128], "seed": 7},
        }
    )
    assert (attempt.prompt, attempt.negative, str(attempt.model), attempt.count, attempt.seed) == (
        "a fox", "", model, 3, 7,
    )  # fmt: skip
    assert attempt.settings == {"steps": 8, "width": 64, "height": 128}
    assert form.check_attempt({"prompt": "a fox"}).count == 4

    with pytest.raises(InvalidAnswers) as caught:
        form.check_attempt({"prompt": "  ", "how_many": 7, "settings": {"steps": 900}, "model": "x", "ranking": []})
    assert caught.value.fields == {
        "ranking": ["is not filled in for an attempt"],
        "prompt": ["is required"],
        "model": ["must be the id of a model"],
        "settings": ["is 900; at most 50 is taken"],
        "how_many": ["is 7; at most 6 is taken"],
    }


def test_a_form_without_the_button_takes_no_attempt() -> None:
    with pytest.raises(InvalidAnswers, match="generates no images"):
        judged({"type": "ranking", "name": "ranking"}).check_attempt({})


def test_answers_under_old_names_are_read_under_the_new_ones() -> None:
    form = judged({"type": "ranking", "name": "order", "formerly": ["ranking", "rank"]})
    assert form.translated({"rank": [["c1"]], "other": 1}) == {"order": [["c1"]], "other": 1}
