"""Evaluations, the leaderboard, and simulated annotators."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import Conflict, InvalidInput, NotFound, Refusal
from easel.common.paging import page_of
from easel.common.tables import csv_response
from easel.evaluation import holding, services
from easel.evaluation import simulation as simulated
from easel.evaluation.access import evaluation_for, simulation_for
from easel.evaluation.figures import ORDERS, comparisons, result_of, tallies_of
from easel.evaluation.forms import EvaluateForm, SimulateForm
from easel.evaluation.leaderboard import board_of
from easel.evaluation.models import Evaluation, Simulation
from easel.evaluation.results import in_words
from easel.evaluation.selecting import asked_next
from easel.evaluation.tastes import TASTES
from easel.images.progress import progress_of_one
from easel.projects.access import may, project_for
from easel.projects.models import Project
from easel.registry.models import ModelVersion

SHOWN = 24
"""Comparisons on one page."""


@require_safe
def evaluations(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List a project's evaluations, newest first, with their verdicts."""
    project = project_for(request.user, pk, Act.INSPECT)
    page = page_of(request, Evaluation.objects.of_project(project), 20)
    tallies = tallies_of(page.rows)
    context = {
        "project": project,
        "rows": [(one, tallies[one.pk], in_words(tallies[one.pk], one.a.name, one.b.name)) for one in page.rows],
        "after": page.after,
        "may_train": may(project.role, Act.TRAIN),
    }
    return render(request, "evaluation/list.html", context)


@require_http_methods(["GET", "POST"])
def new_evaluation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Choose two models, prompts and judges."""
    project = project_for(request.user, pk, Act.TRAIN)
    assert isinstance(request.user, User)
    form = EvaluateForm(project, request.POST or None, initial=_likely(request, project))
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                made = services.start_evaluation(project, request.user, timezone.now(), **form.asked())
                messages.success(request, "The images are being made. You can leave this page.")
                return redirect("evaluation", made.pk)
            except Refusal as refusal:
                form.refuse(refusal)
                status = refusal.status
    return render(request, "evaluation/new.html", {"project": project, "form": form}, status=status)


def _likely(request: HttpRequest, project: Project) -> dict[str, Any]:
    """What the form is filled with: the models of the address, else the newest version and what it was made from."""
    chosen = {name: ModelVersion.objects.named(request.GET.get(name, "").replace("\0", "")) for name in ("a", "b")}
    b = chosen["b"] or ModelVersion.objects.derived().first()
    a = chosen["a"] or (project.generator if project.generator != b else None) or (b.base if b else None)
    return {name: model.pk for name, model in (("a", a), ("b", b)) if model is not None}


@require_safe
@vary_on_headers("HX-Request")
def evaluation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what an evaluation has shown by now: the verdict, figures, and the pictures side by side."""
    found = evaluation_for(request.user, pk, Act.INSPECT)
    result = result_of(found)
    state = found.state
    context: dict[str, Any] = {
        "project": found.project,
        "evaluation": found,
        "state": state,
        "result": result,
        "images": progress_of_one(found.request, timezone.now()),
        "live": state in {"generating", "judging"} or result.measuring,
        "votes_wanted": found.items_total * (found.request.overlap or 1),
        "taste_words": TASTES[found.simulation.taste].words if found.judges == Evaluation.Judges.SIMULATED else "",
        "may_train": may(found.project.role, Act.TRAIN),
        "may_manage": may(found.project.role, Act.MANAGE),
        "may_rank": may(found.project.role, Act.RANK) and found.judges == Evaluation.Judges.PEOPLE,
        "is_generator": found.project.generator_id == found.b_id,
    }
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "evaluation/_result.html", context)
    order = request.GET.get("order", "")
    order = order if order in ORDERS else "all"
    start = int(text) if (text := request.GET.get("from", "")).isascii() and text.isdigit() and len(text) < 7 else 0
    pairs = comparisons(found, result.votes, order, start, SHOWN + 1)
    context |= {
        "pairs": pairs[:SHOWN],
        "order": order,
        "orders": [("all", "All"), ("lost", "B lost"), ("won", "B won"), ("tied", "Ties")],
        "next": start + SHOWN if len(pairs) > SHOWN else None,
        "start": start,
    }
    return render(request, "evaluation/detail.html", context)


