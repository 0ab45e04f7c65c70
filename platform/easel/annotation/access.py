"""The only way a request gets an assignment or an annotation."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import F

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.models import Assignment
from easel.common.errors import NotFound
from easel.projects.access import require


def assignment_for(user: User | AnonymousUser, pk: UUID, *, lock: bool = False) -> Assignment:
    """Return an annotator's own assignment; somebody else's does not exist, not even for an owner.

    With `lock`, it and its item stay locked for the rest of the transaction. Raises NotFound for one who is no longer
    in the project.
    """
    found = None
    if isinstance(user, User):
        rows = Assignment.objects.locked() if lock else Assignment.objects.all()
        found = (
            rows.filter(  # type: ignore[no-redef]  # `role` is declared on the model
                pk=pk, annotator=user, item__project__memberships__user=user
            )
            .annotate(role=F("item__project__memberships__role"))
            .select_related("item__project")
            .first()
        )
    if found is None:
        raise NotFound("assignment")
    require(found.role, Act.RANK)
    return found
