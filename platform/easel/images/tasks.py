"""What rendering workers ask and answer."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from easel.common.broker import send
from easel.common.errors import NotFound
from easel.common.jobs import StaleLease
from easel.images import hashing, previews, services
from easel.images.models import Candidate
from generation.storage import StorageError
from generation.types import Claim, RenderedImages

logger = logging.getLogger(__name__)


@shared_task(name="easel.images.claim", bind=True, ignore_result=False, acks_late=False)
def claim(self: Any, message: dict[str, Any]) -> dict[str, Any] | None:
    """A free worker asks for work. The message's id becomes the lease, so a message that comes twice leases once.

    It is acknowledged early: an answer that comes after a restart finds nobody waiting.
    """
    token = UUID(self.request.id) if self.request.id else None
    request = services.claim_render(Claim.model_validate(message), at=timezone.now(), token=token)
    return request.model_dump(mode="json") if request else None


@shared_task(name="easel.images.record")
def record(message: dict[str, Any]) -> None:
    """A worker answers with finished images."""
    try:
        services.record_images(RenderedImages.model_validate(message), at=timezone.now())
    except StaleLease as refusal:
        logger.info("%s", refusal.detail)


@shared_task(name="easel.images.preview")
def preview(candidates: list[str]) -> None:
    """Make what people see of images that were recorded."""
    for candidate in Candidate.objects.filter(pk__in=candidates, preview_key=""):
        try:
            previews.preview_key(candidate)
        except (NotFound, StorageError) as error:
            logger.warning("no preview of candidate %s; its first viewer tries again: %s", candidate.pk, error)


@shared_task(name=hashing.TASK)
def liken(rounds: int = 20) -> None:
    """Hash what some images look like; more follow in tasks of their own, as many as fit in the clock's round."""
    if hashing.hash_some() == hashing.AT_ONCE and rounds > 1:
        send(hashing.TASK, rounds=rounds - 1)