@require_POST
def promote(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Make one of the two models the one that makes the next round's images."""
    found = evaluation_for(request.user, pk, Act.MANAGE)
    assert isinstance(request.user, User)
    model = found.a if request.POST.get("model") == "a" else found.b
    services.promote(found, request.user, timezone.now(), model)
    messages.success(request, f"{model.name} makes the images of the next round.")
    return redirect("evaluation", found.pk)


@require_POST
def retry_evaluation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Try again what could not be measured or judged."""
    found = evaluation_for(request.user, pk, Act.TRAIN)
    services.retry(found, timezone.now())
    messages.success(request, "What failed is tried again.")
    return redirect("evaluation", found.pk)


@require_safe
@vary_on_headers("HX-Request")
def leaderboard(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Show a project's model versions by strength; with `?format=csv` send the table."""
    project = project_for(request.user, pk, Act.INSPECT)
    boards = {kind: board_of(project, kind) for kind in (User.Kind.HUMAN, User.Kind.SIMULATED)}
    asked = request.GET.get("judges", "")
    people = asked == "people" or (
        asked != "simulated" and bool(boards[User.Kind.HUMAN].votes or not boards[User.Kind.SIMULATED].votes)
    )
    board = boards[User.Kind.HUMAN if people else User.Kind.SIMULATED]
    if request.GET.get("format") == "csv":
        names = ("rank", "model", "strength", "low", "high", "won", "tied", "lost", "judges")
        judges = "people" if people else "simulated"
        cells = (
            (row.rank, row.model.name, row.strength, row.low, row.high, row.won, row.tied, row.lost, judges)
            for row in board.rows
        )
        return csv_response(f"{slugify(project.name) or 'project'}-leaderboard", names, cells)
    context = {
        "project": project,
        "board": board,
        "people": people,
        "both": all(one.votes for one in boards.values()),
        "selecting": project.selection == Project.Selection.ACTIVE,
        "matchups": asked_next(project),
        "reach": max([0.5, *(max(abs(row.low), abs(row.high)) for row in board.rows)]),
        "may_train": may(project.role, Act.TRAIN),
    }
    page = "evaluation/_board.html" if request.htmx else "evaluation/leaderboard.html"  # type: ignore[attr-defined]
    return render(request, page, context)


@require_POST
def hold_out(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Keep prompts for evaluations: one, or a share of all; or give one back."""
    project = project_for(request.user, pk, Act.MANAGE)
    text = request.POST.get("percent", "")
    try:
        if text:
            count = holding.hold_out_share(project, int(text) if text.isascii() and text.isdigit() else 0)
            words = (
                f"{count:,} prompt{' is' if count == 1 else 's are'} held out." if count else "So many are held out."
            )
            messages.success(request, words)
        else:
            held_out = request.POST.get("held_out") == "yes"
            holding.hold_out(project, _uuid(request.POST.get("prompt", "")), held_out=held_out)
    except (Conflict, InvalidInput) as refusal:
        messages.error(request, refusal.detail)
    return redirect("prompts", project.pk)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("prompt") from None


@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def simulations(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send simulated annotators, and see how far they are."""
    project = project_for(request.user, pk, Act.MANAGE)
    assert isinstance(request.user, User)
    rows = list(Simulation.objects.of_project(project)[:20])
    context: dict[str, Any] = {"project": project, "rows": rows, "live": any(one.state == "running" for one in rows)}
    if request.htmx and request.method == "GET":  # type: ignore[attr-defined]
        return render(request, "evaluation/_simulations.html", context)
    form = SimulateForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                simulated.start_simulation(project, request.user, timezone.now(), **form.asked())
                messages.success(request, "Simulated annotators are ranking. You can leave this page.")
                return redirect("simulations", project.pk)
            except Refusal as refusal:
                form.add_error("taste" if "taste" in refusal.fields else None, refusal.detail)
                status = refusal.status
    return render(request, "evaluation/simulations.html", context | {"form": form}, status=status)


@require_POST
def cancel_simulation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Stop simulated annotators; what they ranked stays."""
    found = simulation_for(request.user, pk, Act.MANAGE)
    simulated.cancel(found, timezone.now())
    messages.success(request, "They have stopped. What they ranked stays.")
    return redirect("simulations", found.project_id)
