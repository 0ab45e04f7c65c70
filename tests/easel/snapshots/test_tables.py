"""The CSV export: one row an annotation, the form's own columns, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.models import Annotation
from easel.common.tables import defused
from easel.forms.models import Template, TemplateVersion
from easel.forms.services import publish
from easel.projects.models import Project
from easel.snapshots.tables import BASE, csv_lines
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast
from tests.texts import CHAT, answer, make_texts

ANSWERED = ["ranking", "all_bad", "rationale"]
GRID: dict[str, object] = {"type": "image_grid", "name": "images", "count": 4}


def use(cast: Cast, *components: dict[str, object]) -> TemplateVersion:
    """Publish the next version of a form and have the project use it."""
    template, _ = Template.objects.get_or_create(key="a-form", defaults={"name": "A form"})
    version = publish(template, {"components": [GRID, *components]}, timezone.now())
    Project.objects.filter(pk=cast.project.pk).update(template_version=version)
    cast.project.template_version = version
    return version


def submit(cast: Cast, **answers: Any) -> Annotation:
    """Have bob answer a new item."""
    stage.make_items(cast, 1)
    assignment = stage.lease(cast.project, cast.bob)
    return stage.submit(assignment, answers)[0]


def table(client: APIClient, cast: Cast) -> list[dict[str, str]]:
    """Read the CSV export."""
    answered: Any = client.get(f"{API}/projects/{cast.project.pk}/export/", {"format": "csv"})
    assert answered["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(answered.streaming_content).decode(), newline="")))


def test_a_row_holds_who_what_and_when_and_the_answers(cast: Cast, alice: APIClient) -> None:
    make_texts(cast, [{"messages": CHAT}])
    answer(cast, rating=3, faults=["unclear", "incomplete"], rationale="two\nlines, quoted “so”")
    (row,) = table(alice, cast)
    stored = Annotation.objects.get()
    assert list(row) == [*BASE, "rating", "faults", "rationale"]
    assert {name: row[name] for name in ("id", "item", "active_ms", "surplus", "held_out", "prompt")} == {
        "id": str(stored.pk),
        "item": str(stored.item_id),
        "active_ms": "1500",
        "surplus": "false",
        "held_out": "false",
        "prompt": "Why is the sky blue?",
    }
    assert (row["template"], row["template_version"]) == ("chat-rating", "1")
    assert row["annotator"] and row["annotator"] != "bob"
    assert (row["rating"], row["faults"]) == ("3", "incomplete; unclear")
    assert row["rationale"] == "two\nlines, quoted “so”"


def test_a_ranking_is_one_cell_and_the_shown_order_another(cast: Cast, alice: APIClient) -> None:
    stage.make_items(cast, 1)
    assignment = stage.lease(cast.project, cast.bob)
    a, b, c, d = map(str, assignment.shown_order)
    stage.submit(assignment, {"ranking": [[b], [a, c], [d]]})
    (row,) = table(alice, cast)
    assert row["ranking"] == f"{b} > {a} = {c} > {d}"
    assert row["shown_order"] == f"{a}; {b}; {c}; {d}"
    assert (row["all_bad"], row["rationale"]) == ("", "")


def test_answers_of_earlier_versions_stand_under_todays_names(cast: Cast, alice: APIClient) -> None:
    use(cast, {"type": "textarea", "name": "why"}, {"type": "number", "name": "age"})
    submit(cast, why="sharp", age=7)
    use(cast, {"type": "textarea", "name": "reason", "formerly": ["why"]})
    submit(cast, reason="crisp")
    aspects = [{"value": "light"}, {"value": "form"}]
    use(
        cast,
        {"type": "image_ratings", "name": "scores", "aspects": aspects},
        {"type": "textarea", "name": "rationale", "formerly": ["reason"]},
    )
    submit(cast, rationale="clear")
    found = table(alice, cast)
    assert list(found[0])[len(BASE) :] == ["scores.light", "scores.form", "rationale", "age"]
    assert [(row["template_version"], row["rationale"], row["age"]) for row in found] == [
        ("1", "sharp", "7"),
        ("2", "crisp", ""),
        ("3", "clear", ""),
    ]


def test_a_component_that_took_the_name_of_one_that_is_gone_leaves_it_its_column(cast: Cast, alice: APIClient) -> None:
    use(cast, {"type": "input", "name": "why"}, {"type": "input", "name": "reason"})
    submit(cast, why="sharp", reason="light")
    use(cast, {"type": "input", "name": "why", "formerly": ["reason"]})
    submit(cast, why="crisp")
    found = table(alice, cast)
    assert list(found[0])[len(BASE) :] == ["why", "reason"]
    assert [(row["why"], row["reason"]) for row in found] == [("sharp", "light"), ("crisp", "")]


def test_a_component_that_is_named_as_a_base_column_keeps_a_column_of_its_own(cast: Cast, alice: APIClient) -> None:
    use(cast, {"type": "input", "name": "prompt"}, {"type": "input", "name": "secret", "exclude": True})
    submit(cast, prompt="a better one", secret="hidden")
    (row,) = table(alice, cast)
    assert (row["prompt"], row["answers.prompt"]) == ("an icon of 0 apples", "a better one")
    assert "secret" not in row


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_text_that_begins_as_a_formula_gets_an_apostrophe(start: str) -> None:
    assert defused(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize(
    ("cell", "written"), [(-3, -3), (2.5, 2.5), ("a=b", "a=b"), (True, "true"), (None, None), ("", "")]
)
def test_numbers_and_harmless_texts_stay_as_they_are(cell: object, written: object) -> None:
    assert defused(cell) == written


def test_formulas_in_prompts_and_answers_are_defused(cast: Cast, alice: APIClient) -> None:
    make_texts(cast, ['=HYPERLINK("http://evil.example")'])
    answer(cast, rating=1, rationale="@SUM(1+1)")
    (row,) = table(alice, cast)
    assert row["prompt"].startswith("'=")
    assert row["rationale"] == "'@SUM(1+1)"


def test_a_table_of_nothing_is_its_names_and_more_rows_take_no_more_statements(
    cast: Cast, django_assert_max_num_queries: Any
) -> None:
    assert b"".join(csv_lines(cast.project)).decode().splitlines() == [",".join([*BASE, *ANSWERED])]
    stage.make_items(cast, 8)
    gather(timezone.now(), cast.project)
    stage.annotate(cast.project, cast.bob, 8)
    with django_assert_max_num_queries(4):
        assert len(list(csv_lines(cast.project))) == 9
