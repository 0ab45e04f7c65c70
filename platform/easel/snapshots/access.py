"""The only way a request gets a snapshot."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.projects.access import row_for
from easel.snapshots.models import DatasetSnapshot


def snapshot_for(user: User | AnonymousUser, pk: UUID, act: Act) -> DatasetSnapshot:
    """Return a snapshot to a member of its project whose role allows the act."""
    rows = DatasetSnapshot.objects.select_related("job", "project", "created_by")
    return row_for(rows, user, pk, act, "snapshot")
