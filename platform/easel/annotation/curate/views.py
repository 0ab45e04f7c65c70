"""The page of Curate: find items, choose some, do something with all of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.curate import acts, choices, subsets, table
from easel.annotation.curate.access import CHANGE, KEEP, bulk_act_for, item_for, query_for, subset_for
from easel.annotation.curate.api import may_do
from easel.annotation.curate.cards import cards_of
from easel.annotation.curate.choosing import Chosen, chosen_of
from easel.annotation.curate.detail import detail_of
from easel.annotation.curate.filters import Filters, items_of, read_filters
from easel.annotation.curate.paging import COUNTED, count_of, page_of_items
from easel.annotation.curate.seeing import refuse_gold
from easel.annotation.models import BulkAct, Item
from easel.common.errors import Refusal
from easel.common.tables import csv_response
from easel.projects.access import may, project_for
from easel.projects.models import Project

PAGE = 60
ALWAYS = {"words", "state", "category", "subset", "order"}
"""Filters that are always in view; the others fold away while none of them is set."""
RECENT = 5
KINDS = [
    ("Queue", [BulkAct.Kind.REQUEUE, BulkAct.Kind.AFRESH, BulkAct.Kind.PRIORITY, BulkAct.Kind.ASSIGN]),
    ("Show", [BulkAct.Kind.ASIDE, BulkAct.Kind.BACK, BulkAct.Kind.FLAG, BulkAct.Kind.UNFLAG]),
    ("Subsets", [BulkAct.Kind.ADD, BulkAct.Kind.REMOVE]),
]


@require_safe
@vary_on_headers("HX-Request")
def curate(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the items that the address asks for; more load as one scrolls."""
    project = project_for(request.user, pk, Act.INSPECT)
    filters, problems = _asked(project, request.GET)
    rows: QuerySet[Item] = Item.objects.none()
    if not problems:
        try:
            rows = items_of(project, filters)
        except Refusal as refusal:
            problems = refusal.fields or {"": [refusal.detail]}
    page = page_of_items(rows.select_related("prompt"), filters, request.GET.get("after", ""), PAGE)
    context: dict[str, Any] = {
        "project": project,
        "filters": filters,
        "page": page,
        "cards": cards_of(page.rows),
        "may_keep": may(project.role, KEEP),
        "may_change": may(project.role, CHANGE),
    }
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "curate/_cards.html", context)
    context |= {
        "problems": [line for lines in problems.values() for line in lines],
        "wrong": problems,
        "found": count_of(rows),
        "counted": COUNTED,
        "chips": choices.chips_of(project, filters),
        "queries": [(one, subsets.address_of(one)) for one in subsets.queries_of(project)],
        "more_open": bool(set(filters.given) - ALWAYS),
        "kinds": _kinds(project),
        "rankers": choices.rankers_of(project) if may(project.role, CHANGE) else [],
        "recent": list(BulkAct.objects.of_project(project)[:RECENT]),
        "most_days": acts.MAX_DAYS,
        "most_priority": acts.MAX_PRIORITY,
        **choices.lists_of(project),
    }
    return render(request, "curate/curate.html", context, status=400 if problems else 200)


def _asked(project: Project, query: QueryDict) -> tuple[Filters, dict[str, list[str]]]:
    """The filters of an address, and what is wrong with it: then there are none."""
    try:
        filters = read_filters(query)
    except Refusal as refusal:
        return Filters(), refusal.fields
    refuse_gold(project, filters)
    return filters, {}


def _kinds(project: Project) -> list[tuple[str, list[tuple[str, str]]]]:
    found = []
    for group, kinds in KINDS:
        allowed = [(str(kind.value), str(kind.label)) for kind in kinds if may(project.role, may_do(kind))]
        if allowed:
            found.append((group, allowed))
    return found


