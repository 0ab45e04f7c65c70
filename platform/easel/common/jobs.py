"""The life of a job: claimed, heard of, done, failed, paused, cancelled, swept. Every write to the table is here."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet

from easel.common.broker import send, send_on_commit
from easel.common.errors import Conflict
from easel.common.ids import uuid7
from easel.common.models import MAX_FAILURES, Job
from easel.common.states import move, move_all
from generation.types import Failure, Lease, Progress

logger = logging.getLogger(__name__)

BELLS = {
    "live": "generation.ring",
    "batch": "generation.ring",
    "train": "finetune.ring",
    "web": "easel.snapshots.freeze",
}
# Failures that say nothing about the job itself: it waits and is tried again, without using up an attempt.
NO_FAULT_OF_THE_JOB = frozenset({"storage_full", "worker_stopping"})


class StaleLease(Conflict):
    """The answer of a worker that was given up on: somebody else has the job now, or it is finished."""

    code = "stale_lease"

    def __init__(self, lease: Lease) -> None:
        super().__init__(f"Attempt {lease.attempt} no longer holds job {lease.job}; its answer is not taken.")


def ring(lane: str) -> None:
    """Tell the workers of a lane, once the transaction is committed, that there is something to do."""
    send_on_commit(BELLS[lane], queue=lane)


def next_turn(kind: str, lane: str, at: datetime) -> int:
    """Return the turn that a lane has come to.

    Requests take turns: the first part of a new one has this turn, its second the next, and so on. So a small request
    waits for one part of each request that was there before it, however large those are (start-time fair queueing).
    """
    waiting = Job.objects.claimable(kind, lane, at)
    # A part that is tried again has an early turn: it says where its lane was, not where it is.
    coming = waiting.filter(attempt=0).first() or waiting.first()
    return coming.turn if coming else 0


def plan(kind: str, lane: str, total: int, at: datetime, turn: int = 0) -> Job:
    """Return a new unsaved job; the caller saves it in the transaction that creates what it works on, then rings."""
    return Job(id=uuid7(), kind=kind, lane=lane, total=total, turn=turn, created_at=at, not_before=at)


@transaction.atomic
def claim(kind: str, lanes: Collection[str], worker: str, at: datetime, token: UUID | None = None) -> Job | None:
    """Lease the next job of a kind to a worker, or return None when nothing waits. Live work goes first.

    `token` is the lease to give. A claim that comes a second time under the same token gets the same job, while it
    runs, and nothing afterwards.
    """
    if token is not None and (given := Job.objects.filter(token=token).first()) is not None:
        return given if given.state == Job.State.RUNNING else None
    for lane in Job.Lane.values:
        if lane in lanes:
            free = Job.objects.claimable(kind, lane, at).select_for_update(skip_locked=True, no_key=True)
            if (job := free.first()) is not None:
                break
    else:
        return None
    move(
        Job.objects.all(),
        job.pk,
        Job.State.RUNNING,
        Job.MOVES,
        attempt=F("attempt") + 1,
        token=token or uuid4(),
        worker=worker,
        claimed_at=at,
        lease_expires_at=at + settings.JOB_LEASE,
        error_code="",
        error="",
        note="",
        step=0,
        steps=0,
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
    said = {"done": progress.done, "note": progress.note, "step": progress.step, "steps": progress.steps}
    if not held.update(lease_expires_at=at + settings.JOB_LEASE, **said):
        raise StaleLease(lease)


def resize(job: Job, total: int) -> None:
    """Note how much there is to be done for a held job, where its worker knows better."""
    Job.objects.filter(pk=job.pk).update(total=total)
    job.total = total


def complete(job: Job, at: datetime) -> None:
    """Finish a held job."""
    move(Job.objects.all(), job.pk, Job.State.DONE, Job.MOVES, done=job.total, finished_at=at, lease_expires_at=None)


@transaction.atomic
def fail(failure: Failure, at: datetime) -> None:
    """Take a job back from a worker that could not do it. Raises StaleLease for a worker that was given up on."""
    job = hold(failure.lease)
    _give_back(job, failure.code, failure.reason, at, retryable=failure.retryable)


def _give_back(job: Job, code: str, reason: str, at: datetime, *, retryable: bool) -> None:
    """Queue a running job again, a little later each time, or bury it with its reason.

    It goes behind what its lane has come to: else its early turn would let a new request overtake the others.
    """
    failures = job.failures + (code not in NO_FAULT_OF_THE_JOB)
    changes = {"failures": failures, "error_code": code, "error": reason, "lease_expires_at": None}
    if not retryable or failures >= MAX_FAILURES:
        move(Job.objects.all(), job.pk, Job.State.DEAD, Job.MOVES, finished_at=at, **changes)
        logger.warning("job %s is dead after %s failures: %s", job.pk, failures, reason)
        return
    wait = timedelta(0) if code == "worker_stopping" else timedelta(seconds=5 * 2**failures)
    turn = max(job.turn, next_turn(job.kind, job.lane, at))
    move(Job.objects.all(), job.pk, Job.State.QUEUED, Job.MOVES, not_before=at + wait, turn=turn, **changes)


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
        turn=max(job.turn, next_turn(job.kind, job.lane, at)),
        finished_at=None,
    )
    ring(job.lane)


def cancel(those: QuerySet[Job], at: datetime) -> int:
    """Take jobs off the lanes for good; return how many. Their workers hear of it at the next sign of life."""
    return move_all(those, Job.State.CANCELLED, Job.MOVES, finished_at=at, lease_expires_at=None)


def pause(those: QuerySet[Job]) -> int:
    """Take jobs off the lanes for now; return how many. Their workers hear of it at the next sign of life."""
    return move_all(those, Job.State.PAUSED, Job.MOVES, lease_expires_at=None)


@transaction.atomic
def resume(those: QuerySet[Job], at: datetime) -> int:
    """Put paused jobs back on their lanes; return how many. They go on from the turn that their lane has come to."""
    resumed = 0
    for lane in Job.Lane.values:
        paused = those.filter(lane=lane, state=Job.State.PAUSED)
        first = paused.order_by("turn", "id").first()
        if first is not None:
            ahead = max(0, next_turn(first.kind, lane, at) - first.turn)
            resumed += move_all(paused, Job.State.QUEUED, Job.MOVES, not_before=at, turn=F("turn") + ahead)
            ring(lane)
    return resumed


def sweep(at: datetime) -> None:
    """Take jobs back from silent workers, and ring again for every lane in which a job waits."""
    for pk in Job.objects.abandoned(at).values_list("pk", flat=True):
        with transaction.atomic():
            job = Job.objects.abandoned(at).select_for_update(skip_locked=True, no_key=True).filter(pk=pk).first()
            if job is not None:
                _give_back(job, "worker_lost", f"The worker {job.worker} fell silent.", at, retryable=True)
    for lane in Job.objects.waiting(at).values_list("lane", flat=True).distinct():
        send(BELLS[lane], queue=lane)
