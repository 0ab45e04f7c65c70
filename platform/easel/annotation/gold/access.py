"""The only way a request gets gold."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.models import Gold
from easel.common.errors import NotFound
from easel.projects.access import row_for
from easel.projects.models import Project


def gold_for(user: User | AnonymousUser, pk: UUID, project: Project | None = None) -> Gold:
    """Return gold, of that project where one is named, to somebody who manages its project: answers are in it."""
    rows = Gold.objects.select_related("item__prompt", "item__template_version", "made_by", "project")
    found = row_for(rows.prefetch_related("item__candidates", "pictures"), user, pk, Act.MANAGE, "gold item")
    if project is not None and found.project_id != project.pk:
        raise NotFound("gold item")
    return found
