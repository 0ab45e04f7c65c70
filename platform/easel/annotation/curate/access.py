"""The only way a request gets a subset, a saved query or an act on many items."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.models import BulkAct, Item, SavedQuery, Subset
from easel.projects.access import row_for

KEEP = Act.EXPORT
"""Who keeps queries and subsets for the others: those who make data sets of them."""
CHANGE = Act.MANAGE
"""Who changes what annotators get."""


def subset_for(user: User | AnonymousUser, pk: UUID, act: Act) -> Subset:
    """Return a subset to a member of its project whose role allows the act."""
    return row_for(Subset.objects.select_related("project"), user, pk, act, "subset")


def query_for(user: User | AnonymousUser, pk: UUID, act: Act) -> SavedQuery:
    """Return a saved query to a member of its project whose role allows the act."""
    return row_for(SavedQuery.objects.select_related("project"), user, pk, act, "query")


def bulk_act_for(user: User | AnonymousUser, pk: UUID, act: Act) -> BulkAct:
    """Return an act on many items to a member of its project whose role allows the act."""
    return row_for(BulkAct.objects.select_related("project", "by"), user, pk, act, "act")


def item_for(user: User | AnonymousUser, pk: UUID, act: Act) -> Item:
    """Return an item, with its prompt and project, to a member whose role allows the act."""
    return row_for(Item.objects.select_related("project", "prompt", "request"), user, pk, act, "item")
