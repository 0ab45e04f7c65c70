"""Gold, repeats and spoilt images are kept apart: in nothing that is collected, and by nothing that annotators get."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.gold import automatic, making
from easel.annotation.gold.copies import copy_of
from easel.annotation.models import Annotation, Gold, Item
from easel.annotation.progress import overview_of
from easel.annotation.template_uses import use_template
from easel.common.storage import storage
from easel.evaluation.leaderboard import board_of
from easel.evaluation.loop import loop_of
from easel.forms.services import publish
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project
from easel.registry.models import ModelVersion
from easel.registry.services import register_folder
from easel.snapshots.filters import Filters, survey
from easel.snapshots.formats import ALL
from easel.snapshots.services import freeze_next, take_snapshot
from rest_framework.test import APIClient

from finetune import snapshot as folders
from tests import cast as stage
from tests.cast import API, Cast, browser_of, client_of, make_items, make_model_folder


def plant(cast: Cast, items: list[Item]) -> list[Item]:
    """Make gold by hand, gold of spoilt images and a repeat of items, and have bob answer all of them."""
    at = timezone.now()
    images = [str(pk) for pk in items[0].candidates.order_by("pk").values_list("pk", flat=True)]
    making.make(items[0], making.answer_of([[one] for one in images]), cast.alice, at)
    automatic.start(cast.project, cast.alice, at, count=3, kinds=["blur", "noise"])
    automatic.advance(at)
    making.use(cast.project, list(Gold.objects.values_list("pk", flat=True)))
    copy_of(items[1], Item.Purpose.REPEAT, items[1].candidates.values_list("pk", flat=True), at)
    planted = list(Item.objects.filter(project=cast.project).exclude(purpose="rank"))
    for item in planted:
        shown = sorted(item.candidates.values_list("pk", flat=True), reverse=True)
        given = item.assignments.create(annotator=cast.bob, shown_order=shown, expires_at=at, created_at=at)
        stage.submit(given, {"ranking": [[str(pk)] for pk in shown], "rationale": "PLANTED"})
    assert len(planted) >= 3
    return planted


@pytest.fixture
def planted(cast: Cast) -> list[Item]:
    """Four items that bob ranked, and what was planted among them and answered."""
    items = make_items(cast, 4, colours=2**24)
    stage.annotate(cast.project, cast.bob, 4, rationale="collected")
    return plant(cast, items)


def secrets_of(planted: list[Item]) -> set[str]:
    """Whatever names gold, repeats or spoilt images."""
    spoilt = Candidate.objects.filter(request__kind=GenerationRequest.Kind.GOLD)
    annotations = Annotation.objects.filter(item__in=planted)
    return {
        "PLANTED",
        *(str(one.pk) for one in planted),
        *(str(pk) for pk in annotations.values_list("pk", flat=True)),
        *(value for one in spoilt for value in (str(one.pk), one.key, one.sha256)),
    }


@pytest.mark.parametrize("key", sorted(ALL))
def test_no_export_holds_them(key: str, cast: Cast, planted: list[Item], alice: APIClient) -> None:
    answer: Any = alice.get(f"{API}/projects/{cast.project.pk}/export/", {"format": key})
    if answer.status_code != 200:
        assert key in {"trl-sft", "trl-kto"}, "texts alone have completions"
        return
    content = b"".join(answer.streaming_content)
    if key in {"jsonl", "csv"}:
        assert content.decode().count("collected") >= 4
    assert not [secret for secret in secrets_of(planted) if secret.encode() in content]


def test_no_parquet_pair_comes_of_them(cast: Cast, planted: list[Item], alice: APIClient) -> None:
    answer: Any = alice.get(f"{API}/projects/{cast.project.pk}/export/", {"format": "trl"})
    rows = pq.read_table(io.BytesIO(b"".join(answer.streaming_content))).to_pylist()
    assert len(rows) == 4 * 6
    spoilt = Candidate.objects.filter(request__kind=GenerationRequest.Kind.GOLD)
    files = {storage().read(one.key) for one in spoilt}
    assert files and not any(row[side]["bytes"] in files for row in rows for side in ("chosen", "rejected"))


def test_no_snapshot_takes_them(cast: Cast, planted: list[Item], tmp_path: Any) -> None:
    found = survey(cast.project, Filters(), include_simulated=True, at=timezone.now())
    assert (found.every, found.judgements, found.items) == (4, 4, 4)
    taken = take_snapshot(cast.project, cast.dave, timezone.now())
    assert freeze_next("a test")
    taken.refresh_from_db()
    folder = folders.fetch(taken.reference(), storage(), tmp_path / "fetched")
    rows = [row for split in folders.SPLITS for row in folders.read(folder, split)]
    assert len(rows) == 4 and sum(len(row.judgements) for row in rows) == 4
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert not [secret for secret in secrets_of(planted) if secret.encode() in content]


def test_no_figure_counts_them(cast: Cast, planted: list[Item], alice: APIClient) -> None:
    now = overview_of(cast.project, timezone.now())
    assert (now.items, now.annotations, now.images) == (4, 4, 16)
    (row,) = Project.objects.of(cast.alice).with_figures()
    assert (row.items_count, row.annotations_count) == (4, 4)
    assert row.newest_item in set(Item.objects.to_rank().values_list("pk", flat=True))
    assert loop_of(cast.project).unfrozen == 4
    assert Candidate.objects.of_project(cast.project).count() == 16
    listed: Any = alice.get(f"{API}/projects/{cast.project.pk}/generations/").json()["results"]
    assert len(listed) == 1
    annotations: Any = alice.get(f"{API}/projects/{cast.project.pk}/annotations/").json()["results"]
    assert len(annotations) == 4
    made = GenerationRequest.objects.get(kind=GenerationRequest.Kind.GOLD)
    assert alice.get(f"{API}/generations/{made.pk}/").status_code == 404
    gallery = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/images/").content.decode()
    assert not [secret for secret in secrets_of(planted) if secret in gallery]


def test_spoilt_images_never_become_items_of_their_own(cast: Cast, planted: list[Item]) -> None:
    before = Item.objects.count()
    assert gather(timezone.now()) == 0
    assert Item.objects.count() == before


def test_the_leaderboard_knows_no_gold(cast: Cast, model_folders: Any) -> None:
    make_model_folder(model_folders / "rival")
    rival = register_folder("Rival", "rival", "Apache-2.0", timezone.now())
    prompts = stage.make_prompts(cast.project, "a fox", "two boats", "some hens")
    stage.generate(cast, prompts, 1, compared=[rival])
    stage.work_off()
    gather(timezone.now(), cast.project)
    items = list(Item.objects.to_rank().order_by("id"))
    for _ in items:
        given = stage.lease(cast.project, cast.bob)
        best = given.item.candidates.get(model=rival).pk
        stage.submit(given, {"ranking": [[str(best)], [str(pk) for pk in given.shown_order if pk != best]]})
    before = board_of(cast.project, "human")
    plant(cast, items)
    after = board_of(cast.project, "human")
    assert (before.votes, before.rows) == (after.votes, after.rows) and before.votes == 3
    assert {row.model for row in after.rows} == {ModelVersion.objects.get(name="Rival"), cast.model}


def shape(value: Any) -> Any:
    """What an answer looks like without its contents."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in sorted(value.items())}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value).__name__


