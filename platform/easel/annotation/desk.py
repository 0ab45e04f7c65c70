"""What the queue must know of an annotator in a project before it gives out the next item, read with one statement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from easel.accounts.models import User
from easel.annotation.models import audiences_of
from easel.common.errors import Forbidden, NotFound
from easel.projects.models import Project

COLUMNS = (
    ("project.id", "project"),
    ("member.user_id", "annotator"),
    ("account.kind", "kind"),
    ("account.declined", "declined"),
    ("project.overlap", "overlap"),
    ("project.overlap_lead", "overlap_lead"),
    ("project.overlap_cap", "overlap_cap"),
    ("project.selection", "selection"),
    ("project.sensitive_categories", "sensitive"),
    ("project.training_required", "training_required"),
    ("project.review_share", "review_share"),
    ("project.gold_share", "gold_share"),
    ("project.gold_share_first", "gold_share_first"),
    ("project.repeat_share", "repeat_share"),
    ("project.paused_at", "project_paused_at"),
    ("project.pause_reason", "project_pause_reason"),
    ("coalesce(member.limit_day, project.limit_day)", "limit_day"),
    ("coalesce(member.limit_total, project.limit_total)", "limit_total"),
    ("member.paused_at", "paused_at"),
    ("member.pause_reason", "pause_reason"),
    ("coalesce(record.submitted, 0)", "submitted"),
    ("record.day", "day"),
    ("coalesce(record.submitted_on_day, 0)", "submitted_on_day"),
    ("record.trained_at", "trained_at"),
    ("coalesce(record.training, 0)", "training"),
    ("record.after", "after"),
    ("record.after_priority", "after_priority"),
)
"""Where each field of a desk stands."""
JOINS = """
    JOIN projects_membership AS member ON member.project_id = project.id AND member.deactivated_at IS NULL
    JOIN accounts_user AS account ON account.id = member.user_id
    LEFT JOIN annotation_record AS record ON record.project_id = project.id AND record.annotator_id = member.user_id
"""
_DESK = f"""
    SELECT {", ".join(source for source, _ in COLUMNS)} FROM projects_project AS project {JOINS}
    WHERE project.id = %s AND member.user_id = %s
"""  # noqa: S608 -- made of our own texts only


class Paused(Forbidden):
    """Work in the project, or of this annotator in it, is paused."""

    code = "paused"


class LimitReached(Forbidden):
    """The annotator has ranked as many items as they may."""

    code = "limit_reached"


@dataclass(frozen=True, slots=True)
class Desk:
    """An annotator in a project."""

    project: UUID
    annotator: UUID
    kind: str
    declined: list[str]
    overlap: int
    overlap_lead: int
    overlap_cap: int
    selection: str
    sensitive: list[str]
    training_required: bool
    review_share: int
    gold_share: int
    gold_share_first: int
    repeat_share: int
    project_paused_at: datetime | None
    project_pause_reason: str
    limit_day: int | None
    limit_total: int | None
    paused_at: datetime | None
    pause_reason: str
    submitted: int
    """Items answered in this project so far, gold and repeats too, training not."""
    day: date | None
    submitted_on_day: int
    trained_at: datetime | None
    training: int
    """Training items answered in this round."""
    after: UUID | None
    """The item of the queue that was answered furthest on, with its priority: the search goes on behind it."""
    after_priority: int | None

    @property
    def simulated(self) -> bool:
        """Whether it is no person: those are neither measured nor trained, and have no limits."""
        return self.kind == User.Kind.SIMULATED

    @property
    def trains(self) -> bool:
        """Whether the next items are training."""
        return self.training_required and self.trained_at is None and not self.simulated

    def audiences(self, *, sent: bool) -> list[str]:
        """What this annotator may be given."""
        return audiences_of(self.kind, sent=sent)

    def with_counts(self, **counts: Any) -> Desk:
        """The same desk with what a submission has just counted."""
        return replace(self, **counts)

    def refuse_rest(self, open_: int, at: datetime) -> None:
        """Raise Paused or LimitReached where no item is given out now. open_: how many the annotator has at hand."""
        if self.project_paused_at is not None:
            why = self.project_pause_reason or "What you submitted is kept; come back later."
            raise Paused(f"This project is paused. {why}")
        if self.paused_at is not None:
            why = self.pause_reason or "The project's admins can tell you more."
            raise Paused(f"Your work in this project is paused. {why}")
        if self.simulated:
            return
        today = self.submitted_on_day if self.day == at.date() else 0
        if self.limit_day is not None and today + open_ >= self.limit_day:
            all_of_it = "item" if self.limit_day == 1 else f"{self.limit_day} items"
            raise LimitReached(f"You have done your {all_of_it} of today. There are new ones after midnight UTC.")
        if self.limit_total is not None and self.submitted + open_ >= self.limit_total:
            raise LimitReached(f"You have done all {self.limit_total} items that one person ranks in this project.")


def desk_of(project: Project, annotator: User) -> Desk:
    """Return an annotator's desk. Raises NotFound for one who is no member."""
    with connection.cursor() as cursor:
        cursor.execute(_DESK, [project.pk, annotator.pk])
        row = cursor.fetchone()
    if row is None:
        raise NotFound("project")
    return Desk(*row)


def desk_on(row: Any) -> Desk:
    """Return the desk whose columns stand on a row that was read with COLUMNS."""
    return Desk(**{name: getattr(row, f"desk_{name}") for _, name in COLUMNS})
