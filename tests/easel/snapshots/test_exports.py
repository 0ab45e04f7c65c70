"""Exports: what stands in them, what is left out, and that the formats' own loaders take them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.db import connection
from django.utils import timezone
from easel.accounts.models import User
from easel.annotation.models import Annotation, Assignment, Item
from easel.forms.services import publish
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project
from easel.prompts.models import Prompt
from easel.snapshots import exports
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast, browser_of


@pytest.fixture
def ranked(cast: Cast) -> list[Annotation]:
    """bob ranked three items: four places; one tie of all; all bad."""
    stage.make_items(cast, 3, colours=2**24)
    for number in range(3):
        assignment = stage.lease(cast.project, cast.bob)
        ids = [str(pk) for pk in assignment.shown_order]
        answers: list[dict[str, Any]] = [
            {"ranking": [[pk] for pk in ids], "rationale": 'crisp, "sharp"\n'},
            {"ranking": [ids]},
            {"ranking": [[ids[0]], ids[1:]], "all_bad": True},
        ]
        stage.submit(assignment, answers[number])
    return list(Annotation.objects.order_by("id"))


def export(client: APIClient, cast: Cast, **parameters: str) -> Any:
    """Ask for an export."""
    return client.get(f"{API}/projects/{cast.project.pk}/export/", parameters)


def rows(answer: Any) -> list[dict[str, Any]]:
    """Read a JSONL answer."""
    assert answer.status_code == 200
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def table(answer: Any) -> list[dict[str, Any]]:
    """Read a Parquet answer."""
    found: list[dict[str, Any]] = pq.read_table(io.BytesIO(b"".join(answer.streaming_content))).to_pylist()
    return found


def test_a_line_holds_all_that_is_known_of_an_annotation(
    cast: Cast, ranked: list[Annotation], alice: APIClient
) -> None:
    answer = export(alice, cast)
    assert answer["Content-Type"] == "application/x-ndjson"
    assert answer["Content-Disposition"] == 'attachment; filename="icons-annotations.jsonl"'
    first, _, _ = rows(answer)
    stored = ranked[0]
    shown = [str(pk) for pk in stored.assignment.shown_order]
    candidates = first.pop("candidates")
    assert first == {
        "format": 1,
        "id": str(stored.pk),
        "project": str(cast.project.pk),
        "item": str(stored.item_id),
        "annotator": exports.pseudonym(cast.bob.pk),
        "annotator_kind": "human",
        "created_at": stored.created_at.isoformat(),
        "active_ms": 1_500,
        "surplus": False,
        "held_out": False,
        "evaluation": False,
        "template": stage.TEMPLATE,
        "template_version": 1,
        "prompt": stored.item.prompt.text,
        "negative": "",
        "prompt_metadata": {},
        "shown_order": shown,
        "ranking": [[pk] for pk in shown],
        "ties_are_equal": True,
        "review": None,
        "revision": 0,
        "adjudication": None,
        "all_bad": False,
        "answers": {"ranking": [[pk] for pk in shown], "rationale": 'crisp, "sharp"'},
    }
    assert [one["id"] for one in candidates] == shown
    one = Candidate.objects.get(pk=shown[0])
    assert candidates[0] == {
        "id": shown[0],
        "file": one.key,
        "sha256": one.sha256,
        "width": 16,
        "height": 16,
        "seed": one.seed,
        "model": "Painter",
        "model_version": str(cast.model.pk),
        "model_sha256": cast.model.sha256,
        "settings": one.manifest,
    }


def test_annotators_are_pseudonymous_and_stable(cast: Cast, ranked: list[Annotation], alice: APIClient) -> None:
    answer = export(alice, cast)
    text = b"".join(answer.streaming_content).decode()
    assert "bob" not in text
    assert str(cast.bob.pk) not in text
    assert len({json.loads(line)["annotator"] for line in text.splitlines()}) == 1


def test_excluded_components_are_left_out_of_the_answers(cast: Cast, alice: APIClient) -> None:
    definition = cast.project.template_version.form.model_dump(mode="json")
    for part in definition["components"]:
        part["exclude"] = part["name"] == "rationale"
    version = publish(cast.project.template_version.template, definition, timezone.now())
    Project.objects.filter(pk=cast.project.pk).update(template_version=version)
    stage.make_items(cast, 1)
    stage.annotate(cast.project, cast.bob, rationale="I know her")
    (row,) = rows(export(alice, cast))
    assert set(row["answers"]) == {"ranking"}
    assert row["template_version"] == 2


def test_simulated_annotators_are_left_out_unless_asked_for(cast: Cast, alice: APIClient) -> None:
    robot = stage.make_user("robot", cast.project, kind=User.Kind.SIMULATED)
    stage.make_items(cast, 2)
    stage.annotate(cast.project, robot)
    stage.annotate(cast.project, cast.bob)
    assert [row["annotator_kind"] for row in rows(export(alice, cast))] == ["human"]
    both = rows(export(alice, cast, include_simulated="true"))
    assert sorted(row["annotator_kind"] for row in both) == ["human", "simulated"]
    assert len(table(export(alice, cast, format="trl"))) == 6
    assert len(table(export(alice, cast, format="trl", include_simulated="1"))) == 12


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"format": "exe"}, "format"),
        ({"format": "a\0b"}, "format"),
        ({"format": "jsonl", "include_simulated": "maybe"}, "include_simulated"),
    ],
)
def test_a_wrong_parameter_is_refused(cast: Cast, alice: APIClient, parameters: dict[str, str], field: str) -> None:
    refused = export(alice, cast, **parameters)
    assert (refused.status_code, list(refused.json()["fields"])) == (400, [field])


def test_an_empty_project_gives_an_empty_export(cast: Cast, alice: APIClient) -> None:
    assert rows(export(alice, cast)) == []
    assert table(export(alice, cast, format="trl")) == []


def test_trl_pairs_follow_the_ranking_and_hold_the_very_images(
    cast: Cast, ranked: list[Annotation], alice: APIClient, storage_folder: Path
) -> None:
    pairs = table(export(alice, cast, format="trl"))
    order = [Candidate.objects.get(pk=pk) for pk in ranked[0].assignment.shown_order]
    files = [(storage_folder / one.key).read_bytes() for one in order]
    assert len(pairs) == 6  # the tie of all gives none, and neither does the item that is all bad
    assert {pair["prompt"] for pair in pairs} == {ranked[0].item.prompt.text}
    assert [(files.index(pair["chosen"]["bytes"]), files.index(pair["rejected"]["bytes"])) for pair in pairs] == [
        (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3),
    ]  # fmt: skip


def test_surplus_annotations_give_no_pairs_and_are_marked(cast: Cast, alice: APIClient) -> None:
    stage.make_items(cast, 1)
    late = stage.lease(cast.project, cast.bob)
    Assignment.objects.update(expires_at=timezone.now())
    stage.annotate(cast.project, cast.erin)
    stage.submit(late, stage.answers_for(late))
    assert [row["surplus"] for row in rows(export(alice, cast))] == [False, True]
    assert len(table(export(alice, cast, format="trl"))) == 6


def test_what_is_kept_for_measuring_gives_no_pairs_and_is_marked(cast: Cast, alice: APIClient) -> None:
    for _ in stage.make_items(cast, 3):
        stage.annotate(cast.project, cast.bob)
    held_out, evaluated, _ = Item.objects.order_by("id")
    Prompt.objects.filter(pk=held_out.prompt_id).update(held_out=True)
    other = stage.generate(cast, [evaluated.prompt])
    GenerationRequest.objects.filter(pk=other.pk).update(kind=GenerationRequest.Kind.EVALUATION)
    Item.objects.filter(pk=evaluated.pk).update(request=other)
    marks = {row["item"]: (row["held_out"], row["evaluation"]) for row in rows(export(alice, cast))}
    assert marks[str(held_out.pk)] == (True, False) and marks[str(evaluated.pk)] == (False, True)
    assert len(table(export(alice, cast, format="trl"))) == 6


def test_huggingface_datasets_loads_the_parquet_with_decoded_images(
    cast: Cast, ranked: list[Annotation], alice: APIClient, tmp_path: Path
) -> None:
    import datasets

    file = tmp_path / "pairs.parquet"
    file.write_bytes(b"".join(export(alice, cast, format="trl").streaming_content))
    found = datasets.load_dataset("parquet", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert found.column_names == ["prompt", "chosen", "rejected"]
    best = Candidate.objects.get(pk=ranked[0].assignment.shown_order[0])
    assert best.seed is not None
    colour = best.seed % 256, best.seed // 256 % 256, best.seed // 65536 % 256
    row = found[0]
    assert isinstance(row["chosen"], Image.Image)
    assert row["chosen"].size == (16, 16)
    assert row["chosen"].convert("RGB").getpixel((3, 3)) == colour
    assert row["rejected"].convert("RGB").getpixel((3, 3)) != colour


def test_an_image_that_is_gone_is_a_refusal_and_not_a_bug(
    cast: Cast, ranked: list[Annotation], alice: APIClient, storage_folder: Path
) -> None:
    (storage_folder / Candidate.objects.all()[0].key).unlink()
    refused = export(alice, cast, format="trl")
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
    assert "restore it from a backup" in refused.json()["detail"]
    page = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/export/", {"format": "trl"})
    assert page.status_code == 503


def test_the_export_page_sends_the_same_file(cast: Cast, ranked: list[Annotation], alice: APIClient) -> None:
    page: Any = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/export/", {"format": "jsonl"})
    assert rows(page) == rows(export(alice, cast))
    assert browser_of(cast.alice).get(f"/projects/{cast.project.pk}/export/", {"format": "x"}).status_code == 400


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=4), max_size=5))
def test_pairs_are_those_on_different_places_better_first(groups: list[list[int]]) -> None:
    place = {f"{level}-{index}": level for level, group in enumerate(groups) for index in range(len(group))}
    ranking = [[name for name, level in place.items() if level == wanted] for wanted in range(len(groups))]
    found = list(exports.pairs(ranking))
    assert len(set(found)) == len(found)
    assert set(found) == {(one, other) for one in place for other in place if place[one] < place[other]}


def test_an_export_takes_no_more_statements_for_more_rows(
    cast: Cast, settings: Settings, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    copy_annotations(cast, 400)
    with django_assert_max_num_queries(6):
        assert len(list(exports.jsonl(cast.project))) == 400


def copy_annotations(cast: Cast, count: int) -> None:
    """Make many annotations quickly: bob ranks one item, and Postgres copies it with ids of its own."""
    stage.make_items(cast, 1, colours=4)
    stage.annotate(cast.project, cast.bob)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE TEMP TABLE copies AS
                SELECT gen_random_uuid() AS prompt, gen_random_uuid() AS item, gen_random_uuid() AS assignment,
                       gen_random_uuid() AS annotation, n FROM generate_series(2, %s) AS n;
            INSERT INTO prompts_prompt (id, text, negative, metadata, digest, created_at, project_id)
                SELECT prompt, 'copy ' || n, '', '{}', n::text, now(), project_id
                FROM copies CROSS JOIN (SELECT project_id FROM prompts_prompt LIMIT 1);
            INSERT INTO annotation_item
                (id, state, priority, created_at, project_id, prompt_id, request_id, template_version_id)
                SELECT c.item, i.state, i.priority, i.created_at, i.project_id, c.prompt, i.request_id,
                       i.template_version_id
                FROM copies c CROSS JOIN (SELECT * FROM annotation_item LIMIT 1) i;
            INSERT INTO annotation_assignment
                (id, state, shown_order, expires_at, draft_version, skip_reason, created_at, annotator_id, item_id)
                SELECT c.assignment, a.state, a.shown_order, a.expires_at, 0, '', a.created_at, a.annotator_id, c.item
                FROM copies c CROSS JOIN (SELECT * FROM annotation_assignment LIMIT 1) a;
            INSERT INTO annotation_annotation (id, answers, ranking, all_bad, active_ms, body_hash, created_at,
                annotator_id, assignment_id, item_id, project_id)
                SELECT c.annotation, a.answers, a.ranking, a.all_bad, a.active_ms, a.body_hash, a.created_at,
                       a.annotator_id, c.assignment, c.item, a.project_id
                FROM copies c CROSS JOIN (SELECT * FROM annotation_annotation LIMIT 1) a;
            DROP TABLE copies;
            """,
            [count],
        )
    assert Annotation.objects.count() == Item.objects.count() == count


MEASURE = """
import io, resource, sys, django
django.setup()
from easel.projects.models import Project
from easel.snapshots import exports

class Sink(io.RawIOBase):
    peaks = []
    def writable(self):
        return True
    def write(self, content):
        self.peaks.append(peak())
        return len(content)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

project = Project.objects.get(pk=sys.argv[1])
lines = [peak() for _ in exports.jsonl(project)]
print(len(lines), lines[-1] - lines[600])
sink = Sink()
rows = exports.write_trl(project, sink)
print(rows, peak() - sink.peaks[len(sink.peaks) // 8])
"""


@pytest.mark.processes
def test_memory_does_not_grow_with_the_number_of_annotations(
    committed_cast: Cast, environment_of_tests: dict[str, str]
) -> None:
    copy_annotations(committed_cast, 4_000)
    command = [sys.executable, "-c", MEASURE, str(committed_cast.project.pk)]
    done = subprocess.run(command, env=environment_of_tests, capture_output=True, text=True, check=True)
    (lines, lines_grew), (pairs, pairs_grew) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (lines, pairs) == (4_000, 24_000)
    assert lines_grew < 8, "MiB, from an eighth of the rows to all of them"
    assert pairs_grew < 8, "MiB, from an eighth of the rows to all of them"
