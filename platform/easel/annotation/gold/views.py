"""Pages of gold and training, for those who manage a project."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.gold import automatic, making, training
from easel.annotation.gold.access import gold_for
from easel.annotation.gold.figures import Rate, answered_most, counts_of, doubtful, rates_of
from easel.annotation.gold.forms import AutomaticForm, GoldForm
from easel.annotation.gold.scoring import expected_order
from easel.annotation.gold.services import TO_PASS, TRAINING_ITEMS
from easel.annotation.models import Annotation, Gold, Item
from easel.annotation.review.access import annotation_for, item_for
from easel.common.errors import Refusal
from easel.common.paging import page_of
from easel.images.models import Candidate
from easel.projects.access import member_for, project_for
from easel.projects.models import Project

PAGE = 30
CHOICES = 24
STATES = {"in-use": "In use", "waiting": "To look at", "retired": "Retired"}


@dataclass(frozen=True)
class Card:
    """Gold as it is shown: its images in the right order."""

    gold: Gold
    groups: list[list[Candidate]]
    anywhere: list[Candidate]
    """Those that the answer says nothing about."""
    rate: Rate
    how: list[str]


def _cards(project: Project, golds: Iterable[Gold]) -> list[Card]:
    found = list(golds)
    rates = rates_of(project, [one.pk for one in found])
    cards = []
    for gold in found:
        images = {str(one.pk): one for one in gold.item.candidates.all()}
        groups = [[images[pk] for pk in group if pk in images] for group in expected_order(gold.answer)]
        placed = {one.pk for group in groups for one in group}
        how = [automatic.KINDS.get(one.how, one.how) for one in gold.pictures.all()]
        anywhere = [one for one in images.values() if one.pk not in placed]
        cards.append(Card(gold, groups, anywhere, rates.get(gold.pk, Rate()), how))
    return cards


@require_safe
@vary_on_headers("HX-Request")
def gold_list(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List a project's gold with its answers, and how it does."""
    project = project_for(request.user, pk, Act.MANAGE)
    state = request.GET.get("state", "")
    counts = counts_of(project)
    if state not in STATES:
        state = "waiting" if counts.waiting and not (counts.in_use or counts.training) else "in-use"
    rows = Gold.objects.of_project(project)
    rows = {"in-use": rows.in_use, "waiting": rows.waiting, "retired": rows.retired}[state]()
    doubted = doubtful(project)
    if only_doubted := state == "in-use" and "doubtful" in request.GET:
        rows = rows.among(doubted)
    page = page_of(request, rows, PAGE)
    context: dict[str, Any] = {
        "project": project,
        "cards": _cards(project, page.rows),
        "after": page.after,
        "state": state,
        "counts": counts,
        "doubted": doubted,
        "only_doubted": only_doubted,
        "round": automatic.newest_round(project),
    }
    if request.htmx and request.GET.get("after"):  # type: ignore[attr-defined]
        return render(request, "gold/_cards.html", context)
    most = answered_most(project)
    context["runs_out"] = bool(counts.in_use) and counts.in_use - most < 10 and most > 0
    context["most"] = most
    return render(request, "gold/list.html", context)


