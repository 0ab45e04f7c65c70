"""Live attempts become assignments of the person who asked, and of nobody else."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from django.conf import settings

from easel.accounts.models import User
from easel.annotation.models import Assignment, Item
from easel.images.models import Candidate, GenerationRequest, GenerationRequestQuerySet
from easel.projects.models import Project


def lease(request: GenerationRequest, items: Iterable[Item], at: datetime) -> None:
    """Lease the new items of an attempt to the person who waits for them. The caller holds the request locked.

    The images stand as they came: they are of one model, and of seeds drawn by chance, so their order tells nothing,
    and what is being looked at does not jump about when the last one is there.
    """
    order = list(Candidate.objects.filter(request=request).order_by("position").values_list("pk", flat=True))
    Assignment.objects.bulk_create(
        Assignment(
            item=item,
            annotator_id=request.attempt.annotator_id,
            shown_order=order,
            expires_at=at + settings.LEASE,
            created_at=at,
        )
        for item in items
    )


def assignments_of(requests: Collection[GenerationRequest]) -> dict[UUID, Assignment]:
    """Return the assignment of each attempt whose images became an item, by the attempt's id."""
    found = Assignment.objects.of_attempts(requests)
    return {one.item.request_id: one for one in found if one.item.request_id is not None}


def unfinished(project: Project, annotator: User) -> GenerationRequestQuerySet:
    """Return what a page that is opened again goes on with: the newest attempt alone, or nothing where it is over.

    It is over when it was ranked, skipped or cancelled, and when it failed. Earlier ones are history.
    """
    attempts = GenerationRequest.objects.attempts_of(project, annotator)
    newest = attempts.first()
    if newest is None or newest.state in {"cancelled", "failed"}:
        return attempts.none()
    assignment = assignments_of([newest]).get(newest.pk)
    over = assignment is not None and assignment.state != Assignment.State.OPEN
    return attempts.none() if over else attempts.filter(pk=newest.pk)
