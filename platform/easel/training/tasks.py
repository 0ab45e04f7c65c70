"""What training workers ask and answer about runs."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from easel.common.jobs import StaleLease
from easel.training import services
from finetune.types import TrainClaim, TrainReport, TrainResult

logger = logging.getLogger(__name__)


@shared_task(name="easel.training.claim", bind=True, ignore_result=False, acks_late=False)
def claim(self: Any, message: dict[str, Any]) -> dict[str, Any] | None:
    """A free worker asks for a run. The message's id becomes the lease, so a message that comes twice leases once.

    It is acknowledged early: an answer that comes after a restart finds nobody waiting.
    """
    token = UUID(self.request.id) if self.request.id else None
    request = services.claim_run(TrainClaim.model_validate(message), at=timezone.now(), token=token)
    return request.model_dump(mode="json") if request else None


@shared_task(name="easel.training.report")
def report(message: dict[str, Any]) -> None:
    """A worker tells what a run measured and made."""
    try:
        services.report(TrainReport.model_validate(message), at=timezone.now())
    except StaleLease as refusal:
        logger.info("%s", refusal.detail)


@shared_task(name="easel.training.finish")
def finish(message: dict[str, Any]) -> None:
    """A worker hands in the weights of a run."""
    try:
        services.finish(TrainResult.model_validate(message), at=timezone.now())
    except StaleLease as refusal:
        logger.info("%s", refusal.detail)
