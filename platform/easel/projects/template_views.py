"""The templates of a project: the gallery to begin with, and those that are made here."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import InvalidInput, NotFound
from easel.forms import drafts
from easel.forms.gallery import TemplateFile, preview_of, read_file
from easel.projects import template_list, template_services
from easel.projects.access import may, project_for, templates_of
from easel.projects.forms import NewTemplateForm
from easel.projects.models import Project


@require_safe
def templates(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the gallery and the project's own templates."""
    return _list(request, project_for(request.user, pk, Act.INSPECT), NewTemplateForm())


def _list(request: HttpRequest, project: Project, form: NewTemplateForm, status: int = 200) -> HttpResponse:
    context = {
        "project": project,
        "own": template_list.own_templates(project),
        "gallery": template_list.gallery(project),
        "foreign": template_list.foreign_template(project),
        "form": form,
        "may_build": may(project.role, Act.BUILD),
    }
    return render(request, "forms/list.html", context, status=status)


@require_POST
def new_template(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Make a template: a copy of another, from a file, or empty; and go on in the builder."""
    project = project_for(request.user, pk, Act.BUILD)
    assert isinstance(request.user, User)
    form = NewTemplateForm(request.POST, request.FILES)
    if not form.is_valid():
        return _list(request, project, form, status=400)
    try:
        start = _beginning(request.user, form)
        made = template_services.make_template(
            project, start.name, start.definition, request.user, timezone.now(), description=start.description
        )
    except InvalidInput as refusal:
        form.add_error("file" if form.cleaned_data["file"] else None, refusal.detail)
        return _list(request, project, form, status=400)
    messages.success(request, f"{made.name} is a draft: annotators see it once it is published and used.")
    return redirect("build_template", project.pk, made.pk)


def _beginning(user: User, form: NewTemplateForm) -> TemplateFile:
    """Return what a new template begins with. Raises InvalidInput, NotFound."""
    chosen = form.cleaned_data
    if chosen["file"]:
        return read_file(chosen["file"].name, chosen["file"].read())
    if not chosen["start"]:
        return TemplateFile("Untitled template", "", dict(drafts.EMPTY))
    template = templates_of(user).named(chosen["start"])
    if template is None:
        raise NotFound("template")
    return TemplateFile(f"{template.name[:91]}, changed", template.description, drafts.copy_of(template))


@require_safe
def template_preview(request: HttpRequest, key: str) -> HttpResponseBase:
    """Send the picture of a gallery template."""
    assert isinstance(request.user, User)
    template = templates_of(request.user).named(key)
    found = preview_of(template.key) if template is not None and template.home is None else None
    if found is None:
        raise NotFound("picture")
    path, content_type = found
    return FileResponse(path.open("rb"), content_type=content_type, headers={"Cache-Control": "private, max-age=3600"})
