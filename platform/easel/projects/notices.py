"""What a project's admins should know: written by whatever notices it, until one of them puts it away."""

from __future__ import annotations

from datetime import datetime

from easel.accounts.models import User
from easel.projects.models import Notice, Project


def notify(project: Project, kind: str, text: str, at: datetime, about: User | None = None) -> None:
    """Tell a project's admins something. Nothing is said twice: while one of this kind about this person is unseen,
    it stays as it is.
    """
    notice = Notice(project=project, kind=kind, text=text[:500], about=about, created_at=at)
    Notice.objects.bulk_create([notice], ignore_conflicts=True)


def put_away(notice: Notice, by: User, at: datetime) -> None:
    """Show a notice to nobody any more. Whoever was first stays named."""
    Notice.objects.filter(pk=notice.pk, seen_at=None).update(seen_at=at, seen_by=by)