def test_nothing_that_an_annotator_gets_tells_gold_and_repeats_apart(cast: Cast) -> None:
    items = make_items(cast, 80, colours=2**24)
    automatic.start(cast.project, cast.alice, timezone.now(), count=40, kinds=["blur", "noise", "blocks"])
    automatic.advance(timezone.now())
    making.use(cast.project, list(Gold.objects.values_list("pk", flat=True)))
    Project.objects.filter(pk=cast.project.pk).update(gold_share=25, repeat_share=20)
    api, browser = client_of(cast.bob), browser_of(cast.bob)
    given: Any = api.post(f"{API}/projects/{cast.project.pk}/assignments/", {}).json()
    seen: dict[str, list[dict[str, Any]]] = {"rank": [], "gold": [], "repeat": []}
    answers: dict[str, set[str]] = {"rank": set(), "gold": set(), "repeat": set()}
    for number in range(70):
        purpose = Item.objects.get(pk=given["item"]["id"]).purpose
        seen[purpose].append(given)
        if number < 30:
            for one in given["item"]["candidates"]:
                image: Any = browser.get(one["url"])
                one["headers"] = {**image.headers, "Content-Length": ""}
                one["size"] = len(b"".join(image.streaming_content))
        # whatever is answered, the same comes back: gold is answered wrong twice, right otherwise
        spoilt = Candidate.objects.filter(
            pk__in=[one["id"] for one in given["item"]["candidates"]], request__kind="gold"
        )
        last = {str(pk) for pk in spoilt.values_list("pk", flat=True)}
        ranking = sorted((one["id"] for one in given["item"]["candidates"]), key=lambda pk: pk in last)
        body = {"answers": {"ranking": [[one] for one in ranking]}, "active_ms": 900}
        answer: Any = api.put(f"{API}/assignments/{given['id']}/annotation/", body)
        told = answer.json()
        answers[purpose].add(json.dumps([answer.status_code, sorted(told), shape(told["annotation"])]))
        given = told["next"]
        if given is None:
            break
    assert seen["gold"] and seen["repeat"] and len(items) == 80
    plain = {json.dumps(shape({**one, "item": {**one["item"], "candidates": []}})) for one in seen["rank"]}
    for purpose in ("gold", "repeat"):
        assert {json.dumps(shape({**one, "item": {**one["item"], "candidates": []}})) for one in seen[purpose]} <= plain
        assert answers[purpose] == answers["rank"]
    moments = {int(one["item"]["id"].replace("-", ""), 16) >> 80 for some in seen.values() for one in some}
    assert moments <= {one.pk.int >> 80 for one in items}, "ids of copies are of their originals' moments"
    of_images = {
        purpose: {int(image["id"].replace("-", ""), 16) >> 80 for one in some for image in one["item"]["candidates"]}
        for purpose, some in seen.items()
    }
    assert of_images["gold"] == of_images["rank"] == of_images["repeat"], "ids of images are of their request's moment"
    looks = {
        purpose: {
            json.dumps([image["width"], image["height"], image["headers"]], default=str)
            for one in some
            for image in one["item"]["candidates"]
            if "headers" in image
        }
        for purpose, some in seen.items()
    }
    assert looks["gold"] == looks["rank"]


def test_an_annotator_meets_no_address_of_gold(cast: Cast, planted: list[Item]) -> None:
    bob = client_of(cast.bob)
    for address in ("gold/", "gold/automatic/", "gold/unanimous/", "training/"):
        assert bob.get(f"{API}/projects/{cast.project.pk}/{address}").status_code == 403
    gold = Gold.objects.earliest("pk")
    assert bob.get(f"{API}/gold/{gold.pk}/").status_code == 403


def test_gold_follows_its_project_to_another_form(cast: Cast, planted: list[Item]) -> None:
    first, *others = cast.project.template_version.definition["components"]
    definition = {**cast.project.template_version.definition, "components": [{**first, "label": "Look"}, *others]}
    version = publish(cast.project.template_version.template, definition, timezone.now())
    use_template(cast.project, version)
    gold = Item.objects.filter(purpose="gold")
    assert set(gold.values_list("template_version", flat=True)) == {version.pk}
    assert set(Item.objects.filter(purpose="repeat").values_list("template_version", flat=True)) != {version.pk}
