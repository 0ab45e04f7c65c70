"""The only way a request gets a project's quality."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import NotFound
from easel.preferences.models import AnnotatorQuality, ProjectQuality
from easel.projects.access import project_for
from easel.projects.models import Membership, Project


@dataclass(frozen=True)
class Person:
    """Somebody who works in a project, or did, with what is known of it."""

    project: Project
    user: User
    quality: AnnotatorQuality | None
    membership: Membership | None


def quality_for(user: User | AnonymousUser, pk: UUID) -> tuple[Project, ProjectQuality]:
    """Return a project and what was measured of it last, to somebody who inspects it."""
    project = project_for(user, pk, Act.INSPECT)
    found = ProjectQuality.objects.filter(project=project).first()
    return project, found or ProjectQuality(project=project)


def person_for(user: User | AnonymousUser, pk: UUID, person: UUID) -> Person:
    """Return somebody of a project, to somebody who inspects it. Raises NotFound for who never was in it."""
    project = project_for(user, pk, Act.INSPECT)
    quality = AnnotatorQuality.objects.of_person(project, person)
    membership = Membership.objects.of_project(project).filter(user=person).first()
    found = membership.user if membership else quality.annotator if quality else None
    if found is None:
        raise NotFound("person")
    return Person(project, found, quality, membership)


def members_of(project: Project) -> dict[object, tuple[str, bool]]:
    """Return for each member let in, by user: the membership's id, and whether it is paused."""
    rows = Membership.objects.active().filter(project=project).values_list("user", "pk", "paused_at")
    return {user: (str(pk), paused is not None) for user, pk, paused in rows}
