"""The only way a request gets a generation request or a candidate."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import NotFound
from easel.images.models import Candidate, GenerationRequest, ImageImport
from easel.projects.access import row_for
from easel.projects.models import Project


def generation_for(user: User | AnonymousUser, pk: UUID, act: Act) -> GenerationRequest:
    """Return a generation request, with its progress, to a member whose role allows the act."""
    rows = GenerationRequest.objects.exclude(kind=GenerationRequest.Kind.GOLD).with_progress()
    rows = rows.select_related("model", "project", "created_by")
    return row_for(rows, user, pk, act, "generation request")


def attempt_for(user: User | AnonymousUser, pk: UUID) -> GenerationRequest:
    """Return an annotator's own live attempt; somebody else's does not exist, not even for an owner."""
    rows = GenerationRequest.objects.attempts().filter(attempt__annotator=user.pk)
    return row_for(rows, user, pk, Act.RANK, "attempt")


def original_for(user: User | AnonymousUser, pk: UUID) -> Candidate:
    """Return a candidate with its prompt and model to a member who may see how images were made: no annotator."""
    rows = Candidate.objects.select_related("prompt", "model")
    return row_for(rows, user, pk, Act.INSPECT, "image", project="request__project")


def candidate_for(user: User | AnonymousUser, pk: UUID) -> Candidate:
    """Return a candidate to a member of its project, whatever the role: everybody in a project may see its images."""
    found = None
    if isinstance(user, User):
        member = {"request__project__memberships__user": user, "request__project__memberships__deactivated_at": None}
        found = Candidate.objects.filter(pk=pk, **member).first()
    if found is None:
        raise NotFound("image")
    return found


def image_import_for(project: Project, pk: UUID) -> ImageImport:
    """Return an import of a project that came through its own door."""
    found = ImageImport.objects.filter(project=project, pk=pk).first()
    if found is None:
        raise NotFound("import")
    return found