@require_safe
def curated_item(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one item with everything that was said of it."""
    item = item_for(request.user, pk, Act.INSPECT)
    item.project.role = item.role  # type: ignore[attr-defined]  # annotated by the access door
    refuse_gold(item.project, Filters(purpose=item.purpose))
    context = {"project": item.project, "may_change": may(item.project.role, CHANGE), **detail_of(item)}
    template = "curate/_item.html" if request.htmx else "curate/item.html"  # type: ignore[attr-defined]
    return render(request, template, context)


@require_safe
def curated_table(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Send the list as a CSV file."""
    project = project_for(request.user, pk, KEEP)
    filters = read_filters(request.GET)
    refuse_gold(project, filters)
    items_of(project, filters)  # a refusal comes before the first byte
    return csv_response("items", table.COLUMNS, table.rows_of(project, filters))


@require_POST
def bulk_acts(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Say what an act would do with the chosen items; with `sure`, do it."""
    project = project_for(request.user, pk, KEEP)
    kind = request.POST.get("act", "")
    if kind not in BulkAct.Kind.values:
        messages.error(request, "Choose what to do with the items.")
        return redirect(_back(project, request.POST.get("back", "")))
    project = project_for(request.user, pk, may_do(kind))
    assert isinstance(request.user, User)
    back = request.POST.get("back", "")
    try:
        chosen = _chosen(request.POST)
        value = acts.value_of(project, kind, request.POST)
        if "sure" in request.POST:
            act = acts.start(project, kind, chosen, value, request.user, timezone.now())
            _told(request, act)
            return redirect(_back(project, back))
        found = acts.estimate(project, kind, chosen, value, request.user, timezone.now())
    except Refusal as refusal:
        context = {"project": project, "refusal": refusal, "back": _back(project, back)}
        return _answered(request, "curate/_refused.html", context)
    context = {
        "project": project,
        "kind": kind,
        "label": BulkAct.Kind(kind).label,
        "estimate": found,
        "counted": COUNTED,
        "fields": [(name, one) for name, values in request.POST.lists() for one in values if name not in _OWN],
        "back": _back(project, back),
        "value": _in_words(project, kind, value),
    }
    return _answered(request, "curate/_confirm.html", context)


_OWN = {"csrfmiddlewaretoken", "sure"}


def _answered(request: HttpRequest, partial: str, context: dict[str, Any]) -> HttpResponse:
    """Answer in the page's dialog, or as a page where there are no scripts."""
    status = context["refusal"].status if "refusal" in context else 200
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, partial, context)
    return render(request, "curate/asked.html", {**context, "partial": partial}, status=status)


def _chosen(sent: QueryDict) -> Chosen:
    if sent.get("which") == "query":
        return Chosen(filters=read_filters(QueryDict(sent.get("query", ""))))
    return chosen_of(sent.getlist("item"), None)


def _back(project: Project, query: str) -> str:
    """The page of Curate with the filters that it had."""
    address = reverse("curate", args=[project.pk])
    asked = QueryDict(query)
    return f"{address}?{asked.urlencode()}" if asked else address


def _in_words(project: Project, kind: str, value: dict[str, Any]) -> str:
    if kind == BulkAct.Kind.PRIORITY:
        return str(value["priority"])
    if kind in {BulkAct.Kind.ADD, BulkAct.Kind.REMOVE}:
        return subsets.subset_of(project, value["subset"]).name
    if kind == BulkAct.Kind.ASSIGN:
        person = next(one for one in choices.rankers_of(project) if str(one.pk) == value["annotator"])
        return f"{person.display_name}, for {value['days']} day{'' if value['days'] == 1 else 's'}"
    return ""


def _told(request: HttpRequest, act: BulkAct) -> None:
    if act.state == BulkAct.State.DONE:
        items = f"{act.changed:,} item{'' if act.changed == 1 else 's'}"
        messages.success(request, f"{act.get_kind_display()}: {items} changed. It stands below, to be taken back.")
    else:
        messages.success(request, f"{act.get_kind_display()}: {act.total:,} items are on their way. You can leave.")


@require_safe
def bulk_act(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show how far an act is."""
    act = bulk_act_for(request.user, pk, Act.INSPECT)
    role = act.role  # type: ignore[attr-defined]  # annotated by the access door
    context = {"act": act, "may_keep": may(role, KEEP), "may_change": may(role, CHANGE)}
    return render(request, "curate/_act.html", context)


@require_POST
def undo_bulk_act(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Take an act back."""
    act = bulk_act_for(request.user, pk, KEEP)
    act = bulk_act_for(request.user, pk, may_do(act.kind))
    before = act.changed
    act = acts.undo(act)
    back = _back(act.project, request.POST.get("back", ""))
    if act.state == BulkAct.State.UNDONE:
        kept = f"; {act.changed:,} changed since and stay" if act.changed else ""
        messages.success(request, f"{act.get_kind_display()} was taken back for {before - act.changed:,} items{kept}.")
    else:
        messages.success(request, f"{act.get_kind_display()} is being taken back. You can leave.")
    return redirect(back)


@require_POST
def save_query(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Keep the filters of the address by a name."""
    project = project_for(request.user, pk, KEEP)
    assert isinstance(request.user, User)
    query = request.POST.get("query", "")
    filters = read_filters(QueryDict(query))
    overwrite = "overwrite" in request.POST
    try:
        made = subsets.save_query(
            project, request.POST.get("name", ""), filters, request.user, timezone.now(), overwrite=overwrite
        )
        messages.success(request, f"The query {made.name!r} is kept for everybody of this project.")
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect(_back(project, query))


@require_POST
def delete_query(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Forget a saved query."""
    query = query_for(request.user, pk, KEEP)
    subsets.delete_query(query)
    messages.success(request, f"The query {query.name!r} is deleted.")
    return redirect("curate", query.project_id)


@require_POST
def make_subset(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Make an empty subset."""
    project = project_for(request.user, pk, KEEP)
    assert isinstance(request.user, User)
    try:
        made = subsets.make_subset(project, request.POST.get("name", ""), request.user, timezone.now())
        messages.success(request, f"The subset {made.name!r} is made. Choose items and add them to it.")
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect(_back(project, request.POST.get("back", "")))


@require_POST
def delete_subset(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Delete a subset; its items stay."""
    subset = subset_for(request.user, pk, KEEP)
    subsets.delete_subset(subset)
    messages.success(request, f"The subset {subset.name!r} is deleted. Its items stay.")
    return redirect("curate", subset.project_id)
