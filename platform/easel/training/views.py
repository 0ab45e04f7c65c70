"""Pages of fine-tunes."""

from __future__ import annotations

import csv
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import NotFound, Refusal
from easel.common.media import send
from easel.common.paging import page_of
from easel.projects.access import may, project_for
from easel.snapshots.models import DatasetSnapshot
from easel.training import services
from easel.training.access import finetune_for
from easel.training.charts import charts_of, table_of
from easel.training.forms import FinetuneForm
from easel.training.models import FinetuneGrid, FinetunePoint, FinetuneRun
from easel.training.progress import progress_of, progress_of_all

RUNS = 20
"""Runs on one page."""


@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def finetunes(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List a project's fine-tunes with their progress, and start one."""
    project = project_for(request.user, pk, Act.INSPECT)
    page = page_of(request, FinetuneRun.objects.of_project(project), RUNS)
    runs = progress_of_all(page.rows, timezone.now())
    context: dict[str, Any] = {
        "project": project,
        "page": page,
        "runs": runs,
        "live": any(one.live for one in runs),
        "may_train": may(project.role, Act.TRAIN),
    }
    if request.htmx and request.method == "GET":  # type: ignore[attr-defined]
        return render(request, "training/_runs.html", context)
    form = FinetuneForm(project, request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        project_for(request.user, pk, Act.TRAIN)
        assert isinstance(request.user, User)
        status = 400
        if form.is_valid():
            given = form.cleaned_data
            try:
                made = services.start_finetune(
                    project,
                    request.user,
                    timezone.now(),
                    snapshot=given["snapshot"],
                    base=given["base"],
                    method=given["method"],
                    settings=given["settings"],
                )
                messages.success(request, f"Run {made.number} waits for a training worker. You can leave this page.")
                return redirect("finetune", project.pk, made.pk)
            except Refusal as refusal:
                form.refuse(refusal)
                status = refusal.status
    context |= {"form": form, "snapshots": DatasetSnapshot.objects.frozen(project).exists()}
    return render(request, "training/list.html", context, status=status)


@require_safe
def finetune_settings(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The settings that the chosen method has, with their defaults and what they would take."""
    project = project_for(request.user, pk, Act.TRAIN)
    return render(request, "training/_settings.html", {"project": project, "form": FinetuneForm(project, request.GET)})


@require_safe
@vary_on_headers("HX-Request")
def finetune(request: HttpRequest, pk: UUID, run_pk: UUID) -> HttpResponse:
    """Show a run: how far it is, what it measured, what its checkpoints make, what came of it."""
    project = project_for(request.user, pk, Act.INSPECT)
    run = finetune_for(request.user, run_pk, Act.INSPECT)
    if run.project_id != project.pk:
        raise NotFound("fine-tune")
    points = FinetunePoint.objects.of_run(run)
    context = {
        "project": project,
        "run": run,
        "one": progress_of(run, timezone.now()),
        "charts": charts_of(points, run.steps),
        "table": table_of(points),
        "points": len(points),
        "grids": FinetuneGrid.objects.of_run(run),
        "prompts": run.sample_prompts(),
        "settings": {name: value for name, value in (run.filled or run.settings).items() if value is not None},
        "asked": run.settings,
        "may_train": may(project.role, Act.TRAIN),
    }
    page = "training/_run.html" if request.htmx else "training/detail.html"  # type: ignore[attr-defined]
    return render(request, page, context)


@require_safe
def finetune_figures(request: HttpRequest, pk: UUID) -> HttpResponse:
    """All that a run measured as CSV."""
    run = finetune_for(request.user, pk, Act.INSPECT)
    points = FinetunePoint.objects.of_run(run)
    names = list(dict.fromkeys(name for point in points for name in point.values))
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="run-{run.number}-figures.csv"'
    rows = csv.writer(response)
    rows.writerow(["step", *names])
    rows.writerows([point.step, *(point.values.get(name, "") for name in names)] for point in points)
    return response


@require_safe
def finetune_sample(request: HttpRequest, pk: UUID, step: int, place: int) -> HttpResponseBase:
    """Send the picture that a checkpoint made of a fixed prompt."""
    run = finetune_for(request.user, pk, Act.INSPECT)
    grid = FinetuneGrid.objects.at(run, step)
    images = grid.samples().images if grid else ()
    if place >= len(images):
        raise NotFound("sample")
    return send(images[place].key, "image/png", f"run-{run.number}-step-{step}-{place}.png")


_TOLD = {
    "pause": "The run is paused. It goes on from its last checkpoint when it is resumed.",
    "resume": "The run goes on.",
    "cancel": "The run is cancelled. What it measured stays.",
    "retry": "The run is tried again, from its last checkpoint on.",
}
_ACTS = {"pause": services.pause, "resume": services.resume, "cancel": services.cancel, "retry": services.retry}


def _act(request: HttpRequest, pk: UUID, act: str) -> HttpResponse:
    run = finetune_for(request.user, pk, Act.TRAIN)
    _ACTS[act](run, timezone.now())
    messages.success(request, _TOLD[act])
    return redirect("finetune", run.project_id, run.pk)


@require_POST
def pause_finetune(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Let a run rest."""
    return _act(request, pk, "pause")


@require_POST
def resume_finetune(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Let a paused run go on."""
    return _act(request, pk, "resume")


@require_POST
def cancel_finetune(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End a run."""
    return _act(request, pk, "cancel")


@require_POST
def retry_finetune(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give a failed run new attempts."""
    return _act(request, pk, "retry")
