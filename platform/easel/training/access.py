"""The only way a request gets a fine-tune."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import F

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import NotFound
from easel.projects.access import require
from easel.training.models import FinetuneRun


def finetune_for(user: User | AnonymousUser, pk: UUID, act: Act) -> FinetuneRun:
    """Return a run, with its job and models, to a member whose role allows the act."""
    found = None
    if isinstance(user, User):
        found = (
            FinetuneRun.objects.with_parts()  # type: ignore[no-redef]  # `role` is declared on the model
            .filter(pk=pk, project__memberships__user=user)
            .annotate(role=F("project__memberships__role"))
            .first()
        )
    if found is None:
        raise NotFound("fine-tune")
    require(found.role, act)
    return found
