"""The export page."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from easel.accounts.roles import Act
from easel.annotation.models import Annotation
from easel.projects.access import project_for
from easel.snapshots.api import export_response
from easel.snapshots.formats import offered


@require_safe
def export(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Offer the export formats; with `?format=` send the file."""
    project = project_for(request.user, pk, Act.EXPORT)
    if "format" in request.GET:
        simulated = request.GET.get("include_simulated") == "true"
        return export_response(project, request.GET["format"], include_simulated=simulated)
    context = {
        "project": project,
        "formats": offered(project),
        "human": Annotation.objects.exportable(project, include_simulated=False).count(),
        "all": Annotation.objects.exportable(project, include_simulated=True).count(),
    }
    return render(request, "snapshots/export.html", context)
