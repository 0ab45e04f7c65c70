"""Generation requests, the gallery, and the images themselves."""

from __future__ import annotations

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
from easel.images import browsing, services
from easel.images.access import generation_for
from easel.images.forms import GenerateForm
from easel.images.progress import progress_of
from easel.projects.access import may, project_for
from easel.prompts.models import Prompt
from generation.types import RenderSettings


@require_http_methods(["GET", "POST"])
@vary_on_headers("HX-Request")
def generations(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List a project's generation requests with their progress, and make one for all its prompts."""
    project = project_for(request.user, pk, Act.INSPECT)
    assert isinstance(request.user, User)
    # The form that annotators fill in says how many images it shows.
    form = GenerateForm(request.POST or None, initial={"images_per_prompt": project.template_version.form.images or 4})
    status = 200
    if request.method == "POST":
        project_for(request.user, pk, Act.GENERATE)
        status = 400
        if form.is_valid():
            chosen = form.cleaned_data
            try:
                services.request_images(
                    project,
                    chosen["model"],
                    Prompt.objects.chosen(project, None),
                    request.user,
                    timezone.now(),
                    images_per_prompt=chosen["images_per_prompt"],
                    settings_=RenderSettings(steps=chosen["steps"], guidance_scale=chosen["guidance_scale"]),
                )
                messages.success(request, "The images are being made. You can leave this page.")
                return redirect("generations", project.pk)
            except Refusal as refusal:
                form.add_error(None, refusal.detail)
                status = refusal.status
    requests = progress_of(project, timezone.now(), 50)
    context = {
        "project": project,
        "requests": requests,
        "live": any(one.live for one in requests),
        "form": form,
        "prompts": Prompt.objects.of_project(project).count(),
        "may_generate": may(project.role, Act.GENERATE),
    }
    template = "images/_requests.html" if request.htmx else "images/generations.html"  # type: ignore[attr-defined]
    return render(request, template, context, status=status)


@require_POST
def retry_generation(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give the failed parts of a request new attempts."""
    found = generation_for(request.user, pk, Act.GENERATE)
    retried = services.retry_failed(found, timezone.now())
    messages.success(request, f"{retried} failed {'part is' if retried == 1 else 'parts are'} tried again.")
    return redirect("generations", found.project_id)


@require_safe
@vary_on_headers("HX-Request")
def gallery(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the candidates of a project that the address asks for, newest first; more load as one scrolls."""
    project = project_for(request.user, pk, Act.INSPECT)
    wanted = browsing.Wanted.of(request.GET)
    candidates = wanted.of_project(project)
    page = page_of(request, candidates, 60)
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
        "requests": browsing.requests_of(project),
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
