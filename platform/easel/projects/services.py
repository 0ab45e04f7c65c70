"""Writes to projects, their people and their invitations."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce

from easel.accounts.models import User
from easel.accounts.roles import Role
from easel.common.errors import Conflict, Forbidden, InvalidInput, NotFound
from easel.forms.models import TemplateVersion
from easel.projects.models import Invitation, Membership, Project
from easel.projects.template_services import hold

LONGEST_REASON = 300


class Deactivated(Forbidden):
    """A member who was deactivated follows an invitation."""

    code = "deactivated"


@transaction.atomic
def create_project(
    name: str, template_version: TemplateVersion, by: User, at: datetime, *, guidelines: str = "", overlap: int = 1
) -> Project:
    """Make a project that `by` owns."""
    hold(template_version)
    project = Project.objects.create(
        name=name, template_version=template_version, guidelines=guidelines, overlap=overlap, created_at=at
    )
    Membership.objects.create(project=project, user=by, role=Role.OWNER, created_at=at)
    return project


def change_project(
    project: Project,
    *,
    name: str,
    guidelines: str,
    live_quota_person: int | None = None,
    live_quota_project: int | None = None,
) -> None:
    """Change a project's name and guidelines, and how many images may be made live in a day (None: as it is)."""
    quotas = {"live_quota_person": live_quota_person, "live_quota_project": live_quota_project}
    changes = {field: images for field, images in quotas.items() if images is not None}
    Project.objects.filter(pk=project.pk).update(name=name, guidelines=guidelines, **changes)


@transaction.atomic
def add_member(project: Project, user: User, role: str, at: datetime) -> Membership:
    """Give a user a role; a member keeps the membership and gets the new role. Raises Conflict for the last owner."""
    member, is_new = Membership.objects.get_or_create(
        project=project, user=user, defaults={"role": role, "created_at": at}
    )
    if not is_new:
        change_role(member, role, by_role=Role.OWNER)
        member.refresh_from_db()
    return member


@transaction.atomic
def change_role(member: Membership, role: str, by_role: str) -> None:
    """Change a member's role. Raises Conflict when no owner would be left, Forbidden when an admin touches owners."""
    _guard_owners(member, by_role, makes_owner=role == Role.OWNER, keeps_owner=role == Role.OWNER)
    Membership.objects.filter(pk=member.pk).update(role=role)


@transaction.atomic
def remove_member(member: Membership, by_role: str) -> None:
    """End a membership; what the member did stays. Raises Conflict when no owner would be left."""
    _guard_owners(member, by_role, makes_owner=False, keeps_owner=False)
    Membership.objects.filter(pk=member.pk).delete()


@transaction.atomic
def deactivate_member(member: Membership, by_role: str, at: datetime) -> None:
    """Let a member in no more; what they did stays, with their name. Raises Conflict when no owner would be left."""
    _guard_owners(member, by_role, makes_owner=False, keeps_owner=False)
    Membership.objects.active().filter(pk=member.pk).update(deactivated_at=at)


@transaction.atomic
def reactivate_member(member: Membership, by_role: str) -> None:
    """Let a deactivated member in again, with the role and the limits that they had."""
    _guard_owners(member, by_role, makes_owner=member.role == Role.OWNER, keeps_owner=True)
    Membership.objects.filter(pk=member.pk).update(deactivated_at=None)


def _guard_owners(member: Membership, by_role: str, *, makes_owner: bool, keeps_owner: bool) -> None:
    # The owners' rows are locked: two owners who remove each other at the same moment must not both succeed.
    owners = list(Membership.objects.owners(member.project).select_for_update())
    is_owner = any(owner.pk == member.pk for owner in owners)
    if (is_owner or makes_owner or member.role == Role.OWNER) and by_role != Role.OWNER:
        raise Forbidden("Only an owner can change who owns the project.")
    if is_owner and not keeps_owner and len(owners) == 1:
        raise Conflict("This is the project's last owner. Make somebody else an owner first.")


def pause_member(member: Membership, reason: str, at: datetime) -> None:
    """Give a member no new item from the next lease on; they read the reason. Pausing again changes the reason."""
    Membership.objects.filter(pk=member.pk).update(
        paused_at=Coalesce("paused_at", Value(at)), pause_reason=_checked_reason(reason)
    )


