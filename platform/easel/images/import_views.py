"""The pages that take images from elsewhere: files, a preview, a yes."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import NotFound, Refusal
from easel.common.media import send
from easel.images import imports
from easel.images.access import image_import_for
from easel.images.import_forms import ImportForm, uploads_of
from easel.images.imports import MAX_FILES
from easel.projects.access import project_for


@require_http_methods(["GET", "POST"])
def new_image_import(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Take image files and go to the preview; nothing is imported yet."""
    project = project_for(request.user, pk, Act.MANAGE)
    assert isinstance(request.user, User)
    form = ImportForm(request.POST) if request.method == "POST" else ImportForm()
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                found = imports.read_files(project, uploads_of(request.FILES.getlist("images"), form.said()))
                preview = imports.keep_preview(project, found, request.user, timezone.now())
                return redirect("image_import", project.pk, preview.pk)
            except Refusal as refusal:
                form.add_error("images", refusal.detail)
                status = refusal.status
    context = {"project": project, "form": form, "most": MAX_FILES}
    return render(request, "images/import.html", context, status=status)


@require_http_methods(["GET", "POST"])
def image_import(request: HttpRequest, pk: UUID, import_pk: UUID) -> HttpResponse:
    """Show what was read from the files, and import it."""
    project = project_for(request.user, pk, Act.MANAGE)
    preview = image_import_for(project, import_pk)
    if request.method == "POST":
        done = imports.confirm(project, preview.pk, timezone.now())
        count = len(done.candidates)
        messages.success(request, f"{count:,} {'image is' if count == 1 else 'images are'} imported.")
        for one in done.rejected:
            messages.warning(request, f"{one.file} {one.reason}")
        return redirect("gallery", project.pk)
    context = {
        "project": project,
        "preview": preview,
        "prompts": len({(one["prompt"], one["negative"]) for one in preview.accepted}),
        "models": sorted({one["model"] for one in preview.accepted}),
    }
    return render(request, "images/import_preview.html", context)


@require_safe
def imported_picture(request: HttpRequest, pk: UUID, import_pk: UUID, number: int) -> HttpResponseBase:
    """Send one picture of a preview."""
    preview = image_import_for(project_for(request.user, pk, Act.MANAGE), import_pk)
    if number >= len(preview.accepted):
        raise NotFound("picture")
    return send(preview.accepted[number]["preview_key"], "image/webp", "image.webp")
