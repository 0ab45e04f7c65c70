"""Items for images that arrived."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from easel.annotation import distribution, gathering
from easel.annotation.curate import acts, likeness
from easel.annotation.gold import automatic
from easel.projects.models import Project


@shared_task(name="easel.annotation.gather")
def gather(project: str | None = None) -> None:
    """Make items of prompts whose images are all there: rung when images arrive, and by the clock."""
    found = Project.objects.filter(pk=project).first() if project else None
    if project is None or found is not None:
        gathering.gather(timezone.now(), found)


@shared_task(name=distribution.RECOUNT)
def recount() -> None:
    """Have items follow a change of their project's overlap: rung when it is made, and by the clock."""
    distribution.recount_all(timezone.now())


@shared_task(name=automatic.TASK)
def make_gold() -> None:
    """Make gold of spoilt images, as far as it was asked for: rung when it is, and by the clock."""
    automatic.advance(timezone.now())


@shared_task(name=acts.TASK)
def bulk_acts() -> None:
    """Go on with acts on many items: rung when one is asked for, and by the clock."""
    acts.go_on()


@shared_task(name="easel.annotation.compare_images")
def compare_images() -> None:
    """Find images that look the same, by the clock."""
    likeness.compare_new()
