"""A state machine is a table and one UPDATE: no row is moved by assignment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import models

from easel.common.errors import IllegalTransition

Moves = Mapping[str, frozenset[str]]
"""For each state, the states from which it may be reached."""


def move(queryset: models.QuerySet[Any], pk: UUID, to: str, moves: Moves, **changes: Any) -> None:
    """Move one row of `queryset` to the state `to`, changing other columns with it.

    Raises IllegalTransition when the row is gone from the queryset or another process moved it first.
    """
    moved = queryset.filter(pk=pk, state__in=moves[to]).update(state=to, **changes)
    if not moved:
        name = queryset.model._meta.verbose_name
        raise IllegalTransition(f"This {name} can no longer become {to}: it changed in the meantime. Load it again.")


def move_all(queryset: models.QuerySet[Any], to: str, moves: Moves, **changes: Any) -> int:
    """Move every row of `queryset` that may reach the state `to`; return how many did. The others stay as they are."""
    return queryset.filter(state__in=moves[to]).update(state=to, **changes)
