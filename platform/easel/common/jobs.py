"""The life of a job: enqueue, claim, heartbeat, done, failed, swept. Every write to the Job table is here."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F

from easel.common.broker import send, send_on_commit
from easel.common.errors import Conflict
from easel.common.ids import uuid7
from easel.common.models import MAX_FAILURES, Job
from easel.common.states import move
from generation.types import Failure, Lease, Progress

logger = logging.getLogger(__name__)

RING = "generation.ring"
# Failures that say nothing about the job itself: it waits and is tried again, without using up an attempt.
NO_FAULT_OF_THE_JOB = frozenset({"storage_full", "worker_stopping"})


class StaleLease(Conflict):
    """The answer of a worker that was given up on: somebody else has the job now, or it is finished."""

    code = "stale_lease"

    def __init__(self, lease: Lease) -> None:
        super().__init__(f"Attempt {lease.attempt} no longer holds job {lease.job}; its answer is not taken.")


def ring(lane: str) -> None:
    """Tell the workers of a lane, once the transaction is committed, that there is something to do."""
    send_on_commit(RING, queue=lane)


def plan(kind: str, lane: str, total: int, at: datetime) -> Job:
    """Return a new unsaved job; the caller saves it in the transaction that creates what it works on, then rings."""
    return Job(id=uuid7(), kind=kind, lane=lane, total=total, created_at=at, not_before=at)


@transaction.atomic
def claim(kind: str, lanes: list[str], worker: str, at: datetime) -> Job | None:
    """Lease the next job of a kind to a worker, or return None when nothing waits."""
    job = Job.objects.claimable(kind, lanes, at).select_for_update(skip_locked=True, no_key=True).first()
    if job is None:
        return None
    token = uuid4()
    move(
        Job.objects.all(),
        job.pk,
        Job.State.RUNNING,
        Job.MOVES,
        attempt=F("attempt") + 1,
        token=token,
        worker=worker,
        lease_expires_at=at + settings.JOB_LEASE,
        error_code="",
        error="",
    )
    job.refresh_from_db()
    return job


def hold(lease: Lease) -> Job:
    """Lock the job that a lease names, for the rest of the transaction.

    Raises StaleLease when the lease is not the job's newest, or the job no longer runs.
    """
    job = (
        Job.objects.select_for_update(no_key=True)
        .filter(pk=lease.job, token=lease.token, state=Job.State.RUNNING)
        .first()
    )
    if job is None:
        raise StaleLease(lease)
    return job


def heartbeat(progress: Progress, at: datetime) -> None:
    """Note a worker's sign of life. Raises StaleLease for a worker that was given up on."""
    lease = progress.lease
    held = Job.objects.filter(pk=lease.job, token=lease.token, state=Job.State.RUNNING)
    if not held.update(lease_expires_at=at + settings.JOB_LEASE, done=progress.done):
        raise StaleLease(lease)


def complete(job: Job, at: datetime) -> None:
    """Finish a held job."""
    move(Job.objects.all(), job.pk, Job.State.DONE, Job.MOVES, done=job.total, finished_at=at, lease_expires_at=None)


@transaction.atomic
def fail(failure: Failure, at: datetime) -> None:
    """Take a job back from a worker that could not do it. Raises StaleLease for a worker that was given up on."""
    job = hold(failure.lease)
    _give_back(job, failure.code, failure.reason, at, retryable=failure.retryable)


def _give_back(job: Job, code: str, reason: str, at: datetime, *, retryable: bool) -> None:
    """Queue a running job again, a little later each time, or bury it with its reason."""
    failures = job.failures + (code not in NO_FAULT_OF_THE_JOB)
    changes = {"failures": failures, "error_code": code, "error": reason, "lease_expires_at": None}
    if not retryable or failures >= MAX_FAILURES:
        move(Job.objects.all(), job.pk, Job.State.DEAD, Job.MOVES, finished_at=at, **changes)
        logger.warning("job %s is dead after %s failures: %s", job.pk, failures, reason)
        return
    wait = timedelta(0) if code == "worker_stopping" else timedelta(seconds=5 * 2**failures)
    move(Job.objects.all(), job.pk, Job.State.QUEUED, Job.MOVES, not_before=at + wait, **changes)


@transaction.atomic
def retry(pk: UUID, at: datetime) -> None:
    """Give a dead job three new attempts. Raises IllegalTransition when it is not dead."""
    job = Job.objects.select_for_update(no_key=True).get(pk=pk)
    move(
        Job.objects.filter(state=Job.State.DEAD),
        pk,
        Job.State.QUEUED,
        Job.MOVES,
        failures=0,
        not_before=at,
        finished_at=None,
    )
    ring(job.lane)


def sweep(at: datetime) -> None:
    """Take jobs back from silent workers, and ring again for every lane in which a job waits."""
    for pk in Job.objects.abandoned(at).values_list("pk", flat=True):
        with transaction.atomic():
            job = Job.objects.abandoned(at).select_for_update(skip_locked=True, no_key=True).filter(pk=pk).first()
            if job is not None:
                _give_back(job, "worker_lost", f"The worker {job.worker} fell silent.", at, retryable=True)
    for lane in Job.objects.waiting(at).values_list("lane", flat=True).distinct():
        send(RING, queue=lane)
