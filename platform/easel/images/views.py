"""Generation requests, the gallery, and the images themselves."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import Refusal
from easel.common.paging import page_of
from easel.images import asking, browsing, services
from easel.images.access import generation_for
from easel.images.forms import GenerateForm
from easel.images.models import GenerationRequest
from easel.images.progress import progress_of_all
from easel.projects.access import may, project_for
from easel.projects.models import Project
from easel.prompts.models import Prompt

REQUESTS = 20
"""Requests on one page."""
CHOICES = 60
"""Prompts that are offered at once to be ticked."""


@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def generations(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List a project's generation requests with their progress, and make one."""
    project = project_for(request.user, pk, Act.INSPECT)
    if request.htmx and request.method == "GET":  # type: ignore[attr-defined]
        return render(request, "images/_requests.html", _requests(request, project))
    assert isinstance(request.user, User)
    form = _form(request, project)
    status = 200
    if request.method == "POST":
        project_for(request.user, pk, Act.GENERATE)
        status = 400
        form.take_picture(request.user, timezone.now())
        if form.is_valid():
            try:
                made = asking.ask(project, form.asked(), request.user, timezone.now())
                messages.success(
                    request, " ".join(["The images are being made. You can leave this page.", *form.notes])
                )
                return redirect(f"{reverse('generations', args=[project.pk])}#request-{made.pk}")
            except Refusal as refusal:
                form.refuse(refusal)
                status = refusal.status
    prompts = Prompt.objects.of_project(project)
    context = _requests(request, project) | {
        "form": form,
        "prompts": Prompt.objects.for_rounds(project).count(),
        "bare": Prompt.objects.for_rounds(project).bare().count(),
        "choices": prompts[:CHOICES],
        "pace": asking.last_pace(project),
        "most_previews": asking.MAX_PREVIEWS,
    }
    return render(request, "images/generations.html", context, status=status)


def _form(request: HttpRequest, project: Project) -> GenerateForm:
    """The form as it was sent, or filled for more images like the one that the address names."""
    like = browsing.chosen_of(project, request.GET.getlist("like")[:1])
    sent = request.method == "POST"
    return GenerateForm(
        project, request.POST if sent else None, request.FILES if sent else None, like=like[0] if like else None
    )


def _requests(request: HttpRequest, project: Project) -> dict[str, Any]:
    """The list of requests: what is under way, and what has come of it."""
    page = page_of(request, GenerationRequest.objects.of_project(project).shown(), REQUESTS)
    requests = progress_of_all(page.rows, timezone.now())
    return {
        "project": project,
        "page": page,
        "requests": requests,
        "newest": browsing.newest_of(page.rows),
        "live": any(one.live for one in requests),
        "at_work": any(one.request.state == "running" for one in requests),
        "may_generate": may(project.role, Act.GENERATE),
    }


