"""What workers tell about any job, and the sweeper."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from django.utils import timezone

from easel.common import jobs
from generation.types import Failure, Progress, ProgressReply

logger = logging.getLogger(__name__)


@shared_task(name="easel.jobs.progress", ignore_result=False)
def progress(message: dict[str, Any]) -> dict[str, Any]:
    """A worker's sign of life; answered with whether to go on."""
    try:
        jobs.heartbeat(Progress.model_validate(message), at=timezone.now())
    except jobs.StaleLease as refusal:
        logger.info("%s", refusal.detail)
        return ProgressReply(go_on=False).model_dump(mode="json")
    return ProgressReply(go_on=True).model_dump(mode="json")


@shared_task(name="easel.jobs.fail")
def fail(message: dict[str, Any]) -> None:
    """A worker gives a job back."""
    try:
        jobs.fail(Failure.model_validate(message), at=timezone.now())
    except jobs.StaleLease as refusal:
        logger.info("%s", refusal.detail)


@shared_task(name="easel.jobs.sweep")
def sweep() -> None:
    """The clock's round: take back abandoned jobs, ring for waiting ones."""
    jobs.sweep(at=timezone.now())