def resume_member(member: Membership) -> None:
    """Give a paused member items again."""
    Membership.objects.filter(pk=member.pk).update(paused_at=None, pause_reason="")


def pause_project(project: Project, reason: str, at: datetime) -> None:
    """Give nobody a new item from the next lease on; annotators read the reason. Pausing again changes the reason."""
    Project.objects.filter(pk=project.pk).update(
        paused_at=Coalesce("paused_at", Value(at)), pause_reason=_checked_reason(reason)
    )


def resume_project(project: Project) -> None:
    """Give out a paused project's items again."""
    Project.objects.filter(pk=project.pk).update(paused_at=None, pause_reason="")


def _checked_reason(reason: str) -> str:
    reason = " ".join(reason.split())
    problem = (
        "Say why: whoever asks for the next item reads it."
        if not reason
        else f"The reason has {len(reason)} characters; it may have {LONGEST_REASON}."
        if len(reason) > LONGEST_REASON
        else ""
    )
    if problem:
        raise InvalidInput(problem, fields={"reason": [problem]})
    return reason


def limit_member(member: Membership, limit_day: int | None, limit_total: int | None) -> None:
    """Set how many items a member may rank, a day and at all (None: as the project says)."""
    Membership.objects.filter(pk=member.pk).update(limit_day=limit_day, limit_total=limit_total)


def invite(
    project: Project, role: str, by: User, by_role: str, at: datetime, *, days: int, max_uses: int
) -> tuple[Invitation, str]:
    """Make an invitation and return it with its secret, which is not stored and cannot be shown again."""
    if role == Role.OWNER and by_role != Role.OWNER:
        raise Forbidden("Only an owner can invite another owner.")
    secret = secrets.token_urlsafe(24)
    invitation = Invitation.objects.create(
        project=project,
        role=role,
        digest=_digest(secret),
        created_by=by,
        created_at=at,
        expires_at=at + timedelta(days=days),
        max_uses=max_uses,
    )
    return invitation, secret


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def find_invitation(secret: str, at: datetime) -> Invitation:
    """Return the invitation of a secret. Raises NotFound without one, InvalidInput when it is used up, withdrawn or
    expired.
    """
    invitation = Invitation.objects.select_related("project", "created_by").filter(digest=_digest(secret)).first()
    if invitation is None:
        raise NotFound("invitation")
    if invitation.withdrawn_at is not None:
        raise InvalidInput("This invitation was withdrawn. Ask for a new one.")
    if invitation.expires_at <= at:
        raise InvalidInput(f"This invitation expired on {invitation.expires_at:%d %B %Y}. Ask for a new one.")
    if invitation.uses >= invitation.max_uses:
        raise InvalidInput("This invitation has been used already. Ask for a new one.")
    return invitation


def require_not_deactivated(project: Project, user: User) -> None:
    """Raise Deactivated for somebody who is let in no more: no invitation changes that."""
    if Membership.objects.of(project, user).exclude(deactivated_at=None).exists():
        raise Deactivated(
            f"You were deactivated in {project.name}, and an invitation does not change that. "
            "Ask one of its owners or admins to let you in again."
        )


@transaction.atomic
def accept_invitation(secret: str, user: User, at: datetime) -> Project:
    """Make the bearer a member. Somebody who is a member already keeps their role, and the invitation its use.

    Raises Deactivated for a member who is let in no more.
    """
    invitation = find_invitation(secret, at)
    require_not_deactivated(invitation.project, user)
    if Membership.objects.of(invitation.project, user).exists():
        return invitation.project
    if not Invitation.objects.usable(at).filter(pk=invitation.pk).update(uses=F("uses") + 1):
        raise InvalidInput("This invitation has been used already. Ask for a new one.")
    add_member(invitation.project, user, invitation.role, at)
    return invitation.project


def withdraw(invitation: Invitation, at: datetime) -> None:
    """Make an invitation's link useless; who follows it reads that it was withdrawn."""
    Invitation.objects.filter(pk=invitation.pk, withdrawn_at=None).update(withdrawn_at=at)
