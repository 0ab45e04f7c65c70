"""The only way a request gets a fine-tune."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.projects.access import row_for
from easel.training.models import FinetuneRun


def finetune_for(user: User | AnonymousUser, pk: UUID, act: Act) -> FinetuneRun:
    """Return a run, with its job and models, to a member whose role allows the act."""
    return row_for(FinetuneRun.objects.with_parts(), user, pk, act, "fine-tune")
