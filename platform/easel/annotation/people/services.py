"""What happens to a member, with all that they hold: others get at once what somebody can no longer finish."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from easel.accounts.roles import ALLOWED, Act
from easel.annotation.distribution import release
from easel.annotation.gold.training import trainee_of
from easel.common.errors import Conflict
from easel.projects import services
from easel.projects.models import Membership


@transaction.atomic
def deactivate(member: Membership, by_role: str, at: datetime) -> int:
    """Let a member in no more and give what they hold to others; return how many items that were.

    What they did stays, with their name. Raises Conflict when no owner would be left, Forbidden when an admin touches
    owners.
    """
    services.deactivate_member(member, by_role, at)
    return release(member.project, member.user, at)


@transaction.atomic
def remove(member: Membership, by_role: str, at: datetime) -> int:
    """End a membership and give what the member holds to others; return how many items that were."""
    services.remove_member(member, by_role)
    return release(member.project, member.user, at)


@transaction.atomic
def change_role(member: Membership, role: str, by_role: str, at: datetime) -> int:
    """Change a member's role. One who no longer ranks holds nothing; return how many items others get now."""
    services.change_role(member, role, by_role)
    return 0 if Act.RANK in ALLOWED[role] else release(member.project, member.user, at)


@transaction.atomic
def change_member(
    member: Membership, by_role: str, at: datetime, *, role: str, limit_day: int | None, limit_total: int | None
) -> None:
    """Change what a member may do, and how much: all of it, or nothing."""
    if role != member.role:
        change_role(member, role, by_role, at)
    services.limit_member(member, limit_day, limit_total)


def resume(member: Membership) -> None:
    """Give a paused member items again. Raises Conflict for one who failed the training, which comes first."""
    if member.project.training_required and trainee_of(member.project, member).state == "failed":
        raise Conflict(
            f"{member.user.display_name} failed the training round. Let them pass, or give them another round: "
            "either resumes them."
        )
    services.resume_member(member)
