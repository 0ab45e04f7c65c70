"""Items for images that arrived."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from easel.annotation import services
from easel.projects.models import Project


@shared_task(name="easel.annotation.gather")
def gather(project: str | None = None) -> None:
    """Make items of prompts whose images are all there: rung when images arrive, and by the clock."""
    found = Project.objects.filter(pk=project).first() if project else None
    if project is None or found is not None:
        services.gather(timezone.now(), found)
