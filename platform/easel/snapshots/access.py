"""The only way a request gets a snapshot."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import F

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import NotFound
from easel.projects.access import require
from easel.snapshots.models import DatasetSnapshot


def snapshot_for(user: User | AnonymousUser, pk: UUID, act: Act) -> DatasetSnapshot:
    """Return a snapshot to a member of its project whose role allows the act."""
    found = None
    if isinstance(user, User):
        found = (
            DatasetSnapshot.objects.filter(pk=pk, project__memberships__user=user)  # type: ignore[no-redef]  # `role` is declared on the model
            .annotate(role=F("project__memberships__role"))
            .select_related("job", "project", "created_by")
            .first()
        )
    if found is None:
        raise NotFound("snapshot")
    require(found.role, act)
    return found
