"""The project's overview: where the loop stands, and the one next step."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from easel.accounts.roles import Act
from easel.annotation.progress import next_step, overview_of
from easel.evaluation.loop import loop_of, next_of
from easel.images.models import Candidate
from easel.images.progress import progress_of
from easel.preferences.people import measured_people
from easel.projects.access import may, project_for
from easel.projects.models import Notice


@require_safe
@vary_on_headers("HX-Request")
def overview(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show where a project stands and what to do next; annotators go straight to ranking."""
    project = project_for(request.user, pk, Act.SEE)
    if not may(project.role, Act.INSPECT):
        return redirect("rank", project.pk)
    at = timezone.now()
    figures = overview_of(project, at, measured_people(project))
    requests = progress_of(project, at, 3)
    loop = loop_of(project)
    live = any(one.live for one in requests)
    form = project.template_version.form
    failed = any(one.failed for one in requests)
    step = next_step(figures, live=live, failed=failed, writes=form.live, texts=not form.images)
    context = {
        "project": project,
        "figures": figures,
        "requests": requests,
        "newest": Candidate.objects.of_project(project)[:5],
        "loop": loop,
        "live": live,
        "form": form,
        "watch": live or loop.live,
        "next_step": next_of(step, loop),
        "notices": Notice.objects.unseen(project) if may(project.role, Act.MANAGE) else [],
        "may_rank": may(project.role, Act.RANK),
        "may_manage": may(project.role, Act.MANAGE),
        "may_generate": may(project.role, Act.GENERATE),
        "may_train": may(project.role, Act.TRAIN),
    }
    template = "evaluation/_overview.html" if request.htmx else "evaluation/overview.html"  # type: ignore[attr-defined]
    return render(request, template, context)
