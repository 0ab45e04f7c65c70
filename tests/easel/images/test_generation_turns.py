"""Two lanes, and turns among the requests of a lane: who waits for whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone
from easel.common import jobs
from easel.common.models import Job
from easel.images import services
from easel.images.models import Chunk, GenerationRequest
from easel.images.services import claim_render
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings
from rest_framework.test import APIClient

from generation.types import Failure, RenderRequest
from tests import cast as stage
from tests.cast import API, Cast

Ask = Callable[..., GenerationRequest]


@pytest.fixture
def ask(cast: Cast, settings: Settings) -> Ask:
    """Return a maker of requests of that many chunks, each with the images of one prompt."""
    settings.CHUNK_IMAGES = 4
    prompts = stage.make_prompts(cast.project, *(f"icon {number}" for number in range(120)))

    def make(chunks: int, **options: Any) -> GenerationRequest:
        return stage.generate(cast, prompts[:chunks], at=timezone.now(), **options)

    return make


def served(request: RenderRequest) -> UUID:
    """Return the request that a claimed job belongs to."""
    return Chunk.objects.get(job=request.lease.job).request_id


def work(chunks: int) -> list[UUID]:
    """Claim and finish that many jobs, one after another; return whose they were."""
    whose = []
    for _ in range(chunks):
        claimed = stage.claim()
        whose.append(served(claimed))
        stage.finish(claimed.lease, timezone.now())
    return whose


def test_a_small_request_waits_for_one_part_of_a_large_one_not_for_all(ask: Ask) -> None:
    large = ask(120)
    work(30)
    small = ask(2)
    assert work(5) == [large.pk, small.pk, large.pk, small.pk, large.pk]


def test_three_requests_take_turns_and_a_late_one_does_not_overtake(ask: Ask) -> None:
    first, second = ask(20), ask(20)
    assert work(8) == [first.pk, second.pk] * 4
    third = ask(3)
    assert work(9) == [first.pk, second.pk, third.pk] * 3


def test_a_part_that_failed_early_does_not_let_new_requests_overtake(ask: Ask) -> None:
    large = ask(20)
    failed = stage.claim()
    jobs.fail(Failure(lease=failed.lease, code="broken", reason="It would not go."), timezone.now())
    work(10)
    Job.objects.filter(pk=failed.lease.job).update(not_before=timezone.now())
    late = ask(10)
    assert work(6).count(late.pk) <= 3
    assert large.pk != late.pk


def test_a_paused_request_goes_on_from_where_the_others_are(ask: Ask) -> None:
    paused, other = ask(20), ask(30)
    services.pause(paused, timezone.now())
    assert set(work(15)) == {other.pk}
    services.resume(paused, timezone.now())
    assert sorted(work(10)) == sorted([other.pk, paused.pk] * 5)


def test_live_work_goes_before_every_turn_of_the_batch_lane(ask: Ask) -> None:
    batch, live = ask(20), ask(2, lane=Job.Lane.LIVE)
    assert work(3) == [live.pk, live.pk, batch.pk]


def test_a_person_may_ask_for_a_few_images_in_the_live_lane(cast: Cast, alice: APIClient, settings: Settings) -> None:
    fox, hen = stage.make_prompts(cast.project, "a fox", "a hen")
    body = {"model": "Painter", "prompts": [str(fox.pk)]}
    stage.generate(cast, [hen])
    made = alice.post(f"{API}/projects/{cast.project.pk}/generations/", {**body, "lane": "live"})
    assert made.status_code == 202
    claimed = stage.claim()
    assert (claimed.lane, [prompt.id for prompt in claimed.prompts]) == ("live", [fox.pk])

    more = stage.make_prompts(cast.project, *(f"icon {number}" for number in range(16)))
    body = {"model": "Painter", "prompts": [str(one.pk) for one in [fox, *more]]}
    refused = alice.post(f"{API}/projects/{cast.project.pk}/generations/", {**body, "lane": "live"})
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["lane"])


def test_a_claim_looks_at_one_job_however_many_wait(ask: Ask) -> None:
    large = ask(1)
    job = Job.objects.get(chunk__request=large)
    Job.objects.bulk_create(
        [Job(kind=job.kind, lane=lane, turn=turn, created_at=job.created_at, not_before=job.not_before)
         for lane in Job.Lane.values for turn in range(5_000)],
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE common_job")
    rows = Job.objects.claimable("render", "batch", timezone.now()).select_for_update(skip_locked=True, no_key=True)
    plan = rows[:1].explain(analyze=True)
    assert "Index Scan using job_queued" in plan
    assert "Sort" not in plan
    assert " rows=1" in plan.split("Index Scan using job_queued")[1].split("actual")[1]


def test_a_claim_that_comes_twice_leases_once(ask: Ask) -> None:
    ask(3)
    token, at = uuid4(), timezone.now()
    first = claim_render(stage.CLAIM, at, token)
    assert first is not None
    assert first.lease.token == token
    assert claim_render(stage.CLAIM, at, token) == first
    assert Job.objects.filter(state=Job.State.RUNNING).count() == 1
    stage.finish(first.lease, at)
    assert claim_render(stage.CLAIM, at, token) is None  # its worker has answered: nobody waits for this any more


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(
        st.sampled_from(
            ["ask 2", "ask 12", "ask 12", "work 1", "work 6", "work 6", "fail 1", "pause", "resume", "cancel"]
        ),
        min_size=4,
        max_size=30,
    )
)
def test_no_request_ever_waits_for_more_than_a_turn_of_each_other(ask: Ask, acts: list[str]) -> None:
    """Whatever happened before: of requests that wait, none gets more than two parts ahead of another."""
    with transaction.atomic():
        at = timezone.now()
        requests: list[GenerationRequest] = []
        failed: Counter[UUID] = Counter()
        for act in acts:
            verb, _, count = act.partition(" ")
            at += timedelta(minutes=1)
            if verb == "ask":
                requests.append(ask(int(count)))
            elif verb in {"work", "fail"}:
                for _ in range(int(count)):
                    if (claimed := claim_render(stage.CLAIM, at)) is None:
                        break
                    if verb == "work":
                        stage.finish(claimed.lease, at)
                    else:
                        jobs.fail(Failure(lease=claimed.lease, code="broken", reason="It would not go."), at)
                        failed[served(claimed)] += 1
            elif requests:
                state = GenerationRequest.objects.with_progress().get(pk=requests[0].pk).state
                if verb == "resume" and state == "paused":
                    services.resume(requests[0], at)
                elif verb == "pause" and state in {"queued", "running"}:
                    services.pause(requests[0], at)
                elif verb == "cancel" and state in {"queued", "running", "paused"}:
                    services.cancel(requests[0], at)
        waiting = {one.pk: Job.objects.filter(chunk__request=one, state=Job.State.QUEUED).count() for one in requests}
        at += timedelta(hours=1)
        seen = dict.fromkeys(waiting, 0)
        while claimed := claim_render(stage.CLAIM, at):
            whose = served(claimed)
            stage.finish(claimed.lease, at)
            seen[whose] += 1
            behind = [seen[one] for one in seen if one != whose and seen[one] < waiting[one]]
            if behind:
                assert seen[whose] - min(behind) <= 2 + failed[whose]  # what is tried again has had its turn
        assert seen == waiting
        transaction.set_rollback(True)
