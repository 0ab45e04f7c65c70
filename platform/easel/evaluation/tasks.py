"""What measuring workers ask and answer, and the round that brings evaluations and simulations forward."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from easel.common.jobs import StaleLease
from easel.evaluation import scoring, selecting, services
from finetune.types import ScoreResult, TrainClaim

logger = logging.getLogger(__name__)


@shared_task(name="easel.evaluation.claim_scores", bind=True, ignore_result=False, acks_late=False)
def claim_scores(self: Any, message: dict[str, Any]) -> dict[str, Any] | None:
    """A free training worker asks for images to measure. The message's id becomes the lease: see images.tasks.claim."""
    token = UUID(self.request.id) if self.request.id else None
    request = scoring.claim_scores(TrainClaim.model_validate(message), at=timezone.now(), token=token)
    return request.model_dump(mode="json") if request else None


@shared_task(name="easel.evaluation.record_scores")
def record_scores(message: dict[str, Any]) -> None:
    """A worker answers with what it measured."""
    try:
        scoring.record_scores(ScoreResult.model_validate(message), at=timezone.now())
    except StaleLease as refusal:
        logger.info("%s", refusal.detail)


@shared_task(name="easel.evaluation.advance")
def advance() -> None:
    """Bring evaluations and simulated annotators forward: rung when images were measured, and by the clock."""
    services.advance(at=timezone.now())


@shared_task(name="easel.evaluation.select")
def select() -> None:
    """Reckon anew which models are compared next, where projects ask for that: by the clock."""
    selecting.select(at=timezone.now())
