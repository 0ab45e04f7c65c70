"""The pages of reviewers: one annotation after the other, or many at once; and fixing one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_http_methods, require_safe

from easel.accounts.models import User
from easel.accounts.profile import profile_of
from easel.accounts.roles import Act
from easel.annotation.models import Comment, Item, Review
from easel.annotation.page import page_of as form_page_of
from easel.annotation.review import services
from easel.annotation.review.access import annotation_for, item_for, review_for
from easel.annotation.review.judging import answering_part, judging_part
from easel.annotation.review.queue import (
    COUNTED,
    FLAGS,
    STATES,
    Asked,
    annotators_of,
    count_of,
    neighbours,
    picked,
    to_review,
    waiting,
)
from easel.annotation.review.telling import gold_of, order_for_adjudicator, tell
from easel.common.errors import InvalidInput, NotFound, Refusal
from easel.common.paging import page_of
from easel.forms.definition import Definition
from easel.forms.models import form_of
from easel.projects.access import project_for
from easel.projects.models import Project

ON_A_PAGE = 24
DONE = {"accepted": "Accepted.", "returned": "Returned: its annotator gets it next."}


@require_http_methods(["GET", "POST"])
@ensure_csrf_cookie
def review(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One annotation after the other: what was said, and what becomes of it."""
    project = project_for(request.user, pk, Act.REVIEW)
    assert isinstance(request.user, User)
    asked = Asked.of(request.GET)
    if request.method == "POST":
        return _act(request, project, request.user, asked)
    if "fixed" in request.GET:
        return _fixed(request, project, request.user, asked)
    rows = to_review(project, request.user, asked)
    before, current, after = neighbours(rows, _uuid(request.GET.get("at", "")))
    context = _context(project, request.user, asked)
    if current is not None:
        (told,) = tell([current])
        context |= {
            "told": told,
            "before": before,
            "after": after,
            "coming": tell([after])[0].now if after else None,
            "gold": gold_of(project, current.annotator),
            "comments": Comment.objects.on(current.item),
            "moved_on": current.item.template_version_id != project.template_version_id,
            "commenting": request.session.pop("review-comment", ""),
        }
    return render(request, "review/queue.html", {**context, "annotation": current})


def _act(request: HttpRequest, project: Project, by: User, asked: Asked) -> HttpResponse:
    """Do what a button says, and go on to the next one with the same filters."""
    said = request.POST
    if said.get("act") == "undo":
        return _undo(request, project, by, asked)
    annotation = annotation_for(by, _uuid(said.get("annotation", ""), "annotation"), Act.REVIEW, project)
    _, _, after = neighbours(to_review(project, by, asked), annotation.pk)
    seen = services.Seen(
        said.get("review_state", ""), int(number) if (number := said.get("revision", "")).isdecimal() else 0
    )
    comment, now = said.get("comment", ""), timezone.now()
    try:
        if said.get("verdict") == Review.Verdict.ACCEPTED:
            made = services.accept(annotation, by, now, comment, seen)
        elif said.get("verdict") == Review.Verdict.RETURNED:
            made = services.return_(annotation, by, now, comment, seen)
        else:
            raise InvalidInput("Choose what to do: accept it, or return it with a comment.")
    except Refusal as refusal:
        messages.error(request, refusal.detail)
        request.session["review-comment"] = comment
        return redirect(_address(project, asked, annotation.pk))
    _remember(request, project, [made])
    return redirect(_address(project, asked, after.pk if after else None))


def _fixed(request: HttpRequest, project: Project, by: User, asked: Asked) -> HttpResponse:
    """Come back from fixing one: it can be taken back like any other verdict."""
    made = review_for(by, _uuid(request.GET["fixed"], "review"), Act.REVIEW)
    _remember(request, project, [made])
    _, _, after = neighbours(to_review(project, by, asked), made.annotation_id)
    return redirect(_address(project, asked, after.pk if after else made.annotation_id))


def _undo(request: HttpRequest, project: Project, by: User, asked: Asked) -> HttpResponse:
    """Take back what the reviewer did last, be it one verdict or many."""
    back = 0
    at: UUID | None = None
    for review_pk in request.session.pop(_key(project), []):
        try:
            made = review_for(by, UUID(review_pk), Act.REVIEW)
            at = made.annotation_id
            services.undo(made, by)
            back += 1
        except Refusal as refusal:
            messages.error(request, refusal.detail)
    if back:
        messages.success(request, "Taken back." if back == 1 else f"{back} verdicts taken back.")
    else:
        messages.warning(request, "There is no verdict of yours to take back.")
    if "list" in request.GET:
        return redirect(f"{reverse('review_list', args=[project.pk])}?{asked.query}")
    return redirect(_address(project, Asked(), at))


