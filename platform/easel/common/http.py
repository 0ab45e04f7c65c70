"""Refusals as answers: JSON for the API, a page for people, always the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from easel.common.errors import NotFound, Refusal

API_PREFIX = "/api/"


def refusal_body(refusal: Refusal) -> dict[str, Any]:
    """Return the error body of the API: code, detail, the fields that are wrong, and what else helps the client."""
    body: dict[str, Any] = {"code": refusal.code, "detail": refusal.detail}
    if refusal.fields:
        body["fields"] = refusal.fields
    return body | refusal.extra


def answer_refusal(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer DRF's own errors and our refusals in one form; None lets a bug become a 500."""
    if isinstance(error, Http404):
        error = NotFound()
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, Refusal):
        set_rollback()
        return Response(refusal_body(error), status=error.status)
    if isinstance(error, exceptions.ValidationError):
        set_rollback()
        fields = _flatten(error.detail)
        where = "; ".join(f"{name or 'body'}: {' '.join(messages)}" for name, messages in fields.items())
        return Response({"code": "invalid", "detail": where, "fields": fields}, status=400)
    if isinstance(error, exceptions.APIException):
        set_rollback()
        headers = {}
        if wait := getattr(error, "wait", None):
            headers["Retry-After"] = str(int(wait))
        if challenge := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = challenge
        code = error.get_codes()
        detail = error.detail if isinstance(error.detail, str) else str(error.detail)
        return Response({"code": str(code), "detail": detail}, status=error.status_code, headers=headers)
    return None


def _flatten(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Flatten DRF's nested error detail into dotted field names: {"prompts.3.text": ["..."]}."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for name, part in detail.items():
            found |= _flatten(part, f"{path}.{name}".strip(".").removesuffix(".non_field_errors"))
        return found
    if isinstance(detail, list) and any(isinstance(part, dict | list) for part in detail):
        found = {}
        for index, part in enumerate(detail):
            found |= _flatten(part, f"{path}.{index}".strip("."))
        return found
    messages = detail if isinstance(detail, list) else [detail]
    return {path.removeprefix("non_field_errors"): [str(message) for message in messages]} if messages else {}


class OnlyForForms(Refusal):
    """An address that was opened, to which only forms send."""

    code = "method_not_allowed"
    status = 405

    def __init__(self) -> None:
        super().__init__("Nothing stands at this address: only a form sends to it. Nothing was changed; go back to it.")


class RefusalMiddleware:
    """Turns a refusal that a page raised into a page (or JSON below /api/) with the refusal's status and words."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; who opens an address that only forms send to, as by reloading, is told so: Django's page is empty."""
        response = self.get_response(request)
        if response.status_code == OnlyForForms.status and request.method == "GET" and not response.content:
            page = render(request, "errors/refusal.html", {"refusal": OnlyForForms()}, status=response.status_code)
            page.headers["Allow"] = response.headers["Allow"]
            return page
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer refusals; None lets a bug become a 500."""
        if not isinstance(error, Refusal):
            return None
        if request.path.startswith(API_PREFIX):
            return JsonResponse(refusal_body(error), status=error.status)
        template = {404: "errors/404.html", 403: "errors/403.html"}.get(error.status, "errors/refusal.html")
        return render(request, template, {"refusal": error}, status=error.status)
