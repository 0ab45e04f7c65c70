"""The life of a job: claimed with a token, kept by heartbeats, dead with a reason, rung for until somebody comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from easel.common import jobs
from easel.common.broker import app
from easel.common.errors import IllegalTransition
from easel.common.jobs import BELLS, StaleLease
from easel.common.models import Job
from easel.images.services import claim_render
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from generation.types import Claim, Failure, Lease, Progress
from tests import cast as stage
from tests.cast import Cast

MINUTE = timedelta(minutes=1)


@pytest.fixture
def at() -> datetime:
    """The clock of a test: the services take it as an argument."""
    return timezone.now()


@pytest.fixture
def job(cast: Cast, at: datetime) -> Job:
    """One job, waiting."""
    request = stage.generate(cast, stage.make_prompts(cast.project, "a fox"), at=at)
    return Job.objects.get(chunk__request=request)


@pytest.fixture
def bells() -> Iterator[Bells]:
    """What rings on the real broker; silent at the start."""
    with app.connection_for_write() as connection:
        found = Bells(connection)
        found.drain()
        yield found
        found.drain()


class Bells:
    """The queues of the workers."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def drain(self) -> dict[str, int]:
        """Take every message off the workers' queues; return how many each held."""
        counts = {}
        for lane in Job.Lane.values:
            queue = self.connection.SimpleQueue(lane)
            count = 0
            while True:
                try:
                    message = queue.get(block=False)
                except queue.Empty:
                    break
                # The platform's own queue also holds what other tests sent to it; a worker's holds bells alone.
                assert message.headers["task"] == BELLS[lane] or lane == Job.Lane.WEB
                message.ack()
                count += message.headers["task"] == BELLS[lane]
            queue.close()
            if count:
                counts[lane] = count
        return counts


def fresh(job: Job) -> Job:
    """Read a job again."""
    return Job.objects.get(pk=job.pk)


def claim_at(at: datetime) -> Lease:
    """Claim as a worker does."""
    request = claim_render(stage.CLAIM, at)
    assert request is not None
    return request.lease


def failure(lease: Lease, code: str = "broken", *, retryable: bool = True) -> Failure:
    """A worker's giving up."""
    return Failure(lease=lease, code=code, reason="It would not go.", retryable=retryable)


def test_a_claim_leases_a_job_once(job: Job, at: datetime) -> None:
    lease = claim_at(at)
    assert (lease.job, lease.attempt) == (job.pk, 1)
    assert claim_render(stage.CLAIM, at) is None
    taken = fresh(job)
    assert (taken.state, taken.token, taken.worker) == ("running", lease.token, "a test")
    assert taken.lease_expires_at == at + timedelta(seconds=30)


def test_a_claim_names_everything_that_a_worker_needs(cast: Cast, at: datetime, settings: Settings) -> None:
    (prompt,) = stage.make_prompts(cast.project, "a fox")
    stage.generate(cast, [prompt], images_per_prompt=2, at=at, seeds=[7, 2**63 - 1])
    request = claim_render(stage.CLAIM, at)
    assert request is not None
    assert request.lane == "batch"
    assert request.model == cast.model.reference()
    assert request.storage_url == settings.STORAGE_URL
    assert [(one.id, one.text, [slot.seed for slot in one.slots]) for one in request.prompts] == [
        (prompt.pk, "a fox", [7, 2**63 - 1])
    ]


def test_live_jobs_go_before_older_batch_jobs_and_only_lanes_that_are_asked_for(cast: Cast, at: datetime) -> None:
    fox, hen, cow = stage.make_prompts(cast.project, "a fox", "a hen", "a cow")
    batch = stage.generate(cast, [fox])
    live = stage.generate(cast, [hen], lane=Job.Lane.LIVE)
    later = stage.generate(cast, [cow])

    def next_in(*lanes: str) -> object:
        request = claim_render(Claim.model_validate({"worker": "w", "lanes": lanes}), timezone.now())
        return request and request.prompts[0].id

    assert next_in("live") == hen.pk
    assert next_in("live") is None
    stage.generate(cast, [hen], lane=Job.Lane.LIVE)
    assert next_in("batch", "live") == hen.pk
    assert [next_in("batch", "live"), next_in("batch", "live")] == [fox.pk, cow.pk]
    assert {batch.pk, live.pk, later.pk}


def test_a_heartbeat_renews_the_lease_and_keeps_the_sweeper_away(job: Job, at: datetime) -> None:
    lease = claim_at(at)
    jobs.heartbeat(Progress(lease=lease, done=3, total=4), at + timedelta(seconds=20))
    jobs.sweep(at + timedelta(seconds=49))
    assert (fresh(job).state, fresh(job).done) == ("running", 3)


def test_a_silent_workers_job_goes_on_and_its_late_answers_are_refused(job: Job, at: datetime) -> None:
    old = claim_at(at)
    jobs.sweep(at + timedelta(seconds=31))
    waiting = fresh(job)
    assert (waiting.state, waiting.failures, waiting.error) == ("queued", 1, "The worker a test fell silent.")

    new = claim_at(at + 5 * MINUTE)
    assert new.attempt == 2
    late: list[Callable[[], None]] = [
        lambda: jobs.heartbeat(Progress(lease=old, done=1, total=4), at),
        lambda: jobs.fail(failure(old), at),
        lambda: stage.finish(old, at),
    ]
    for act in late:
        with pytest.raises(StaleLease), transaction.atomic():
            act()
    assert fresh(job).token == new.token
    assert fresh(job).state == "running"


