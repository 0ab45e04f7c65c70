"""Items whose annotators disagree: a reviewer has the last word."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.review.access import annotation_for, item_for
from easel.annotation.review.adjudication import adjudicate, withdraw
from easel.annotation.review.queue import SHARES, decided, disputed, page_of_disputes, waiting
from easel.annotation.review.telling import decision_of, disputes
from easel.common.errors import NotFound, Refusal
from easel.common.paging import page_of
from easel.projects.access import project_for

ON_A_PAGE = 10


@require_http_methods(["GET", "POST"])
def adjudication(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List items whose annotators disagree, most of all first, and decide them; or those that are decided."""
    project = project_for(request.user, pk, Act.REVIEW)
    assert isinstance(request.user, User)
    if request.method == "POST":
        return _decide(request, project.pk, request.user)
    share = request.GET.get("share", "0.5")
    share = share if share in SHARES else "0.5"
    done = request.GET.get("show") == "decided"
    if done:
        page = page_of(request, decided(project), ON_A_PAGE)
        items, after = page.rows, page.after or ""
    else:
        items, after = page_of_disputes(disputed(project, float(share)), request.GET.get("after", ""), ON_A_PAGE)
    found = disputes(items, request.user)
    for_me, own = waiting(project, request.user)
    context = {
        "project": project,
        "after": after,
        "rows": [(one, decision_of(one.item)) for one in found],
        "done": done,
        "share": share,
        "shares": SHARES.items(),
        "waiting": for_me,
        "own": own,
    }
    return render(request, "review/adjudication.html", context)


def _decide(request: HttpRequest, pk: UUID, by: User) -> HttpResponse:
    said = request.POST
    here = redirect(f"{reverse('adjudication', args=[pk])}?{request.GET.urlencode()}")
    try:
        project = project_for(by, pk, Act.REVIEW)
        item = item_for(by, _key(said.get("item", ""), "item"), Act.REVIEW, project)
        if "withdraw" in said:
            withdraw(item)
            messages.success(request, "Withdrawn: what the annotators said counts again.")
            return here
        chosen = annotation_for(by, _key(said.get("annotation", ""), "annotation"), Act.REVIEW, project)
        adjudicate(item, by, timezone.now(), chosen=chosen, comment=said.get("comment", ""))
        names = chosen.annotator.display_name
        messages.success(
            request, f"Decided: {names}’s answer counts alone. It stands under “Decided”; withdraw it there."
        )
    except NotFound:
        raise
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return here


def _key(text: str, what: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(what) from None
