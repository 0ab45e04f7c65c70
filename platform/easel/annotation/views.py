"""The ranking page, and the list of annotations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.models import Annotation
from easel.annotation.progress import day_of
from easel.annotation.services import SKIP_REASONS
from easel.common.paging import page_of
from easel.forms.definition import Definition
from easel.images.models import Candidate
from easel.images.progress import images_on_their_way
from easel.projects.access import may, project_for
from easel.projects.text import to_html


@require_safe
@ensure_csrf_cookie
def rank(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The ranking page: the form of the project's template version, filled by the page's own script."""
    project = project_for(request.user, pk, Act.RANK)
    assert isinstance(request.user, User)
    form = project.template_version.form
    day = day_of(request.user, project, timezone.now())
    context = {
        "project": project,
        "definition": _definition_for_page(form),
        "guidelines_html": to_html(project.guidelines) if project.guidelines else "",
        "config": {
            "project": str(project.pk),
            "api": "/api/v1/",
            "template_version": str(project.template_version_id),
            "lease_heartbeat_s": 60,
            "generating": images_on_their_way(project),
            "skip_reasons": [{"value": value, "label": label} for value, label in SKIP_REASONS.items()],
            "progress": {"today": day.today, "median_ms": day.median_ms, "left": day.left},
        },
        "may_inspect": may(project.role, Act.INSPECT),
    }
    return render(request, "annotation/rank.html", context)


def _definition_for_page(form: Definition) -> dict[str, Any]:
    parts = []
    for component in form.components:
        part = component.model_dump(mode="json")
        if component.type == "markdown":
            part["html"] = to_html(component.text)
        parts.append(part)
    return {"components": parts}


@require_safe
@vary_on_headers("HX-Request")
def annotation_list(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List annotations with their rankings as pictures, newest first."""
    project = project_for(request.user, pk, Act.INSPECT)
    page = page_of(request, Annotation.objects.of_project(project), 30)
    wanted = {candidate for row in page.rows for candidate in row.assignment.shown_order}
    candidates = Candidate.objects.in_bulk(list(wanted))
    by_id = {str(pk): candidate for pk, candidate in candidates.items()}
    rows = []
    for row in page.rows:
        groups = [[by_id[one] for one in group] for group in row.ranking]
        ranked = {one for group in row.ranking for one in group}
        unranked = [candidates[one] for one in row.assignment.shown_order if str(one) not in ranked]
        texts = [value for value in row.answers.values() if isinstance(value, str) and value]
        rows.append({"annotation": row, "groups": groups, "unranked": unranked, "texts": texts})
    context = {"project": project, "rows": rows, "after": page.after, "may_export": may(project.role, Act.EXPORT)}
    return render(request, "annotation/_annotations.html" if request.htmx else "annotation/list.html", context)  # type: ignore[attr-defined]
