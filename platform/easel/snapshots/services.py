"""Taking snapshots, and freezing them in the background."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.db import transaction
from django.utils import timezone

from easel.accounts.models import User
from easel.annotation.curate.subsets import subset_of
from easel.common import jobs
from easel.common.errors import Refusal
from easel.common.models import Job
from easel.projects.models import Project
from easel.snapshots.filters import Filters, Survey, survey
from easel.snapshots.freezing import ONE_PROMPT, ONLY_TIES, NothingToLearn, Pulse, Written, write
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.splits import Shares
from finetune.snapshot import SnapshotError
from generation.storage import StorageError
from generation.types import Failure, Lease, Progress

logger = logging.getLogger(__name__)

KIND = "snapshot"  # of its jobs
LANE = Job.Lane.WEB
MAX_NAME = 100


@transaction.atomic
def take_snapshot(
    project: Project,
    by: User,
    at: datetime,
    *,
    name: str = "",
    filters: Filters | None = None,
    include_simulated: bool = False,
    shares: Shares | None = None,
) -> DatasetSnapshot:
    """Record a snapshot of a project's annotations up to now; it is frozen in the background.

    Raises NothingToLearn where the annotations say at once that nothing could be learned from them.
    """
    filters, shares = filters or Filters(), shares or Shares()
    if filters.subset:
        subset_of(project, str(filters.subset))  # refuses one that is not there
    found = survey(project, filters, include_simulated=include_simulated, at=at)
    if problem := problem_of(found, include_simulated=include_simulated):
        raise NothingToLearn(problem)
    job = jobs.plan(KIND, LANE, found.judgements, at)
    job.save()
    taken = DatasetSnapshot.objects.create(
        project=project,
        job=job,
        name=" ".join(name.split())[:MAX_NAME] or f"Snapshot {DatasetSnapshot.objects.of_project(project).count() + 1}",
        filters=filters.model_dump(mode="json", exclude_defaults=True),
        split_seed=shares.seed,
        validation_share=shares.validation,
        test_share=shares.test,
        include_simulated=include_simulated,
        created_by=by,
        created_at=at,
    )
    jobs.ring(LANE)
    return taken


def problem_of(found: Survey, *, include_simulated: bool) -> str:
    """Say why nothing could be learned of what the filters take, and how to mend it; empty where something could."""
    if not found.every:
        return "The project has no annotations yet. Rank some images first."
    if not found.judgements:
        if not include_simulated and not found.people:
            return (
                f"All {found.every:,} annotations are by simulated annotators, which a snapshot leaves out. "
                "Ask for them (include_simulated), or have people rank images."
            )
        return (
            f"The filters leave none of the {found.every:,} annotations: those of held-out prompts and of evaluations "
            "are never taken. Ask for more days, categories or template versions."
        )
    if not found.decided:
        return ONLY_TIES
    return ONE_PROMPT if found.prompts == 1 else ""


def freeze_next(worker: str, now: Callable[[], datetime] = timezone.now) -> bool:
    """Freeze the snapshot whose turn it is; tell whether there was one.

    Killed on the way, it leaves nothing but files that nobody names: the sweeper gives the job to the next.
    """
    job = jobs.claim(KIND, [LANE], worker, now())
    if job is None:
        return False
    assert job.token is not None  # the constraint job_running_is_leased
    lease = Lease(job=job.pk, token=job.token, attempt=job.attempt)
    snapshot = DatasetSnapshot.objects.select_related("project").get(job=job)
    try:
        written = write(snapshot, Pulse(partial(_tell, lease, job.total, now), now))
        _frozen(snapshot, written, lease, now())
    except jobs.StaleLease as refusal:
        logger.info("%s", refusal.detail)
    except (Refusal, SnapshotError) as error:
        code = "snapshot_broken" if isinstance(error, SnapshotError) else error.code
        _fail(lease, code, str(error), now(), retryable=False)
    except StorageError as error:
        _fail(lease, "storage_failed", str(error), now(), retryable=True)
    return True


def _tell(lease: Lease, total: int, now: Callable[[], datetime], done: int, note: str) -> None:
    jobs.heartbeat(Progress(lease=lease, done=done, total=max(total, 1), note=note), now())


def _fail(lease: Lease, code: str, reason: str, at: datetime, *, retryable: bool) -> None:
    try:
        jobs.fail(Failure(lease=lease, code=code, reason=reason[:2_000], retryable=retryable), at)
    except jobs.StaleLease as refusal:
        logger.info("%s", refusal.detail)


@transaction.atomic
def _frozen(snapshot: DatasetSnapshot, written: Written, lease: Lease, at: datetime) -> None:
    """Record what was written. Raises StaleLease where another freezes it now."""
    job = jobs.hold(lease)
    DatasetSnapshot.objects.filter(pk=snapshot.pk, frozen_at=None).update(
        frozen_at=at,
        sha256=written.manifest.sha256,
        files=[file.model_dump(mode="json") for file in written.files],
        manifest=written.manifest.model_dump(mode="json"),
    )
    jobs.complete(job, at)