def test_three_failures_bury_a_job_with_its_reason_and_retry_gives_three_more(job: Job, at: datetime) -> None:
    for attempt in range(1, 4):
        at += 5 * MINUTE
        lease = claim_at(at)
        assert lease.attempt == attempt
        jobs.fail(failure(lease), at)
    dead = fresh(job)
    assert (dead.state, dead.failures, dead.error_code, dead.error) == ("dead", 3, "broken", "It would not go.")
    assert dead.finished_at == at
    assert claim_render(stage.CLAIM, at + 60 * MINUTE) is None

    jobs.retry(job.pk, at)
    with pytest.raises(IllegalTransition), transaction.atomic():
        jobs.retry(job.pk, at)
    assert (fresh(job).state, fresh(job).failures, fresh(job).finished_at) == ("queued", 0, None)
    assert claim_at(at).attempt == 4


def test_a_failure_waits_a_little_longer_each_time(job: Job, at: datetime) -> None:
    for wait in (10, 20):
        jobs.fail(failure(claim_at(at)), at)
        assert fresh(job).not_before == at + timedelta(seconds=wait)
        assert claim_render(stage.CLAIM, at + timedelta(seconds=wait - 1)) is None
        at += timedelta(seconds=wait)


def test_what_cannot_succeed_is_not_tried_again(job: Job, at: datetime) -> None:
    jobs.fail(failure(claim_at(at), "model_missing", retryable=False), at)
    assert (fresh(job).state, fresh(job).failures) == ("dead", 1)


@pytest.mark.parametrize("code", ["storage_full", "worker_stopping"])
def test_a_failure_that_is_not_the_jobs_fault_uses_up_no_attempt(job: Job, at: datetime, code: str) -> None:
    for _ in range(7):
        jobs.fail(failure(claim_at(at), code), at)
        assert (fresh(job).state, fresh(job).failures, fresh(job).error_code) == ("queued", 0, code)
        at = fresh(job).not_before
    assert claim_at(at).attempt == 8


def test_a_stopping_workers_job_waits_for_nobody(job: Job, at: datetime) -> None:
    jobs.fail(failure(claim_at(at), "worker_stopping"), at)
    assert claim_at(at).attempt == 2


def test_a_poison_job_does_not_stop_the_ones_behind_it(cast: Cast, at: datetime, settings: Settings) -> None:
    settings.CHUNK_IMAGES = 4
    prompts = stage.make_prompts(cast.project, *(f"icon {number}" for number in range(10)))
    request = stage.generate(cast, prompts)
    poison = prompts[0].pk
    at = timezone.now()
    while (claimed := claim_render(stage.CLAIM, at)) or at < timezone.now() + 5 * MINUTE:
        if claimed is None:
            at += MINUTE
        elif claimed.prompts[0].id == poison:
            jobs.fail(failure(claimed.lease), at)
        else:
            jobs.complete(jobs.hold(claimed.lease), at)
    states = list(Job.objects.filter(chunk__request=request).order_by("id").values_list("state", "attempt"))
    assert states == [("dead", 3)] + [("done", 1)] * 9


def test_a_message_leaves_only_when_the_request_is_committed(
    cast: Cast, bells: Bells, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    prompts = stage.make_prompts(cast.project, "a fox")
    with django_capture_on_commit_callbacks(execute=True):
        stage.generate(cast, prompts)
        assert bells.drain() == {}
    assert bells.drain() == {"batch": 1}

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(ZeroDivisionError), transaction.atomic():
        stage.generate(cast, prompts)
        raise ZeroDivisionError
    assert bells.drain() == {}


def test_the_sweeper_rings_for_every_lane_that_waits_and_for_no_other(
    cast: Cast, job: Job, at: datetime, bells: Bells
) -> None:
    jobs.sweep(timezone.now())
    assert bells.drain() == {"batch": 1}
    stage.generate(cast, stage.make_prompts(cast.project, "a hen"), lane=Job.Lane.LIVE)
    jobs.sweep(timezone.now())
    assert bells.drain() == {"batch": 1, "live": 1}
    claim_at(timezone.now())
    claim_at(timezone.now())
    jobs.sweep(timezone.now())
    assert bells.drain() == {}


def test_the_sweeper_leaves_a_job_alone_that_waits_for_its_time(job: Job, at: datetime, bells: Bells) -> None:
    jobs.fail(failure(claim_at(at)), at)
    jobs.sweep(at + timedelta(seconds=9))
    assert bells.drain() == {}
    jobs.sweep(at + timedelta(seconds=10))
    assert bells.drain() == {"batch": 1}


def test_ten_workers_that_claim_at_once_get_ten_different_jobs(committed_cast: Cast, settings: Settings) -> None:
    settings.CHUNK_IMAGES = 4
    cast = committed_cast
    stage.generate(cast, stage.make_prompts(cast.project, *(f"icon {number}" for number in range(10))))
    claimed = stage.in_parallel(10, lambda _: claim_render(stage.CLAIM, timezone.now()))
    assert len({request.lease.job for request in claimed if request}) == 10
    assert Job.objects.filter(state=Job.State.RUNNING, attempt=1).count() == 10
