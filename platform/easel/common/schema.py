"""Pieces of the OpenAPI document that every app uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

F = TypeVar("F", bound=Callable[..., Any])

Error = inline_serializer(
    "Error",
    {
        "code": serializers.CharField(help_text="Stable, for scripts."),
        "detail": serializers.CharField(help_text="What is wrong, where, and how to mend it."),
        "fields": serializers.DictField(child=serializers.ListField(child=serializers.CharField()), required=False),
    },
)
_MEANING = {
    400: "The input breaks a rule; `fields` names it.",
    401: "No valid token or session.",
    403: "The role does not allow it.",
    404: "There is no such thing, or you have no access to it.",
    409: "It changed in the meantime.",
    413: "Too large.",
    415: "Another content type is expected.",
    429: "The day's images are used up; `resets_at` says when the count starts anew.",
    503: "A service is away; try again.",
}


def documented(
    operation_id: str, *, request: Any = None, answers: Mapping[Any, Any], errors: tuple[int, ...] = (), **kwargs: Any
) -> Callable[[F], F]:
    """Describe an endpoint: what it takes, what it answers, and the refusals that a caller must expect."""
    refusals = {
        status: OpenApiResponse(Error, description=_MEANING[status])
        for status in sorted({401, 403, 404, 406, *errors} & set(_MEANING))
    }
    return extend_schema(operation_id=operation_id, request=request, responses={**answers, **refusals}, **kwargs)


def documented_list(
    operation_id: str,
    serializer: type[serializers.Serializer[Any]],
    *more: OpenApiParameter,
    errors: tuple[int, ...] = (),
) -> Callable[[F], F]:
    """Describe an endpoint that answers one page of rows; `more` are the parameters beside those of paging."""
    page = inline_serializer(
        f"{serializer.__name__.removesuffix('Serializer')}Page",
        {
            "next": serializers.CharField(allow_null=True, help_text="The address of the next page; null at the end."),
            "previous": serializers.CharField(allow_null=True, help_text="The address of the page before."),
            "results": serializer(many=True),
        },
    )
    parameters = [
        OpenApiParameter("cursor", str, description="Where the page begins; taken from `next` or `previous`."),
        OpenApiParameter("page_size", int, description="Rows a page, at most 500; 50 if left out."),
        *more,
    ]
    return documented(operation_id, answers={200: page}, errors=errors, parameters=parameters)
