"""The only way a request gets a project."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import F, Model, Q, QuerySet

from easel.accounts.models import User
from easel.accounts.roles import ALLOWED, Act
from easel.common.errors import Forbidden, NotFound
from easel.forms.models import Template, TemplateQuerySet, TemplateVersion
from easel.projects.models import Invitation, Membership, Notice, Project

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
        member = f"{project}__memberships"
        mine = rows.filter(**{"pk": pk, f"{member}__user": user, f"{member}__deactivated_at": None})
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


def notice_for(user: User | AnonymousUser, pk: UUID) -> Notice:
    """Return a notice to somebody who manages its project."""
    return row_for(Notice.objects.select_related("project", "about", "seen_by"), user, pk, Act.MANAGE, "notice")


def _templates_met_by(user: User) -> TemplateQuerySet:
    """The gallery's templates and those of the user's projects, with the user's `role` there."""
    member = "belonging__project__memberships"
    mine = Template.objects.filter(
        Q(belonging__isnull=True) | Q(**{f"{member}__user": user, f"{member}__deactivated_at": None})
    ).with_published()
    here = {"home": F("belonging__project"), "role": F("belonging__project__memberships__role")}
    return mine.annotate(**here)


def templates_of(user: User) -> TemplateQuerySet:
    """The templates that a user may read: the gallery's, and those of the projects that the user inspects."""
    return _templates_met_by(user).filter(Q(belonging__isnull=True) | Q(role__in=_inspectors()))


def inspected_by(user: User) -> QuerySet[Project]:
    """The projects whose annotations a user may see."""
    return Project.objects.filter(
        memberships__user=user, memberships__deactivated_at=None, memberships__role__in=_inspectors()
    )


def _inspectors() -> list[str]:
    return [role for role, acts in ALLOWED.items() if Act.INSPECT in acts]


def version_for(user: User | AnonymousUser, pk: UUID) -> TemplateVersion:
    """Return a published version of a template that the user may read. Raises NotFound."""
    found = TemplateVersion.objects.filter(pk=pk).first()
    if found is None:
        raise NotFound("template version")
    found.template = template_for(user, found.template_id, Act.INSPECT)
    return found


def template_for(user: User | AnonymousUser, pk: UUID, act: Act) -> Template:
    """Return a template. The gallery's are everybody's to read and nobody's to change; others follow the user's role
    in the project that they were made in.

    Raises NotFound where the user is no member there, Forbidden where the role does not allow the act.
    """
    found = _templates_met_by(user).filter(pk=pk).first() if isinstance(user, User) else None
    if found is None:
        raise NotFound("template")
    if found.home is not None:
        require(found.role or "", act)
    elif act not in {Act.SEE, Act.INSPECT}:
        raise Forbidden(
            "A template of the gallery is never edited. Use and change it: that makes a copy of your own in a project."
        )
    return found