@require_safe
def prompt_choices(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List the prompts that contain the words of `?find=`, to be ticked on the form."""
    project = project_for(request.user, pk, Act.GENERATE)
    found = browsing.containing(Prompt.objects.of_project(project), "text", request.GET.get("find", ""))
    return render(request, "images/_choices.html", {"choices": found[:CHOICES], "searched": True})


@require_http_methods(["GET", "POST", "DELETE"])
def previews(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Try the settings of the form: one image of each model, at once. Its progress, and its end before it is done."""
    project = project_for(request.user, pk, Act.GENERATE)
    assert isinstance(request.user, User)
    context: dict[str, Any] = {"project": project}
    if request.method == "POST":
        form = _form(request, project)
        context |= {"form": form, "answers_form": True}
        made: list[GenerationRequest] = []
        form.take_picture(request.user, timezone.now())
        if form.is_valid():
            try:
                made = asking.preview(project, form.asked(preview=True), request.user, timezone.now())
            except Refusal as refusal:
                form.refuse(refusal)
        ids = [str(one.pk) for one in made]
    else:
        ids = request.GET.getlist("request")[: asking.MAX_PREVIEWS]
    found = browsing.previews_of(project, ids)
    if request.method == "DELETE":
        for one in found:
            if one.state in {"queued", "running"}:
                services.cancel(one, timezone.now())
        found = browsing.previews_of(project, ids)
    context |= {
        "previews": browsing.with_images(progress_of_all(found, timezone.now())),
        "waiting": any(one.state in {"queued", "running"} for one in found),
        "query": urlencode([("request", str(one.pk)) for one in found]),
    }
    return render(
        request, "images/_previews.html", context, status=400 if request.method == "POST" and not ids else 200
    )


@require_POST
def retry_generation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give the failed parts of a request new attempts."""
    found = generation_for(request.user, pk, Act.GENERATE)
    retried = services.retry_failed(found, timezone.now())
    messages.success(request, f"{retried} failed {'part is' if retried == 1 else 'parts are'} tried again.")
    return redirect("generations", found.project_id)


@require_POST
def pause_generation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Let a request rest."""
    found = generation_for(request.user, pk, Act.GENERATE)
    services.pause(found, timezone.now())
    messages.success(request, "The request is paused. What was being made begins anew when it is resumed.")
    return redirect("generations", found.project_id)


@require_POST
def resume_generation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Let a paused request go on."""
    found = generation_for(request.user, pk, Act.GENERATE)
    services.resume(found, timezone.now())
    messages.success(request, "The request goes on.")
    return redirect("generations", found.project_id)


@require_POST
def cancel_generation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End a request; what is made stays."""
    found = generation_for(request.user, pk, Act.GENERATE)
    services.cancel(found, timezone.now())
    messages.success(request, "The request is cancelled. Its images that were made stay.")
    return redirect("generations", found.project_id)


@require_safe
@vary_on_headers("HX-Request")
def gallery(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the candidates of a project that the address asks for, newest request first; more load as one scrolls."""
    project = project_for(request.user, pk, Act.INSPECT)
    wanted = browsing.Wanted.of(request.GET)
    candidates = wanted.of_project(project)
    page = browsing.page_of_images(candidates, request.GET.get("after", ""), 60)
    context = {
        "project": project,
        "page": page,
        "wanted": wanted,
        "comparisons": browsing.of_comparisons(page.rows),
        "may_generate": may(project.role, Act.GENERATE),
    }
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "images/_tiles.html", context)
    context |= {
        "found": browsing.count_of(candidates),
        "counted": browsing.COUNTED,
        "everything": wanted.but(model=None).query,
        "models": browsing.by_model(project, wanted),
        "requests": browsing.requests_of(project, wanted.request),
        "problems": dict(wanted.problems),
        "most": browsing.SIDE_BY_SIDE,
    }
    return render(request, "images/gallery.html", context, status=400 if wanted.problems else 200)


@require_safe
def side_by_side(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show up to four images beside each other: those of the address, or all models' of one image's prompt and seed."""
    project = project_for(request.user, pk, Act.INSPECT)
    of = browsing.chosen_of(project, request.GET.getlist("models_of")[:1])
    ids = request.GET.getlist("image")
    candidates = list(browsing.counterparts(of[0])[: browsing.SIDE_BY_SIDE]) if of else browsing.chosen_of(project, ids)
    settings = browsing.settings_of(candidates)
    context = {
        "project": project,
        "candidates": candidates,
        "letters": "ABCD"[: len(candidates)],
        "left_out": 0 if of else len(set(ids)) - len(candidates),
        "settings": sorted(settings, key=lambda setting: not setting.differs),
        "words": browsing.in_words(settings),
        "prompts": len({one.prompt_id for one in candidates}),
        "next": browsing.next_of(of[0]) if of else None,
        "shown": [
            {
                "id": str(one.pk),
                "letter": letter,
                "url": reverse("image", args=[one.pk]),
                "width": one.width,
                "height": one.height,
                "words": one.model.name if one.seed is None else f"{one.model.name} · seed {one.seed}",
            }
            for letter, one in zip("ABCD", candidates, strict=False)
        ],
    }
    return render(request, "images/side_by_side.html", context)
