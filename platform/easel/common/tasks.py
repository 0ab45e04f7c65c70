"""What workers tell about any job, and the sweeper."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from django.utils import timezone

from easel.common import jobs
from generation.types import Failure, Progress

logger = logging.getLogger(__name__)


@shared_task(name="easel.jobs.progress")
def progress(message: dict[str, Any]) -> None:
    """A worker's sign of life."""
    try:
        jobs.heartbeat(Progress.model_validate(message), at=timezone.now())
    except jobs.StaleLease as refusal:
        logger.info("%s", refusal.detail)


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
