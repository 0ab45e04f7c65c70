"""The quality of a project's answers: what a manager reads in a minute, and each annotator by themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from easel.accounts.roles import Act
from easel.common.tables import csv_response
from easel.preferences import panels, tables
from easel.preferences.access import members_of, person_for, quality_for
from easel.preferences.figures import AnnotatorFigures
from easel.preferences.models import AnnotatorQuality, ProjectQuality, QualityDay
from easel.preferences.services import DAYS
from easel.projects.access import may
from easel.projects.models import Notice, Project


@require_safe
@vary_on_headers("HX-Request")
def quality(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a project's figures as of the last measurement: tiles, charts, categories, annotators."""
    project, stored = quality_for(request.user, pk)
    context = _tiles(project, stored)
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "quality/_tiles.html", context)
    found, today = context["found"], context["today"]
    days = QualityDay.objects.since(project, found.kind, timezone.now() - timedelta(days=DAYS))
    qualities = list(AnnotatorQuality.objects.of_project(project))
    rows, order = panels.rows_of(qualities, members_of(project), today, request.GET.get("order", ""))
    context |= {
        "throughput": panels.throughput(found, today),
        "throughput_days": [(day, found.days[day]) for day in sorted(found.days, reverse=True)[:DAYS]],
        "agreement": panels.agreement_chart(days),
        "agreement_days": [(one.day, one.found) for one in reversed(days)],
        "rows": rows,
        "order": order,
        "notices": Notice.objects.unseen(project)[:20],
        "may_manage": may(project.role, Act.MANAGE),
        "may_train": may(project.role, Act.TRAIN),
    }
    return render(request, "quality/project.html", context)


def _tiles(project: Project, stored: ProjectQuality) -> dict[str, Any]:
    found, today = stored.found, timezone.now().date()
    now, before = panels.trend_of(found, today)
    pace = panels.pace_of(found, stored.measured_at)
    return {
        "project": project,
        "quality": stored,
        "found": found,
        "today": today,
        "annotations_today": now,
        "mean_before": before,
        "pace": pace,
        "time_left": panels.duration_words(pace.days_left) if pace.days_left else "",
        "agreement_words": panels.agreement_words(found.alpha),
        "cost": panels.cost_of(found, project.hourly_cost),
    }


@require_safe
def quality_table(request: HttpRequest, pk: UUID, name: str) -> HttpResponseBase:
    """Send a chart's table as CSV."""
    project, stored = quality_for(request.user, pk)
    table = tables.table_named(name, project, stored)
    return csv_response(f"{slugify(project.name) or 'project'}-{name}", table.names, table.rows)


@require_safe
def quality_person(request: HttpRequest, pk: UUID, user_pk: UUID) -> HttpResponse:
    """Show one annotator's figures: flags first, then each figure with what it means."""
    person = person_for(request.user, pk, user_pk)
    found = person.quality.found if person.quality else AnnotatorFigures()
    today = timezone.now().date()
    context = {
        "project": person.project,
        "person": person,
        "found": found,
        "flags": person.quality.found_flags if person.quality else [],
        "throughput": panels.throughput(found, today),
        "agreement": panels.agreement_of_person(found),
        "table": tables.of_person(found),
        "places": panels.places_of(found.position),
        "may_manage": may(person.project.role, Act.MANAGE),
    }
    return render(request, "quality/person.html", context)


@require_safe
def quality_person_table(request: HttpRequest, pk: UUID, user_pk: UUID) -> HttpResponseBase:
    """Send one annotator's days as CSV."""
    person = person_for(request.user, pk, user_pk)
    table = tables.of_person(person.quality.found if person.quality else AnnotatorFigures())
    name = slugify(f"{person.project.name} {person.user.username}") or "annotator"
    return csv_response(f"{name}-days", table.names, table.rows)