@require_http_methods(["GET", "POST"])
def new_gold(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Order an item's images, or take an annotation's order; without either, choose an item."""
    project = project_for(request.user, pk, Act.MANAGE)
    assert isinstance(request.user, User)
    said = _annotation_of(request, project)
    item = said.item if said else _item_of(request, project)
    if item is None:
        return _choose_item(request, project)
    images = list(item.candidates.order_by("pk"))
    first = {f"place-{pk}": n for n, group in enumerate(said.ranking, 1) for pk in group} if said else {}
    initial = {**first, "all_bad": bool(said and said.all_bad)}
    form = GoldForm([one.pk for one in images], request.POST or None, initial=initial)
    status = 200
    try:
        making.refuse_item(item)
        problem = ""
    except Refusal as refusal:
        problem, status = refusal.detail, 400 if request.method == "POST" else 200
    if request.method == "POST" and not problem:
        status = 400
        if form.is_valid():
            clean = form.cleaned_data
            answer = making.answer_of(form.ranking(), all_bad=True if clean["all_bad"] else None)
            options = {"note": clean["note"], "training": clean["training"]}
            try:
                making.make(item, answer, request.user, timezone.now(), **options)
                messages.success(request, "This is gold now. Annotators get it among their items.")
                return redirect("gold", project.pk)
            except Refusal as refusal:
                form.refuse(refusal)
    context = {
        "project": project,
        "item": item,
        "said": said,
        "form": form,
        "images": list(zip("ABCDEFGHIJKLMNOP", images, form.places, strict=False)),
        "problem": problem,
    }
    return render(request, "gold/new.html", context, status=status)


def _annotation_of(request: HttpRequest, project: Project) -> Annotation | None:
    pk = _uuid(request.GET.get("annotation", ""))
    return annotation_for(request.user, pk, Act.MANAGE, project) if pk else None


def _item_of(request: HttpRequest, project: Project) -> Item | None:
    pk = _uuid(request.GET.get("item", ""))
    return item_for(request.user, pk, Act.MANAGE, project) if pk else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _choose_item(request: HttpRequest, project: Project) -> HttpResponse:
    words = " ".join(request.GET.get("q", "").replace("\0", "").split())[:300]
    page = page_of(request, making.choosable(project, words), CHOICES)
    context = {"project": project, "items": page.rows, "after": page.after, "words": words}
    return render(request, "gold/choose.html", context)


@require_http_methods(["GET", "POST"])
def unanimous(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show items that everybody answered alike; make gold of those that are chosen."""
    project = project_for(request.user, pk, Act.MANAGE)
    assert isinstance(request.user, User)
    if request.method == "POST":
        chosen = [pk_ for text in request.POST.getlist("item")[:500] if (pk_ := _uuid(text))]
        for_training = "training" in request.POST
        made = making.accept(project, chosen, request.user, timezone.now(), training=for_training)
        if made:
            messages.success(request, f"{len(made)} item{'' if len(made) == 1 else 's'} became gold.")
        else:
            messages.warning(request, "Nothing became gold: choose at least one item.")
        return redirect("gold" if made else "gold_unanimous", project.pk)
    proposed, after = making.proposals(project, _uuid(request.GET.get("after", "")), CHOICES)
    rows = []
    for one in proposed:
        images = {str(image.pk): image for image in one.item.candidates.all()}
        groups = [[images[pk] for pk in group] for group in expected_order(one.answer)]
        rows.append((one, groups, list(images.values()) if not groups else []))
    context = {"project": project, "rows": rows, "after": after, "least": making.UNANIMOUS}
    return render(request, "gold/unanimous.html", context)


@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def make_automatically(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Have gold made of spoilt images; show how far it is."""
    project = project_for(request.user, pk, Act.MANAGE)
    assert isinstance(request.user, User)
    form = AutomaticForm(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                automatic.start(project, request.user, timezone.now(), **form.cleaned_data)
                return redirect("gold_automatic", project.pk)
            except Refusal as refusal:
                form.refuse(refusal)
                status = refusal.status
    context = {"project": project, "form": form, "round": automatic.newest_round(project), "counts": counts_of(project)}
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "gold/_round.html", context)
    return render(request, "gold/automatic.html", context, status=status)


@require_POST
def cancel_automatic(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Make no more of the round that is under way."""
    project = project_for(request.user, pk, Act.MANAGE)
    automatic.cancel(project, timezone.now())
    messages.success(request, "No more gold is made. What there is waits for you.")
    return redirect("gold_automatic", project.pk)


@require_POST
def look_at_gold(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Use or discard gold that was made by the dozen."""
    project = project_for(request.user, pk, Act.MANAGE)
    chosen = [pk_ for text in request.POST.getlist("gold")[:500] if (pk_ := _uuid(text))]
    if request.POST.get("act") == "discard":
        count = making.discard(project, chosen)
        messages.success(request, f"{count} gold item{'' if count == 1 else 's'} discarded.")
    else:
        count = making.use(project, chosen)
        messages.success(
            request, f"{count} gold item{'' if count == 1 else 's'} {'is' if count == 1 else 'are'} used now."
        )
    return redirect("gold", project.pk)


@require_POST
def change_gold(request: HttpRequest, pk: UUID, gold_pk: UUID) -> HttpResponse:
    """Retire gold, bring it back, or change what it is for or its note."""
    project = project_for(request.user, pk, Act.MANAGE)
    gold = gold_for(request.user, gold_pk, project)
    act = request.POST.get("act", "")
    if act == "retire":
        making.retire(gold, timezone.now())
        messages.success(request, "Nobody gets this gold any more.")
    elif act == "use":
        making.use(project, [gold.pk])
        messages.success(request, "This gold is used again.")
    elif act in {"train", "measure"}:
        making.change(gold, training=act == "train")
        messages.success(request, f"This gold is for {'training rounds' if act == 'train' else 'measuring'} now.")
    elif act == "note":
        making.change(gold, note=request.POST.get("note", ""))
        messages.success(request, "The note is changed.")
    return redirect("gold", project.pk)


@require_http_methods(["GET", "POST"])
def training_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Switch training on or off; show who is where in theirs."""
    project = project_for(request.user, pk, Act.MANAGE)
    if request.method == "POST":
        training.require(project, required=request.POST.get("training_required") == "on")
        messages.success(request, "Saved.")
        return redirect("gold_training", project.pk)
    context = {
        "project": project,
        "counts": counts_of(project),
        "people": training.trainees(project),
        "items": TRAINING_ITEMS,
        "to_pass": TO_PASS,
    }
    return render(request, "gold/training.html", context)


@require_POST
def member_training(request: HttpRequest, pk: UUID, member_pk: UUID) -> HttpResponse:
    """Let somebody pass, or give them another round."""
    member = member_for(request.user, pk, member_pk)
    name = member.user.display_name
    if request.POST.get("act") == "another_round":
        training.give_round(member)
        messages.success(request, f"{name} gets another round of training.")
    else:
        training.let_pass(member, timezone.now())
        messages.success(request, f"{name} ranks from now on.")
    return redirect("gold_training", pk)
