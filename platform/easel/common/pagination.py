"""Lists of the API are read page by page with a cursor: new rows neither repeat nor hide others."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView


class NewestFirst(CursorPagination):
    """Newest rows first; ids are time-ordered."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Read `?cursor=`. A forged position would reach the database as an id; it is refused like any bad cursor."""
        cursor: Cursor | None = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            try:
                UUID(str(cursor.position))
            except ValueError as error:
                raise NotFound(self.invalid_cursor_message) from error
        return cursor


class OldestFirst(NewestFirst):
    """Oldest rows first."""

    ordering = "id"


def page_of(
    view: APIView,
    request: Request,
    rows: QuerySet[Any],
    serializer: type[BaseSerializer[Any]],
    paginator: type[CursorPagination] = NewestFirst,
) -> Response:
    """Answer one page of rows."""
    pages = paginator()
    page = pages.paginate_queryset(rows, request, view=view)
    return pages.get_paginated_response(serializer(page, many=True, context={"request": request}).data)
