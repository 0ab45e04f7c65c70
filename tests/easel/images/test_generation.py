"""Generation requests over HTTP: what is asked for, how far it has come, why it failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from easel.common import jobs
from easel.common.models import Job
from easel.images.models import Candidate, Chunk, GenerationRequest
from pytest_django import Settings
from rest_framework.test import APIClient

from generation.types import MAX_SEED, Failure
from tests import cast as stage
from tests.cast import API, Cast

QUEUED = {
    "done": 0, "total": 8, "step": 0, "steps": 0, "note": "", "images_per_second": None, "eta_seconds": None,
}  # fmt: skip


def ask(client: APIClient, cast: Cast, **body: Any) -> Any:
    """Ask for images."""
    return client.post(f"{API}/projects/{cast.project.pk}/generations/", {"model": "Painter", **body})


def test_a_request_is_queued_rendered_and_done(cast: Cast, alice: APIClient) -> None:
    stage.make_prompts(cast.project, "a fox", "a hen")
    made = ask(alice, cast)
    assert made.status_code == 202
    address = f"{API}/generations/{made.json()['id']}/"
    assert made.json() == alice.get(address).json()
    assert (made.json()["state"], made.json()["progress"]) == ("queued", QUEUED)

    claimed = stage.claim()
    assert alice.get(address).json()["state"] == "running"
    from easel.images.services import record_images

    record_images(stage.render(claimed), timezone.now())
    done = alice.get(address).json()
    assert (done["state"], done["progress"], done["error"]) == ("done", {**QUEUED, "done": 8}, None)
    candidates = alice.get(done["candidates"]).json()["results"]
    assert len(candidates) == 8
    assert candidates[0]["settings"]["versions"] == {"torch": "2.13.0"}
    assert alice.get(f"{API}/projects/{cast.project.pk}/generations/").json()["results"] == [done]


def test_every_image_has_a_seed_of_its_own_unless_seeds_are_given(cast: Cast, alice: APIClient) -> None:
    stage.make_prompts(cast.project, *(f"icon {number}" for number in range(10)))
    ask(alice, cast)
    stage.work_off()
    assert len(set(Candidate.objects.values_list("seed", flat=True))) == 40

    given = ask(alice, cast, images_per_prompt=2, seeds=[0, MAX_SEED]).json()
    stage.work_off()
    seeds = Candidate.objects.filter(request=given["id"]).order_by("prompt", "position").values_list("seed", flat=True)
    assert list(seeds) == [0, MAX_SEED] * 10


def test_settings_reach_the_worker_and_the_candidates(cast: Cast, alice: APIClient) -> None:
    stage.make_prompts(cast.project, "a fox")
    made = ask(alice, cast, settings={"steps": 7, "guidance_scale": 1.5, "scheduler": "ddim", "width": 64}).json()
    said = {name: value for name, value in made["settings"].items() if value is not None}
    assert said == {"steps": 7, "guidance_scale": 1.5, "scheduler": "ddim", "width": 64}
    claimed = stage.claim()
    assert (claimed.settings.steps, claimed.settings.scheduler) == (7, "ddim")


def test_chosen_prompts_only(cast: Cast, alice: APIClient) -> None:
    fox, _ = stage.make_prompts(cast.project, "a fox", "a hen")
    assert ask(alice, cast, prompts=[str(fox.pk)]).json()["progress"]["total"] == 4
    assert [prompt.id for prompt in stage.claim().prompts] == [fox.pk]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": "Nobody"}, "model"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"images_per_prompt": 0}, "images_per_prompt"),
        ({"images_per_prompt": 65}, "images_per_prompt"),
        ({"seeds": [1, 2]}, "seeds"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [-1, 1, 2, 3]}, "seeds.0"),
        ({"seeds": [MAX_SEED + 1, 1, 2, 3]}, "seeds.0"),
        ({"settings": {"steps": 0}}, "settings"),
        ({"settings": {"steps": 10**30}}, "settings"),
        ({"settings": {"width": 65}}, "settings"),
        ({"settings": {"scheduler": "magic"}}, "settings"),
        ({"settings": []}, "settings"),
        ({"prompts": ["01a1fdda-fe8b-7568-ac44-daae290d8b06"]}, "prompts"),
        ({"prompts": ["x"]}, "prompts.0"),
        ({"prompts": []}, "prompts"),
    ],
)
def test_a_wrong_request_is_refused_by_field_and_leaves_nothing(
    cast: Cast, alice: APIClient, body: dict[str, Any], field: str
) -> None:
    stage.make_prompts(cast.project, "a fox")
    refused = ask(alice, cast, **body)
    assert refused.status_code == 400
    assert list(refused.json()["fields"]) == [field]
    assert not GenerationRequest.objects.exists()
    assert not Job.objects.exists()


def test_a_project_without_prompts_has_nothing_to_generate(cast: Cast, alice: APIClient) -> None:
    refused = ask(alice, cast)
    assert (refused.status_code, refused.json()["fields"]) == (400, {"prompts": ["none"]})


def test_another_projects_prompt_is_no_prompt_of_this_one(cast: Cast, alice: APIClient) -> None:
    (zebra,) = stage.make_prompts(cast.foreign, "a zebra")
    stage.make_prompts(cast.project, "a fox")
    refused = ask(alice, cast, prompts=[str(zebra.pk)])
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["prompts"])


def test_work_is_cut_into_chunks_that_keep_a_prompt_together(cast: Cast, alice: APIClient, settings: Settings) -> None:
    settings.CHUNK_IMAGES = 10
    stage.make_prompts(cast.project, *(f"icon {number}" for number in range(5)))
    ask(alice, cast)
    assert [len(chunk.prompts) for chunk in Chunk.objects.order_by("id")] == [2, 2, 1]
    assert [job.total for job in Job.objects.order_by("id")] == [8, 8, 4]
    ask(alice, cast, images_per_prompt=64)
    assert Chunk.objects.filter(images=64).count() == 5


def test_a_dead_part_fails_the_request_with_its_reason_and_retry_mends_it(
    cast: Cast, alice: APIClient, settings: Settings
) -> None:
    settings.CHUNK_IMAGES = 4
    stage.make_prompts(cast.project, "a fox", "a hen")
    made = ask(alice, cast).json()
    address = f"{API}/generations/{made['id']}/"
    assert alice.post(f"{address}retries/").status_code == 409
    reason = "The model folder holds no unet."
    failure = Failure(lease=stage.claim().lease, code="bad_model", reason=reason, retryable=False)
    jobs.fail(failure, timezone.now())
    assert alice.get(address).json()["state"] == "running"
    stage.work_off()
    failed = alice.get(address).json()
    assert (failed["state"], failed["error"], failed["progress"]["done"]) == ("failed", reason, 4)

    retried = alice.post(f"{address}retries/")
    assert (retried.status_code, retried.json()["state"], retried.json()["error"]) == (202, "running", None)
    stage.work_off()
    assert alice.get(address).json()["state"] == "done"
    assert alice.post(f"{address}retries/").json()["code"] == "conflict"


def test_the_models_are_listed_without_paths_of_the_machine(cast: Cast, alice: APIClient, model_folders: Path) -> None:
    (model,) = alice.get(f"{API}/models/").json()["results"]
    assert (model["name"], model["family"]) == ("Painter", "StableDiffusionPipeline")
    assert model["location"] == "folder:painter"
    assert str(model_folders) not in str(model)
