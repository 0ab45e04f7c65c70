"""Health."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from easel.common.http import API_PREFIX


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the process answers; touches nothing."""
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether the database answers and is migrated."""
    try:
        executor = MigrationExecutor(connection)
        pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except OperationalError:
        return JsonResponse({"ready": False, "detail": "The database does not answer."}, status=503)
    if pending:
        return JsonResponse({"ready": False, "detail": f"{pending} migrations are not applied."}, status=503)
    return JsonResponse({"ready": True})


def _error(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    """Answer in JSON below /api/ and with a page elsewhere."""
    if request.path.startswith(API_PREFIX):
        return JsonResponse({"code": code, "detail": detail}, status=status)
    return render(request, f"errors/{status}.html", {"detail": detail}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that cannot be read."""
    return _error(request, 400, "bad_request", "The request could not be read.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that is not allowed."""
    return _error(request, 403, "forbidden", "You may not do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request for what is not there."""
    return _error(request, 404, "not_found", "There is no such page here, or you have no access to it.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer after a bug."""
    return _error(request, 500, "server_error", "Something broke on our side. It is logged; try again in a moment.")