@require_http_methods(["GET", "POST"])
def review_list(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Many annotations, to accept or return those that are chosen, or all of a filter."""
    project = project_for(request.user, pk, Act.REVIEW)
    assert isinstance(request.user, User)
    asked = Asked.of(request.GET)
    rows = to_review(project, request.user, asked)
    if request.method == "POST":
        return _act_on_many(request, project, request.user, asked)
    page = page_of(request, rows, ON_A_PAGE, ascending=True)
    context = _context(project, request.user, asked)
    context |= {"rows": tell(page.rows), "after": page.after, "most": services.MOST_AT_ONCE}
    return render(request, "review/_rows.html" if request.htmx else "review/list.html", context)  # type: ignore[attr-defined]


def _act_on_many(request: HttpRequest, project: Project, by: User, asked: Asked) -> HttpResponse:
    said: QueryDict = request.POST
    here = redirect(f"{reverse('review_list', args=[project.pk])}?{asked.query}")
    verdict, comment = said.get("verdict", ""), said.get("comment", "")
    rows = to_review(project, by, asked)
    if said.get("all") != "on":
        chosen = [_uuid(one, "annotation") for one in said.getlist("annotation")]
        rows = picked(rows, chosen)
    found = list(rows[: services.MOST_AT_ONCE])
    if not found:
        messages.warning(request, "Choose one annotation or more.")
    elif verdict not in DONE:
        messages.error(request, "Choose what to do: accept them, or return them with a comment.")
    elif verdict == Review.Verdict.RETURNED and not comment.strip():
        messages.error(request, "Say in the comment what to mend: the annotators read it.")
    else:
        done = services.review_all(found, by, timezone.now(), verdict, comment)
        _remember(request, project, done.reviews)
        if done.reviews:
            messages.success(request, f"{len(done.reviews)} {verdict}.")
        for why in dict.fromkeys(refusal.detail for _, refusal in done.refused):
            messages.warning(request, why)
    return here


@require_safe
@ensure_csrf_cookie
def fix(request: HttpRequest, pk: UUID, annotation_pk: UUID) -> HttpResponse:
    """Answer an item in the annotator's place, in the form that it was made for."""
    project = project_for(request.user, pk, Act.REVIEW)
    assert isinstance(request.user, User)
    annotation = annotation_for(request.user, annotation_pk, Act.REVIEW, project)
    item, asked = annotation.item, Asked.of(request.GET)
    config = {
        "send": {"method": "POST", "path": f"annotations/{annotation.pk}/reviews/"},
        "body": {
            "verdict": Review.Verdict.FIXED,
            "review_state": annotation.review_state,
            "revision": annotation.revision,
        },
        "answers": annotation.answers,
        "back": _address(project, asked, annotation.pk),
        "next": f"{reverse('review', args=[project.pk])}?{asked.query}",
    }
    form = answering_part(form_of(item.template_version_id))
    context = _filling(project, request.user, item, form, annotation.assignment.shown_order, config)
    return render(request, "review/fix.html", {**context, "annotation": annotation})


@require_safe
@ensure_csrf_cookie
def rank_anew(request: HttpRequest, pk: UUID, item_pk: UUID) -> HttpResponse:
    """Decide an item by a ranking of one's own."""
    project = project_for(request.user, pk, Act.REVIEW)
    assert isinstance(request.user, User)
    item = item_for(request.user, item_pk, Act.REVIEW, project)
    form = judging_part(form_of(item.template_version_id))
    if not form.orders:
        raise InvalidInput("The form of this item puts no images in order, so there is nothing to decide.")
    back = reverse("adjudication", args=[project.pk])
    config = {
        "send": {"method": "PUT", "path": f"items/{item.pk}/adjudication/"},
        "body": {},
        "answers": {},
        "back": back,
        "next": back,
    }
    context = _filling(project, request.user, item, form, order_for_adjudicator(item), config)
    return render(request, "review/fix.html", {**context, "deciding": True})


def _filling(
    project: Project, by: User, item: Item, form: Definition, order: list[UUID], config: dict[str, Any]
) -> dict[str, Any]:
    """What the page needs on which a reviewer fills in an item's form."""
    page = form_page_of(form)
    images = item.candidates.in_bulk(order)
    candidates = [
        {"id": str(one), "url": f"/images/{one}/", "width": images[one].width, "height": images[one].height}
        for one in order
        if one in images
    ]
    given = item.prompt.conditioning or (item.request.conditioning if item.request else None)
    prompt = {
        "id": str(item.prompt.pk),
        "text": item.prompt.text,
        "negative": item.prompt.negative,
        "messages": item.prompt.messages,
        "reference": given and {"url": f"/conditioning/{given.pk}/", "width": given.width, "height": given.height},
    }
    return {
        "project": project,
        "page": page,
        "item": item,
        "scripts": [static(f"easel/components/{kind}/field.js") for kind in page.types],
        "moved_on": item.template_version_id != project.template_version_id,
        "back": config["back"],
        "config": {
            "api": "/api/v1/",
            "profile": profile_of(by),
            **config,
            "item": {"id": str(item.pk), "prompt": prompt, "candidates": candidates},
        },
    }


def _context(project: Project, by: User, asked: Asked) -> dict[str, Any]:
    for_me, own = waiting(project, by)
    return {
        "project": project,
        "asked": asked,
        "states": STATES.items(),
        "flags": FLAGS.items(),
        "annotators": annotators_of(project),
        "count": count_of(to_review(project, by, asked)),
        "counted": COUNTED,
        "waiting": for_me,
        "own": own,
    }


def _remember(request: HttpRequest, project: Project, reviews: list[Review]) -> None:
    request.session[_key(project)] = [str(one.pk) for one in reviews]


def _key(project: Project) -> str:
    return f"reviewed-{project.pk}"


def _address(project: Project, asked: Asked, at: UUID | None) -> str:
    where = "&".join(part for part in (asked.query, f"at={at}" if at else "") if part)
    return f"{reverse('review', args=[project.pk])}{'?' + where if where else ''}"


def _uuid(text: str, what: str = "") -> Any:
    try:
        return UUID(text)
    except ValueError:
        if what:
            raise NotFound(what) from None
        return None
