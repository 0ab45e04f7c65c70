"""The prompt list and the import with its preview."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import Refusal
from easel.common.paging import page_of
from easel.common.pictures import MAX_BYTES
from easel.projects.access import may, project_for
from easel.projects.models import Project
from easel.prompts import services
from easel.prompts.access import import_for
from easel.prompts.conditioning import File, add_picture
from easel.prompts.forms import PasteForm, PictureForm, UploadForm
from easel.prompts.models import ConditioningImage, Prompt
from easel.prompts.parsing import check_rows, lines_of

PREVIEW_ROWS = 20


@require_safe
@vary_on_headers("HX-Request")
def prompt_list(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List a project's prompts."""
    project = project_for(request.user, pk, Act.INSPECT)
    prompts = Prompt.objects.of_project(project)
    context = {
        "project": project,
        "page": page_of(request, prompts, 100, ascending=True),
        "total": prompts.count(),
        "held_out": Prompt.objects.held_out(project).count(),
        "may_manage": may(project.role, Act.MANAGE),
        "may_generate": may(project.role, Act.GENERATE),
    }
    return render(request, "prompts/_rows.html" if request.htmx else "prompts/list.html", context)  # type: ignore[attr-defined]


@require_http_methods(["GET", "POST"])
def new_import(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Take a file or pasted prompts and go to the preview; nothing is imported yet."""
    project = project_for(request.user, pk, Act.MANAGE)
    assert isinstance(request.user, User)
    pasted = request.method == "POST" and "text" in request.POST
    upload_form = UploadForm(None if pasted else request.POST or None, None if pasted else request.FILES or None)
    if request.method == "POST" and not pasted and not request.FILES:
        upload_form = UploadForm(request.POST, request.FILES)
    paste_form = PasteForm(request.POST if pasted else None)
    form = paste_form if pasted else upload_form
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            name, content = "pasted.txt", form.cleaned_data.get("text", "").encode()
            if not pasted:
                file = form.cleaned_data["file"]
                name, content = file.name, file.read(settings.MAX_PROMPT_UPLOAD_BYTES + 1)
            try:
                preview = services.preview_import(project, name, content, request.user, timezone.now())
                return redirect("prompt_import", project.pk, preview.pk)
            except Refusal as refusal:
                form.add_error(None, refusal.detail)
                status = refusal.status
    context = {"project": project, "upload_form": upload_form, "paste_form": paste_form}
    return render(request, "prompts/import.html", context, status=status)


@require_http_methods(["GET", "POST"])
def prompt_import(request: HttpRequest, pk: UUID, import_pk: UUID) -> HttpResponse:
    """Show what an import would do, and do it."""
    project = project_for(request.user, pk, Act.MANAGE)
    preview = import_for(project, import_pk)
    if request.method == "POST":
        created, _ = services.confirm_import(project, preview.pk, timezone.now())
        messages.success(request, f"{len(created):,} {'prompt is' if len(created) == 1 else 'prompts are'} imported.")
        return redirect("prompts", project.pk)
    context = {
        "project": project,
        "preview": preview,
        "shown": preview.accepted[:PREVIEW_ROWS],
        "more": max(0, len(preview.accepted) - PREVIEW_ROWS),
        "rejected": preview.rejected[:200],
        "more_rejected": max(0, len(preview.rejected) - 200),
    }
    return render(request, "prompts/preview.html", context)


@require_http_methods(["GET", "POST"])
def pictures(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the pictures that images start from, and take one more, with prompts for it."""
    project = project_for(request.user, pk, Act.INSPECT)
    assert isinstance(request.user, User)
    may_manage = may(project.role, Act.MANAGE)
    form = PictureForm(request.POST, request.FILES) if request.method == "POST" else PictureForm()
    if not may_manage:
        del form.fields["prompts"]
    status = 200
    if request.method == "POST":
        project_for(request.user, pk, Act.GENERATE)
        status = 400
        if form.is_valid():
            try:
                _add_picture(request, project, form)
                return redirect("pictures", project.pk)
            except Refusal as refusal:
                form.add_error(None, refusal.detail)
                status = refusal.status
    context = {
        "project": project,
        "form": form,
        "page": page_of(request, ConditioningImage.objects.of_project(project), 60),
        "may_generate": may(project.role, Act.GENERATE),
    }
    return render(request, "prompts/pictures.html", context, status=status)


def _add_picture(request: HttpRequest, project: Project, form: PictureForm) -> None:
    assert isinstance(request.user, User)
    given, at = form.cleaned_data, timezone.now()
    image, mask = (
        File(file.name, file.read(MAX_BYTES + 1)) if file else None for file in (given["image"], given["mask"])
    )
    assert image is not None
    added = add_picture(project, given["kind"], image, request.user, at, mask=mask, margins=form.margins)
    for note in added.notes:
        messages.info(request, note)
    if given.get("prompts"):
        rows = [replace(row, conditioning=str(added.picture.pk)) for row in lines_of(given["prompts"])]
        created, rejected = services.add_prompts(project, check_rows("prompts", rows), at)
        for one in rejected:
            messages.warning(request, f"Line {one.row} {one.reason}.")
        messages.success(request, f"The picture is stored, with {len(created)} prompts.")
    else:
        messages.success(request, "The picture is stored.")
