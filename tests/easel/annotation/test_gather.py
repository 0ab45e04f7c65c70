"""Images become items once all of a prompt's images are there; doing it again changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.models import Item
from easel.annotation.tasks import gather as gather_task
from easel.annotation.template_uses import use_template
from easel.common.errors import Conflict
from easel.common.jobs import StaleLease
from easel.common.models import Job
from easel.forms.services import publish
from easel.images.models import Candidate, GenerationRequest
from easel.images.services import record_images
from pytest_django import Settings

from generation.types import RenderedImages
from tests import cast as stage
from tests.cast import Cast


def test_an_item_holds_a_prompts_images_and_the_projects_template(cast: Cast) -> None:
    request = stage.generate(cast, stage.make_prompts(cast.project, "a fox", "a hen"))
    stage.work_off()
    assert gather(timezone.now(), cast.project) == 2
    for item in Item.objects.all():
        assert item.candidates.count() == 4
        assert {one.prompt_id for one in item.candidates.all()} == {item.prompt_id}
        assert item.template_version == cast.project.template_version
        assert (item.request, item.state) == (request, "ready")


def test_gathering_again_makes_nothing(cast: Cast) -> None:
    stage.make_items(cast, 3)
    before = list(Item.objects.values_list("pk", flat=True))
    for _ in range(2):
        assert gather(timezone.now()) == 0
    gather_task(project=str(cast.project.pk))
    gather_task()
    gather_task(project="01a1fdda-fe8b-7568-ac44-daae290d8b06")
    assert list(Item.objects.values_list("pk", flat=True)) == before
    assert GenerationRequest.objects.get().gathered_at is not None


def test_a_prompt_waits_until_its_last_image_is_there(cast: Cast) -> None:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox", "a hen"))
    rendered = stage.render(stage.claim())
    first = RenderedImages(lease=rendered.lease, images=rendered.images[:5])  # the fox's four and one of the hen's
    rest = RenderedImages(lease=rendered.lease, images=rendered.images[5:])
    assert record_images(first, timezone.now()) == 5
    assert gather(timezone.now()) == 1
    assert GenerationRequest.objects.get().gathered_at is None
    assert record_images(rest, timezone.now()) == 8
    assert gather(timezone.now()) == 1
    assert GenerationRequest.objects.get().gathered_at is not None


def test_single_images_are_nothing_to_rank(cast: Cast) -> None:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox"), images_per_prompt=1)
    stage.work_off()
    assert gather(timezone.now()) == 0


def test_single_images_are_items_where_the_form_judges_each_by_itself(cast: Cast) -> None:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox", "a hen"), images_per_prompt=1)
    stage.work_off()
    form: dict[str, object] = {
        "components": [{"type": "image", "name": "image"}, {"type": "rating", "name": "quality"}]
    }
    use_template(cast.project, publish(cast.project.template_version.template, form, timezone.now()))
    assert gather(timezone.now()) == 2
    assert gather(timezone.now()) == 0
    assignment = stage.lease(cast.project, cast.bob)
    assert len(assignment.shown_order) == 1
    annotation, _ = stage.submit(assignment, {"quality": 4})
    assert (annotation.answers, annotation.ranking) == ({"quality": 4}, [])


def test_only_the_project_that_is_asked_for_is_gathered(cast: Cast) -> None:
    stage.generate(cast, stage.make_prompts(cast.foreign, "a zebra"), project=cast.foreign)
    stage.work_off()
    assert gather(timezone.now(), cast.project) == 0
    assert gather(timezone.now()) == 1


def test_two_who_gather_at_once_make_each_item_once(committed_cast: Cast, settings: Settings) -> None:
    settings.CHUNK_IMAGES = 4
    cast = committed_cast
    stage.generate(cast, stage.make_prompts(cast.project, *(f"icon {number}" for number in range(20))))

    def work(_: int) -> None:
        stage.work_off()
        gather(timezone.now())

    stage.in_parallel(4, work)
    gather(timezone.now())
    assert Item.objects.count() == 20
    assert Candidate.objects.count() == 80
    assert Item.candidates.through.objects.count() == 80
    assert GenerationRequest.objects.get().gathered_at is not None


def test_recording_twice_is_recording_once(cast: Cast) -> None:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox"))
    rendered = stage.render(stage.claim())
    part = RenderedImages(lease=rendered.lease, images=rendered.images[:3])
    assert [record_images(part, timezone.now()) for _ in range(2)] == [3, 3]
    assert record_images(rendered, timezone.now()) == 4
    assert Job.objects.get().state == "done"
    with pytest.raises(StaleLease), transaction.atomic():  # the job is finished: what comes again is not taken
        record_images(rendered, timezone.now())
    assert [one.seed for one in Candidate.objects.order_by("position")] == [
        image.manifest.seed for image in rendered.images
    ]


def test_a_worker_that_was_given_up_on_records_nothing(cast: Cast) -> None:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox"))
    rendered = stage.render(stage.claim())
    Job.objects.update(token="01a1fdda-fe8b-7568-ac44-daae290d8b06")
    with pytest.raises(StaleLease), transaction.atomic():
        record_images(rendered, timezone.now())
    assert not Candidate.objects.exists()


@pytest.mark.parametrize("change", ["seed", "position", "prompt"])
def test_an_image_that_the_job_did_not_ask_for_is_refused(cast: Cast, change: str) -> None:
    (fox,) = stage.make_prompts(cast.foreign, "a fox")
    stage.generate(cast, stage.make_prompts(cast.project, "a hen"))
    rendered = stage.render(stage.claim())
    image = rendered.images[0]
    other: dict[str, dict[str, Any]] = {
        "seed": {"manifest": image.manifest.model_copy(update={"seed": (image.manifest.seed or 0) + 1})},
        "position": {"position": 1},
        "prompt": {"prompt": fox.pk},
    }
    wrong = RenderedImages(lease=rendered.lease, images=(image.model_copy(update=other[change]),))
    with pytest.raises(Conflict, match="did not ask for"), transaction.atomic():
        record_images(wrong, timezone.now())
    assert not Candidate.objects.exists()
