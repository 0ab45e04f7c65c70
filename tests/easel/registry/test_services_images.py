"""From a request for a service's images to its candidates: the platform's true services, and HTTP to a true service."""

from __future__ import annotations

import pytest
from django.utils import timezone
from easel.common import jobs
from easel.common.errors import Conflict
from easel.images.models import Candidate, GenerationRequest
from easel.images.services import failures, record_images, request_images
from easel.registry.services import NewModel, add_model

from generation.api_renderer import ApiRenderer
from generation.errors import RenderError
from generation.services import ApiService
from generation.storage import Storage
from generation.types import Failure, RenderedImages
from tests import cast as stage
from tests.cast import API, Cast, browser_of, client_of
from tests.generation import paint_service as service

pytestmark = pytest.mark.django_db


def test_images_of_a_service_are_recorded_with_their_cost_and_without_a_seed(cast: Cast) -> None:
    model = add_model(NewModel("api:painter"), None, timezone.now())
    prompts = stage.make_prompts(cast.project, "a fox", "a rude fox", "a hen")
    asked = request_images(cast.project, model, prompts, cast.alice, timezone.now(), images_per_prompt=2)
    request = stage.claim()
    with service.painter() as painter:
        painter.will(service.error(400, "Against our rules."), to="a rude fox")
        known = {"url": painter.url, "key": service.KEY, "model": "painter-1", "cost_per_image": 0.04}
        renderer = ApiRenderer({"painter": ApiService.model_validate(known)})
        done: list[RenderedImages] = []
        with pytest.raises(RenderError, match="“a rude fox”") as caught:
            renderer.render(
                request,
                Storage(request.storage_url),
                on_images=lambda images: done.append(RenderedImages(lease=request.lease, images=images)),
            )
    for answer in done:
        record_images(answer, timezone.now())
    error = caught.value
    jobs.fail(
        Failure(lease=request.lease, code=error.code, reason=str(error), retryable=error.retryable), timezone.now()
    )
    made = Candidate.objects.filter(request=asked)
    assert sorted(made.values_list("prompt__text", "position", "seed", "manifest__cost")) == [
        ("a fox", 0, None, 0.04),
        ("a fox", 1, None, 0.04),
        ("a hen", 0, None, 0.04),
        ("a hen", 1, None, 0.04),
    ]
    assert GenerationRequest.objects.with_progress().get(pk=asked.pk).state == "failed"
    assert "Against our rules" in failures(asked)[0].error
    listed = client_of(cast.alice).get(f"{API}/generations/{asked.pk}/candidates/").json()["results"]
    assert {one["seed"] for one in listed} == {None}
    assert {one["settings"]["service"]["model"] for one in listed} == {"painter-1"}
    gallery = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/images/").content.decode()
    assert "no seed" in gallery
    assert "None" not in gallery


def test_only_a_service_may_say_that_there_is_no_seed(cast: Cast) -> None:
    prompts = stage.make_prompts(cast.project, "a fox")
    stage.generate(cast, prompts, 1)
    request = stage.claim()
    answer = stage.render(request)
    (image,) = answer.images
    seedless = image.model_copy(update={"manifest": image.manifest.model_copy(update={"seed": None})})
    with pytest.raises(Conflict):
        record_images(answer.model_copy(update={"images": (seedless,)}), timezone.now())
