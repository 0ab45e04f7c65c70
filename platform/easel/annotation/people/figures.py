"""The people of a project, with what they have done in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Greatest

from easel.annotation.models import Annotation, Record
from easel.projects.models import Membership, Project

STATES = {"active": "Active", "paused": "Paused", "deactivated": "Deactivated"}


@dataclass(frozen=True)
class Headcount:
    """How many people a project has, by their state."""

    all: int
    active: int
    paused: int
    deactivated: int


def headcount_of(project: Project) -> Headcount:
    """Count a project's people."""
    rows = Membership.objects.filter(project=project)
    paused = rows.active().exclude(paused_at=None).count()
    everybody, active = rows.count(), rows.active().count()
    return Headcount(everybody, active - paused, paused, everybody - active)


def people_of(project: Project, words: str = "", state: str = "") -> QuerySet[Membership]:
    """The people of a project in the order in which they came, or those whose names have these words in them.

    Each with `submitted`, `day` and `on_day` (what they submitted at all, and on the last day on which they did), and
    `last_active`: when they last submitted something, or signed in.
    """
    rows = Membership.objects.filter(project=project).select_related("user").order_by("id")
    for word in words.split():
        named = Q(user__username__icontains=word) | Q(user__first_name__icontains=word)
        rows = rows.filter(named | Q(user__last_name__icontains=word))
    if state == "deactivated":
        rows = rows.exclude(deactivated_at=None)
    elif state == "paused":
        rows = rows.active().exclude(paused_at=None)
    elif state == "active":
        rows = rows.active().filter(paused_at=None)
    own = Record.objects.filter(project=OuterRef("project"), annotator=OuterRef("user"))
    said = Annotation.objects.filter(project=OuterRef("project"), annotator=OuterRef("user"))
    newest = said.order_by("-created_at").values("created_at")[:1]
    return rows.annotate(
        submitted=Subquery(own.values("submitted")),
        day=Subquery(own.values("day")),
        on_day=Subquery(own.values("submitted_on_day")),
        last_active=Greatest(Subquery(newest), "user__last_login"),
    )


@dataclass(frozen=True)
class Work:
    """How much a member has done, and may do."""

    total: int
    today: int
    limit_day: int | None
    limit_total: int | None

    @property
    def is_at_limit(self) -> bool:
        """Whether the next item waits for another day, or for a higher limit."""
        day = self.limit_day is not None and self.today >= self.limit_day
        return day or (self.limit_total is not None and self.total >= self.limit_total)


def work_of(member: Membership, at: datetime) -> Work:
    """Return what a row of `people_of` did, and may do: a member's own limits go before the project's."""
    today = member.on_day if member.day == at.date() else 0  # type: ignore[attr-defined]  # annotated above
    project = member.project
    return Work(
        total=member.submitted or 0,  # type: ignore[attr-defined]
        today=today or 0,
        limit_day=project.limit_day if member.limit_day is None else member.limit_day,
        limit_total=project.limit_total if member.limit_total is None else member.limit_total,
    )
