"""Pages of items by the place where the last one ended, and counts that end where nobody reads on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from easel.annotation.curate.filters import ORDERS, Filters
from easel.annotation.models import Item
from easel.common.paging import Page

COUNTED = 10_000
"""Items that are counted one by one; beyond, there are "more than" that."""


def page_of_items(rows: QuerySet[Item], filters: Filters, after: str, size: int) -> Page:
    """Some of the items and where the next ones begin; a malformed `after` begins anew."""
    by_lead = ORDERS[filters.order][0].lstrip("-") == "lead"
    falling = ORDERS[filters.order][0].startswith("-")
    beyond = "lt" if falling else "gt"
    place = _place(after, by_lead)
    if place is not None:
        lead, pk = place
        if by_lead:
            # The first half lets an index begin there; without it all that comes before would be read.
            rows = rows.filter(Q((f"lead__{beyond}e", lead)))
            rows = rows.filter(Q((f"lead__{beyond}", lead)) | Q((f"pk__{beyond}", pk)))
        else:
            rows = rows.filter(Q((f"pk__{beyond}", pk)))
    with near_reads():
        found = list(rows[: size + 1])
    return Page(found[:size], _token(found[size - 1], by_lead) if len(found) > size else None)


def _token(item: Item, by_lead: bool) -> str:
    return f"{item.lead!r}~{item.pk}" if by_lead else str(item.pk)


def _place(after: str, by_lead: bool) -> tuple[float, UUID] | None:
    lead, _, pk = after.rpartition("~")
    try:
        return (float(lead) if by_lead else 0.0), UUID(pk)
    except ValueError:
        return None


def count_of(rows: QuerySet[Item]) -> int:
    """How many there are, exactly up to COUNTED; one more where there are more."""
    with near_reads():
        return rows[: COUNTED + 1].values("pk").count()


@contextmanager
def near_reads() -> Iterator[None]:
    """Tell Postgres that a row is read nearly as fast by itself as in a row of them, as on every SSD and in memory.

    Its default is of spinning discs: it reads a million rows to find ten thousand.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL random_page_cost = 1.1")
        yield
        cursor.execute("SET LOCAL random_page_cost = DEFAULT")
