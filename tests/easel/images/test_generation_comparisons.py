"""One prompt, several models, the same seeds: what is compared, and that nothing tells which model is which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.models import Item
from easel.images.models import Candidate, Chunk, GenerationRequest
from easel.images.services import record_images
from easel.registry.models import ModelVersion
from easel.registry.services import register_folder
from pytest_django import Settings
from rest_framework.test import APIClient

from generation.types import RenderedImages
from tests import cast as stage
from tests.cast import API, Cast
from tests.easel.registry.folders import safetensors


@pytest.fixture
def models(cast: Cast, model_folders: Path) -> list[ModelVersion]:
    """Three models: Painter, and two more."""
    others = []
    for number, name in enumerate(("Sketcher", "Etcher")):
        folder = stage.make_model_folder(model_folders / name.lower())
        (folder / "unet" / "model.safetensors").write_bytes(safetensors(b"{" + b" " * number + b"}"))
        others.append(register_folder(name, name.lower(), "", timezone.now()))
    return [cast.model, *others]


def compare(client: APIClient, cast: Cast, **body: Any) -> Any:
    """Ask for a comparison of all three."""
    body = {"models": ["Painter", "Sketcher", "Etcher"], **body}
    return client.post(f"{API}/projects/{cast.project.pk}/generations/", body)


def test_every_model_makes_each_prompt_from_the_same_seeds(
    cast: Cast, alice: APIClient, models: list[ModelVersion]
) -> None:
    prompts = stage.make_prompts(cast.project, "a fox", "a hen")
    made = compare(alice, cast, images_per_prompt=2).json()
    assert (made["progress"]["total"], made["images_per_prompt"]) == (12, 6)
    assert (made["model"], set(made["compared"])) == (str(models[0].pk), {str(model.pk) for model in models[1:]})
    stage.work_off()
    for prompt in prompts:
        rows = list(Candidate.objects.filter(prompt=prompt).order_by("position"))
        assert [row.model for row in rows] == [model for model in models for _ in range(2)]
        assert len({row.seed for row in rows}) == 2
        assert [row.seed for row in rows] == [row.seed for row in rows[:2]] * 3


def test_an_item_holds_one_image_of_each_model_for_each_seed(
    cast: Cast, alice: APIClient, models: list[ModelVersion]
) -> None:
    stage.make_prompts(cast.project, "a fox", "a hen")
    compare(alice, cast, seeds=[5, 6])
    stage.work_off()
    assert gather(timezone.now()) == 4
    assert gather(timezone.now()) == 0
    for item in Item.objects.all():
        candidates = list(item.candidates.all())
        assert {one.model for one in candidates} == set(models)
        assert {one.seed for one in candidates} == {(5, 6)[item.group]}
        assert {one.prompt_id for one in candidates} == {item.prompt_id}
    assert GenerationRequest.objects.get().gathered_at is not None


def test_an_item_waits_for_the_last_of_its_models(
    cast: Cast, alice: APIClient, models: list[ModelVersion], settings: Settings
) -> None:
    settings.CHUNK_IMAGES = 2
    stage.make_prompts(cast.project, "a fox")
    compare(alice, cast, images_per_prompt=2)
    for _ in models[1:]:
        record_images(stage.render(stage.claim()), timezone.now())
        assert gather(timezone.now()) == 0
    last = stage.render(stage.claim())
    record_images(RenderedImages(lease=last.lease, images=last.images[:1]), timezone.now())
    assert gather(timezone.now()) == 1
    assert GenerationRequest.objects.get().gathered_at is None
    record_images(last, timezone.now())
    assert gather(timezone.now()) == 1
    assert GenerationRequest.objects.get().gathered_at is not None
    assert sorted(Item.objects.values_list("group", flat=True)) == [0, 1]


def test_a_chunk_belongs_to_one_model_and_models_do_not_alternate(
    cast: Cast, alice: APIClient, models: list[ModelVersion], settings: Settings
) -> None:
    settings.CHUNK_IMAGES = 2
    stage.make_prompts(cast.project, *(f"icon {number}" for number in range(4)))
    compare(alice, cast, images_per_prompt=1)
    names = []
    while Chunk.objects.filter(job__state="queued").exists():
        claimed = stage.claim()
        names.append(claimed.model.name)
        record_images(stage.render(claimed), timezone.now())
    assert names == ["Painter", "Painter", "Sketcher", "Sketcher", "Etcher", "Etcher"]


def test_neither_ids_nor_order_tell_an_annotator_which_model_is_which(
    cast: Cast, alice: APIClient, models: list[ModelVersion]
) -> None:
    stage.make_prompts(cast.project, *(f"icon {number}" for number in range(60)))
    compare(alice, cast)
    stage.work_off()
    gather(timezone.now())
    by_id = {model.pk: [0, 0, 0] for model in models}
    by_place = {model.pk: [0, 0, 0] for model in models}
    for _ in range(60):
        assignment = stage.lease(cast.project, cast.bob)
        models_of = dict(Candidate.objects.filter(pk__in=assignment.shown_order).values_list("pk", "model"))
        for place, pk in enumerate(assignment.shown_order):
            by_place[models_of[pk]][place] += 1
        for place, pk in enumerate(sorted(models_of)):
            by_id[models_of[pk]][place] += 1
        stage.submit(assignment, stage.answers_for(assignment))
    # 60 throws at three places: 20 each. Fewer than 5 or more than 35 come about once in 100,000 runs.
    for counts in (*by_id.values(), *by_place.values()):
        assert all(5 <= count <= 35 for count in counts), (by_id, by_place)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": "Painter"}, "model"),
        ({"models": None}, "models"),
        ({"models": ["Painter"]}, "models"),
        ({"models": ["Painter", "Nobody"]}, "models"),
        ({"models": ["Painter", "Painter"]}, "models"),
        ({"images_per_prompt": 22}, "images_per_prompt"),
        ({"seeds": [1, 2], "images_per_prompt": 3}, "seeds"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused_by_field(
    cast: Cast, alice: APIClient, models: list[ModelVersion], body: dict[str, Any], field: str
) -> None:
    stage.make_prompts(cast.project, "a fox")
    refused = compare(alice, cast, **body)
    assert (refused.status_code, list(refused.json()["fields"])) == (400, [field])
    assert not GenerationRequest.objects.exists()


def test_a_request_without_any_model_is_refused(cast: Cast, alice: APIClient) -> None:
    stage.make_prompts(cast.project, "a fox")
    refused = alice.post(f"{API}/projects/{cast.project.pk}/generations/", {})
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["model"])


def test_a_model_known_from_imports_only_cannot_be_asked(cast: Cast, alice: APIClient) -> None:
    stage.make_prompts(cast.project, "a fox")
    ModelVersion.objects.filter(pk=cast.model.pk).update(kind=ModelVersion.Kind.IMPORTED)
    refused = alice.post(f"{API}/projects/{cast.project.pk}/generations/", {"model": "Painter"})
    assert refused.status_code == 400
    assert "imported images only" in refused.json()["detail"]
