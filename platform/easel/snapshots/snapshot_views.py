"""Pages of snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import NotFound, Refusal
from easel.common.paging import page_of
from easel.common.storage import storage
from easel.projects.access import may, project_for
from easel.projects.models import Project
from easel.snapshots.access import snapshot_for
from easel.snapshots.filters import Filters, in_words, survey
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.services import problem_of, take_snapshot
from easel.snapshots.snapshot_forms import SnapshotForm
from finetune.snapshot import CARD, SPLITS, SnapshotError, read_file
from finetune.types import Preference, SnapshotImage
from generation.storage import StorageError

SNAPSHOTS = 20
"""Snapshots on one page."""
SHOWN = 4
"""Rows whose pictures are shown."""


@require_safe
@vary_on_headers("HX-Request")
def snapshots(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List a project's snapshots."""
    project = project_for(request.user, pk, Act.INSPECT)
    page = page_of(request, DatasetSnapshot.objects.of_project(project), SNAPSHOTS)
    context: dict[str, Any] = {
        "project": project,
        "page": page,
        "live": any(one.live for one in page.rows),
        "may_take": may(project.role, Act.TRAIN),
    }
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "snapshots/_list.html", context)
    if not page.rows:
        context["found"] = survey(project, Filters(), include_simulated=True, at=timezone.now())
    return render(request, "snapshots/list.html", context)


@require_http_methods(["GET", "POST"])
def new_snapshot(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Choose what to freeze, and freeze it."""
    project = project_for(request.user, pk, Act.TRAIN)
    assert isinstance(request.user, User)
    form, status = SnapshotForm(project, request.POST if request.method == "POST" else None), 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                taken = take_snapshot(
                    project,
                    request.user,
                    timezone.now(),
                    name=form.cleaned_data["name"],
                    filters=form.filters(),
                    include_simulated=form.cleaned_data["include_simulated"],
                    shares=form.shares(),
                )
                messages.success(request, f"{taken.name} is being frozen. You can leave this page.")
                return redirect("snapshot", project.pk, taken.pk)
            except Refusal as refusal:
                form.add_error(None, refusal.detail)
                status = refusal.status
    context = {"project": project, "form": form, **_count(project, form)}
    return render(request, "snapshots/new.html", context, status=status)


@require_safe
def snapshot_count(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What the filters of the form would take."""
    project = project_for(request.user, pk, Act.TRAIN)
    return render(
        request, "snapshots/_count.html", {"project": project, **_count(project, SnapshotForm(project, request.GET))}
    )


def _count(project: Project, form: SnapshotForm) -> dict[str, Any]:
    """What the form would take as it stands; an empty one takes all that people said."""
    if form.is_bound and not form.is_valid():
        return {}
    filters, simulated = Filters(), False
    if form.is_bound:
        filters, simulated = form.filters(), form.cleaned_data["include_simulated"]
    found = survey(project, filters, include_simulated=simulated, at=timezone.now())
    return {
        "found": found,
        "problem": problem_of(found, include_simulated=simulated),
        "agreement": filters.least_agreement,
    }


@dataclass(frozen=True)
class Shown:
    """A row as a page shows it."""

    row: Preference
    places: list[tuple[int, SnapshotImage]]
    """Its images with their places, the best first; equal strengths share a place."""


@require_safe
@vary_on_headers("HX-Request")
def snapshot(request: HttpRequest, pk: UUID, snapshot_pk: UUID) -> HttpResponse:
    """Show a snapshot: how far it is, what is in it, a few of its rows, its card."""
    project = project_for(request.user, pk, Act.INSPECT)
    found = snapshot_for(request.user, snapshot_pk, Act.INSPECT)
    if found.project_id != project.pk:
        raise NotFound("snapshot")
    context: dict[str, Any] = {
        "project": project,
        "snapshot": found,
        "may_export": may(project.role, Act.EXPORT),
        "may_train": may(project.role, Act.TRAIN),
    }
    if found.state == found.State.FROZEN:
        context |= _contents(found)
    page = "snapshots/_snapshot.html" if request.htmx else "snapshots/snapshot.html"  # type: ignore[attr-defined]
    return render(request, page, context)


def _contents(found: DatasetSnapshot) -> dict[str, Any]:
    """What its files say; a storage that has lost them is told, not a bug."""
    keys = {file.name: file.key for file in found.stored_files()}
    try:
        rows: list[Preference] = []
        for split in SPLITS:
            with storage().open(keys[f"{split}.parquet"]) as file:
                rows += islice(read_file(file, split), SHOWN - len(rows))
        card = storage().read(keys[CARD]).decode()
    except (StorageError, SnapshotError) as error:
        return {"lost": str(error)}
    return {
        "rows": [Shown(row, _places(row)) for row in rows],
        "card": card.split("---\n", 2)[-1].strip(),
        "asked": in_words(found.wanted()),
    }


def _places(row: Preference) -> list[tuple[int, SnapshotImage]]:
    rounded = [round(strength, 6) for strength in row.strengths]  # a tie is found by iteration, to 1e-10 or so
    ranked = sorted(zip(rounded, row.images, strict=True), key=lambda one: -one[0])
    return [(1 + sum(other > strength for other in rounded), image) for strength, image in ranked]
