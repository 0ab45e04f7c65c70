"""Long lists on pages: newest first, more on demand, no counting of millions of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest


@dataclass(frozen=True)
class Page:
    """Some rows of a list, and where the next ones begin."""

    rows: list[Any]
    after: str | None
    """The value of `?after=` for the next rows; None at the end."""


def page_of(request: HttpRequest, rows: QuerySet[Any], size: int, *, ascending: bool = False) -> Page:
    """Return the rows that the request's `?after=` asks for; a malformed one starts at the beginning."""
    try:
        after = UUID(request.GET.get("after", ""))
    except ValueError:
        after = None
    if after is not None:
        rows = rows.filter(pk__gt=after) if ascending else rows.filter(pk__lt=after)
    found = list(rows[: size + 1])
    return Page(found[:size], str(found[size - 1].pk) if len(found) > size else None)
