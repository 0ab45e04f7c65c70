"""The ranking page, and the list of annotations."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from csp.constants import SELF
from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from easel.accounts.models import User
from easel.accounts.profile import profile_of
from easel.accounts.roles import Act
from easel.annotation.models import Annotation, Item
from easel.annotation.page import page_of as form_page_of
from easel.annotation.page import sample_of
from easel.annotation.progress import day_of
from easel.annotation.services import SKIP_REASONS
from easel.common.paging import page_of
from easel.forms.definition import Definition
from easel.forms.models import form_of
from easel.forms.reading import InvalidDefinition, parse_definition
from easel.images.attempts import choices
from easel.images.models import Candidate
from easel.images.progress import images_on_their_way
from easel.projects.access import may, project_for
from easel.projects.models import Project
from easel.projects.text import to_html
from easel.registry.models import ModelVersion


@require_safe
@ensure_csrf_cookie
def rank(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The ranking page: the form of the project's template version, filled by the page's own script.

    `?version=` names another version that items of the project have: those are answered in the form they were made for.
    """
    project = project_for(request.user, pk, Act.RANK)
    assert isinstance(request.user, User)
    version = Item.objects.version_to_answer(project, request.GET.get("version", ""))
    day = day_of(request.user, project, timezone.now())
    config = {
        "project": str(project.pk),
        "template_version": str(version.pk),
        "generating": images_on_their_way(project),
        "progress": {"today": day.today, "median_ms": day.median_ms, "left": day.left},
    }
    context = {
        "project": project,
        "guidelines_html": to_html(project.guidelines) if project.guidelines else "",
        "may_inspect": may(project.role, Act.INSPECT),
        "earlier_form": version.pk != project.template_version_id,
    }
    return render(request, "annotation/rank.html", {**context, **_page(version.form, config, project, request.user)})


@require_POST
@xframe_options_sameorigin
@csp_replace({"frame-ancestors": [SELF]})
def preview(request: HttpRequest) -> HttpResponse:
    """Show a definition as annotators would get it, with sample images, in the builder's frame. Nothing is stored."""
    try:
        form = parse_definition(_json(request.POST.get("definition", "")))
    except InvalidDefinition as refusal:  # in the frame as well: the builder shows what is wrong beside it
        return render(request, "errors/refusal.html", {"refusal": refusal}, status=refusal.status)
    config = {
        "project": "",
        "template_version": "",
        "generating": 0,
        "progress": {"today": 0},
        "sample": sample_of(form),
    }
    assert isinstance(request.user, User)
    return render(request, "annotation/preview.html", _page(form, config, None, request.user))


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidDefinition("The definition is no JSON.", fields={"definition": ["is no JSON"]}) from None


def _page(form: Definition, config: dict[str, Any], project: Project | None, user: User) -> dict[str, Any]:
    page = form_page_of(form)
    models = choices(form)
    usual = ModelVersion.objects.usual_of(project.generator if project else None) if models else None
    return {
        "page": page,
        "scripts": [static(f"easel/components/{kind}/field.js") for kind in page.types],
        "models": [{"id": model.pk, "name": model.name, "usual": model == usual} for model in models],
        "config": {
            "api": "/api/v1/",
            "lease_heartbeat_s": 60,
            "profile": profile_of(user),
            "skip_reasons": [{"value": value, "label": label} for value, label in SKIP_REASONS.items()],
            **config,
        },
    }


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
        letters = {str(pk): chr(65 + at) for at, pk in enumerate(row.assignment.shown_order)}
        said = form_of(row.item.template_version_id).words(row.answers, letters, row.item.prompt.text)
        rows.append({"annotation": row, "groups": groups, "unranked": unranked, "said": said})
    context = {"project": project, "rows": rows, "after": page.after, "may_export": may(project.role, Act.EXPORT)}
    return render(request, "annotation/_annotations.html" if request.htmx else "annotation/list.html", context)  # type: ignore[attr-defined]
