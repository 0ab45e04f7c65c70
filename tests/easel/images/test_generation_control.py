"""Cancelling, pausing and resuming a generation request, and what it tells while it runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.models import Item
from easel.common import jobs
from easel.common.errors import Conflict
from easel.common.jobs import StaleLease
from easel.common.models import Job
from easel.common.tasks import progress
from easel.images import services
from easel.images.models import Candidate, GenerationRequest
from easel.images.services import record_images
from pytest_django import Settings
from rest_framework.test import APIClient

from generation.types import Failure, Progress, RenderRequest
from tests import cast as stage
from tests.cast import API, Cast


@pytest.fixture
def request_(cast: Cast, settings: Settings) -> GenerationRequest:
    """A request of three parts."""
    settings.CHUNK_IMAGES = 4
    return stage.generate(cast, stage.make_prompts(cast.project, "a fox", "a hen", "a cow"))


def order(client: APIClient, request: GenerationRequest, verb: str) -> Any:
    """Order a request about."""
    return client.post(f"{API}/generations/{request.pk}/{verb}/")


def told(client: APIClient, request: GenerationRequest) -> Any:
    """Read a request."""
    return client.get(f"{API}/generations/{request.pk}/").json()


def states(request: GenerationRequest) -> list[str]:
    """Return where the parts of a request stand."""
    return list(Job.objects.filter(chunk__request=request).order_by("id").values_list("state", flat=True))


def sign(claimed: RenderRequest, **others: Any) -> dict[str, Any]:
    """Send a sign of life as a worker does; returns the answer."""
    message = Progress(lease=claimed.lease, done=0, total=claimed.total, **others)
    answer: dict[str, Any] = progress(message=message.model_dump(mode="json"))
    return answer


def finish_one() -> None:
    """Have the next part rendered."""
    record_images(stage.render(stage.claim()), timezone.now())


def test_a_cancelled_request_keeps_its_images_and_its_worker_is_told_to_stop(
    request_: GenerationRequest, alice: APIClient
) -> None:
    finish_one()
    running = stage.claim()
    assert sign(running) == {"go_on": True}

    cancelled = order(alice, request_, "cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    assert states(request_) == ["done", "cancelled", "cancelled"]
    assert sign(running) == {"go_on": False}
    with pytest.raises(StaleLease), transaction.atomic():
        record_images(stage.render(running), timezone.now())
    assert stage.work_off() == 0
    assert told(alice, request_)["progress"]["done"] == 4
    assert Candidate.objects.filter(request=request_).count() == 4


def test_what_was_made_before_a_cancel_is_ranked_and_nothing_is_waited_for(
    request_: GenerationRequest, alice: APIClient
) -> None:
    finish_one()
    order(alice, request_, "cancel")
    gather(timezone.now())
    assert Item.objects.filter(request=request_).count() == 1
    assert GenerationRequest.objects.get().gathered_at is not None  # the clock does not come back to it for ever


def test_a_paused_request_waits_and_goes_on_to_the_same_images(request_: GenerationRequest, alice: APIClient) -> None:
    running = stage.claim()
    paused = order(alice, request_, "pause")
    assert (paused.status_code, paused.json()["state"]) == (202, "paused")
    assert states(request_) == ["paused"] * 3
    assert sign(running) == {"go_on": False}
    jobs.sweep(timezone.now() + timedelta(hours=1))
    assert stage.work_off() == 0
    with pytest.raises(StaleLease), transaction.atomic():
        jobs.fail(Failure(lease=running.lease, code="broken", reason="Too late."), timezone.now())

    resumed = order(alice, request_, "resume")
    assert (resumed.status_code, resumed.json()["state"]) == (202, "running")
    again = stage.claim()
    assert again.lease.job == running.lease.job
    assert again.lease.token != running.lease.token
    assert again.prompts == running.prompts
    record_images(stage.render(again), timezone.now())
    stage.work_off()
    assert (told(alice, request_)["state"], Candidate.objects.count()) == ("done", 12)
    assert set(Job.objects.values_list("failures", flat=True)) == {0}


def test_a_paused_request_can_be_cancelled(request_: GenerationRequest, alice: APIClient) -> None:
    order(alice, request_, "pause")
    assert order(alice, request_, "cancel").json()["state"] == "cancelled"
    assert states(request_) == ["cancelled"] * 3
    assert order(alice, request_, "resume").status_code == 409


@pytest.mark.parametrize(
    ("before", "verb", "words"),
    [
        ("", "resume", "is not paused"),
        ("pause", "pause", "is paused already"),
        ("pause", "retries", "is paused. Resume it first"),
        ("cancel", "cancel", "was cancelled already"),
        ("cancel", "pause", "Nothing of this request waits or runs"),
        ("cancel", "retries", "was cancelled. Ask for the images anew"),
        ("done", "cancel", "is finished"),
        ("done", "pause", "Nothing of this request waits or runs"),
        ("done", "resume", "is not paused"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_in_words_and_changes_nothing(
    request_: GenerationRequest, alice: APIClient, before: str, verb: str, words: str
) -> None:
    if before == "done":
        stage.work_off()
    elif before:
        assert order(alice, request_, before).status_code == 202
    was = told(alice, request_), states(request_)
    refused = order(alice, request_, verb)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert words in refused.json()["detail"]
    assert (told(alice, request_), states(request_)) == was


def test_a_dead_part_stays_dead_through_a_pause_and_can_be_retried_after_it(
    request_: GenerationRequest, alice: APIClient
) -> None:
    failure = Failure(lease=stage.claim().lease, code="bad_model", reason="No weights.", retryable=False)
    jobs.fail(failure, timezone.now())
    order(alice, request_, "pause")
    assert told(alice, request_)["error"] == "No weights."
    order(alice, request_, "resume")
    assert states(request_) == ["dead", "queued", "queued"]
    assert order(alice, request_, "retries").status_code == 202
    stage.work_off()
    assert told(alice, request_)["state"] == "done"


def test_a_running_request_tells_its_step_its_pace_and_when_it_will_be_done(
    request_: GenerationRequest, alice: APIClient
) -> None:
    at = timezone.now()
    for seconds in (8, 4):
        record_images(stage.render(stage.claim(at)), at - timedelta(seconds=seconds))
    running = stage.claim()
    sign(running, step=7, steps=20, note="image 1 of 4: step 7 of 20")
    said = told(alice, request_)["progress"]
    assert (said["done"], said["total"], said["step"], said["steps"]) == (8, 12, 7, 20)
    assert said["note"] == "image 1 of 4: step 7 of 20"
    assert (said["images_per_second"], said["eta_seconds"]) == (1, 4)  # four more in the four seconds since the first

    again = Failure(lease=running.lease, code="worker_stopping", reason="It was told to stop.")
    jobs.fail(again, timezone.now())
    stage.claim()
    said = told(alice, request_)["progress"]
    assert (said["step"], said["steps"], said["note"]) == (0, 0, "")  # what the last worker said is over


def test_of_those_who_pause_cancel_and_record_at_once_nobody_waits_for_ever(
    committed_cast: Cast, settings: Settings
) -> None:
    settings.CHUNK_IMAGES = 4
    cast = committed_cast
    request = stage.generate(cast, stage.make_prompts(cast.project, *(f"icon {number}" for number in range(24))))

    def act(number: int) -> None:
        for _ in range(6):
            try:
                if number == 0:
                    services.pause(request, timezone.now())
                elif number == 1:
                    services.resume(request, timezone.now())
                else:
                    record_images(stage.render(stage.claim()), timezone.now())
            except (Conflict, AssertionError):  # nothing to claim, to pause, to resume at this moment
                pass

    stage.in_parallel(4, act)
    now = GenerationRequest.objects.with_progress().get()
    if now.state == "paused":
        assert set(states(request)) <= {"paused", "done"}
        services.resume(now, timezone.now())
    assert "paused" not in states(request)
    jobs.sweep(timezone.now() + timedelta(hours=1))
    Job.objects.filter(state=Job.State.QUEUED).update(not_before=cast.project.created_at)
    stage.work_off()
    assert (GenerationRequest.objects.with_progress().get().state, Candidate.objects.count()) == ("done", 96)
