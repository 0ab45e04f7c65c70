"""The only way a request gets a project."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import F, Model, QuerySet

from easel.accounts.models import User
from easel.accounts.roles import ALLOWED, Act
from easel.common.errors import Forbidden, NotFound
from easel.projects.models import Invitation, Membership, Project

M = TypeVar("M", bound=Model)


def project_for(user: User | AnonymousUser, pk: UUID, act: Act) -> Project:
    """Return the project, with the user's `role` on it, where the user's role allows the act.

    Raises NotFound where the user is no member, Forbidden where the role does not allow the act.
    """
    project = Project.objects.of(user).filter(pk=pk).first() if isinstance(user, User) else None
    if project is None:
        raise NotFound("project")
    require(project.role, act)
    return project


def row_for(
    rows: QuerySet[M], user: User | AnonymousUser, pk: UUID, act: Act, what: str, *, project: str = "project"
) -> M:
    """Return the row with this key, with the user's `role` in its project on it, where the role allows the act.

    rows: what is to be loaded with it. what: its name in messages. project: the path from a row to its project.
    Raises NotFound where there is none or the user is no member, Forbidden where the role does not allow the act.
    """
    found = None
    if isinstance(user, User):
        mine = rows.filter(**{"pk": pk, f"{project}__memberships__user": user})
        found = mine.annotate(role=F(f"{project}__memberships__role")).first()
    if found is None:
        raise NotFound(what)
    require(found.role, act)  # type: ignore[attr-defined]  # annotated above
    return found


def require(role: str, act: Act) -> None:
    """Raise Forbidden where a role does not allow an act."""
    if act not in ALLOWED[role]:
        raise Forbidden(f"As {role} you cannot {act}. Ask an owner of the project for another role.")


def may(role: str, act: Act) -> bool:
    """Tell whether a role allows an act."""
    return act in ALLOWED[role]


def member_for(user: User | AnonymousUser, project_pk: UUID, pk: UUID) -> Membership:
    """Return a membership, with the asking user's own role as `by_role`, to somebody who manages its project."""
    project = project_for(user, project_pk, Act.MANAGE)
    member = Membership.objects.of_project(project).filter(pk=pk).first()
    if member is None:
        raise NotFound("member")
    member.by_role = project.role
    return member


def invitation_for(user: User | AnonymousUser, project_pk: UUID, pk: UUID) -> Invitation:
    """Return an invitation to somebody who manages its project."""
    project = project_for(user, project_pk, Act.MANAGE)
    invitation = Invitation.objects.filter(project=project, pk=pk).first()
    if invitation is None:
        raise NotFound("invitation")
    return invitation
