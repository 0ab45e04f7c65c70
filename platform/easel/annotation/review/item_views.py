"""An item with all that was said of it, and its comments."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.models import Comment, Item
from easel.annotation.review import services
from easel.annotation.review.access import comment_for, item_for
from easel.annotation.review.telling import decision_of, tell
from easel.common.errors import NotFound
from easel.images.models import GenerationRequest
from easel.projects.access import may, project_for


@require_safe
def item(request: HttpRequest, pk: UUID, item_pk: UUID) -> HttpResponse:
    """Show an item: its images, each annotation with its history, what was said and decided."""
    project = project_for(request.user, pk, Act.INSPECT)
    found = item_for(request.user, item_pk, Act.INSPECT, project)
    said = list(found.annotations.select_related("annotator", "assignment", "item__prompt").order_by("id"))
    of_evaluation = found.request is not None and found.request.kind == GenerationRequest.Kind.EVALUATION
    context = {
        "project": project,
        "item": found,
        "images": found.candidates.select_related("model").order_by("pk"),
        "rows": tell(said),
        "decision": decision_of(found),
        "comments": Comment.objects.on(found),
        "may_review": may(project.role, Act.REVIEW),
        "may_decide": may(project.role, Act.REVIEW)
        and found.purpose == Item.Purpose.RANK
        and bool(said)
        and not of_evaluation,
        "of_evaluation": of_evaluation,
        "moved_on": found.template_version_id != project.template_version_id,
    }
    return render(request, "review/item.html", context)


@require_POST
def item_comments(request: HttpRequest, pk: UUID, item_pk: UUID) -> HttpResponse:
    """Say something about an item, or delete a comment of one's own."""
    project = project_for(request.user, pk, Act.INSPECT)
    found = item_for(request.user, item_pk, Act.INSPECT, project)
    assert isinstance(request.user, User)
    if "delete" in request.POST:
        services.unsay(comment_for(request.user, _key(request.POST["delete"]), Act.INSPECT), request.user)
    else:
        services.remark(found, request.user, request.POST.get("text", ""), timezone.now())
    if request.htmx:  # type: ignore[attr-defined]
        return render(
            request, "review/_comments.html", {"project": project, "item": found, "comments": Comment.objects.on(found)}
        )
    return redirect("item", project.pk, found.pk)


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("comment") from None
