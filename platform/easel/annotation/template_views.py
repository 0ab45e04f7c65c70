"""A template of a project: its versions, what changed, what a change means for collected answers, who uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation import template_uses
from easel.annotation.dry_run import DryRun, dry_run
from easel.common.errors import InvalidInput, NotFound, Refusal
from easel.forms import comparison, drafts
from easel.forms.comparison import Comparison
from easel.forms.gallery import write_file
from easel.forms.models import Template, TemplateVersion
from easel.forms.reading import InvalidDefinition
from easel.projects import template_services
from easel.projects.access import may, project_for, template_for, version_for
from easel.projects.forms import PublishForm, TemplateForm, UseForm
from easel.projects.models import Project
from easel.projects.template_list import Listed, listed


@dataclass(frozen=True)
class Here:
    """A template as a project meets it."""

    project: Project
    template: Template
    listed: Listed
    may_build: bool


def _here(request: HttpRequest, pk: UUID, template_pk: UUID, act: Act) -> Here:
    """Return a template of the gallery, of this project, or one that this project uses. Raises NotFound, Forbidden."""
    project = project_for(request.user, pk, Act.INSPECT)
    template = template_for(request.user, template_pk, act)
    if template.home not in {None, project.pk} and project.template_version.template_id != template.pk:
        raise NotFound("template")
    builds = template.home is not None and may(template.role or "", Act.BUILD)
    return Here(project, template, listed(project, template), builds)


@require_http_methods(["GET", "POST"])
def template(request: HttpRequest, pk: UUID, template_pk: UUID) -> HttpResponse:
    """Show a template: its versions, and what changed between two states. A post changes its name and description."""
    here = _here(request, pk, template_pk, Act.BUILD if request.method == "POST" else Act.INSPECT)
    initial = {"name": here.template.name, "description": here.template.description}
    form = TemplateForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        drafts.change_template(here.template, **form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("template", pk, template_pk)
    versions = list(here.template.versions.select_related("published_by").order_by("-number"))
    context = {
        "project": here.project,
        "here": here,
        "form": form,
        "versions": versions,
        "outline": comparison.outline(here.listed.latest.form) if here.listed.latest else [],
        "comparison": _compared(request, here),
        "use": _use(here.project, _chosen(request, here, versions)),
        "may_manage": may(here.project.role, Act.MANAGE),
    }
    return render(request, "forms/template.html", context, status=400 if form.errors else 200)


def _compared(request: HttpRequest, here: Here) -> Comparison | None:
    """What `?from=` and `?to=` ask for; else what the draft changes, or what the latest version did."""
    asked = request.GET.get("from", ""), request.GET.get("to", "")
    latest = here.listed.latest
    if any(asked):
        return comparison.compare(here.template, *asked)
    if latest is None:
        return None
    try:
        if here.listed.changed:
            return comparison.compare(here.template)
        return comparison.compare(here.template, "", str(latest.number)) if latest.number > 1 else None
    except InvalidDefinition:
        return None


@dataclass(frozen=True)
class Use:
    """What it means for a project to use a version."""

    version: TemplateVersion
    uses_it: bool
    moving: int
    staying: int


def _chosen(request: HttpRequest, here: Here, versions: list[TemplateVersion]) -> TemplateVersion | None:
    """The version that `?use=` asks for; else the newest."""
    asked = request.GET.get("use", "")
    return next((version for version in versions if str(version.number) == asked), here.listed.latest)


def _use(project: Project, version: TemplateVersion | None) -> Use | None:
    if version is None:
        return None
    moving, staying = template_uses.waiting_items(project, version)
    return Use(version, project.template_version_id == version.pk, moving, staying)


@require_http_methods(["GET", "POST"])
def publish_template(request: HttpRequest, pk: UUID, template_pk: UUID) -> HttpResponse:
    """Show what the draft changes and what it would no longer accept; then publish it."""
    here = _here(request, pk, template_pk, Act.BUILD)
    assert isinstance(request.user, User)
    draft = here.template.draft
    form = PublishForm(request.POST or None, initial={"draft_version": draft.version})
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                version, _ = template_services.publish(
                    here.template,
                    form.cleaned_data["draft_version"],
                    request.user,
                    timezone.now(),
                    note=form.cleaned_data["note"],
                )
            except Refusal as refusal:
                form.add_error(None, f"{refusal.detail} Look at it below before you publish it.")
                form.data = {**form.data.dict(), "draft_version": draft.version}  # type: ignore[attr-defined]
                status = refusal.status
            else:
                messages.success(
                    request,
                    f"Version {version.number} is published. Projects keep the version that they use until somebody "
                    "moves them.",
                )
                return redirect("template", pk, template_pk)
    context = {"project": here.project, "here": here, "form": form, **_preview(here, request.user)}
    return render(request, "forms/publish.html", context, status=status)


def _preview(here: Here, user: User) -> dict[str, Any]:
    """What publishing the draft would change, or why it cannot be published."""
    problems = template_services.problems_of_draft(here.template.draft.definition)
    if problems:
        return {"problems": problems}
    compared = comparison.compare(here.template)
    form = comparison.form_at(here.template, comparison.DRAFT)
    assert form is not None
    number = (here.listed.latest.number if here.listed.latest else 0) + 1
    tried: DryRun = dry_run(here.template, form, user)
    return {"comparison": compared, "tried": tried, "number": number}


@require_safe
def export_template(request: HttpRequest, pk: UUID, template_pk: UUID) -> HttpResponse:
    """Send a template as a JSON file: a version, or the draft."""
    here = _here(request, pk, template_pk, Act.INSPECT)
    asked = request.GET.get("version", "")
    if asked and not (asked.isascii() and asked.isdigit()):
        raise InvalidInput("version must be a number.")
    if asked or here.listed.draft is None:
        latest = here.listed.latest.number if here.listed.latest else 0
        version = here.template.version_numbered(int(asked[:10] or latest))
        name, definition = f"{here.template.key}-{version.number}.json", version.definition
    else:
        name, definition = f"{here.template.key}-draft.json", here.listed.draft.definition
    file = write_file(here.template, definition)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(file, content_type="application/json", headers=headers)


@require_POST
def delete_template(request: HttpRequest, pk: UUID, template_pk: UUID) -> HttpResponse:
    """Delete a template that nobody uses."""
    here = _here(request, pk, template_pk, Act.BUILD)
    assert isinstance(request.user, User)
    try:
        template_uses.delete_template(here.template, request.user)
    except template_uses.TemplateInUse as refusal:
        messages.error(request, refusal.detail)
        return redirect("template", pk, template_pk)
    messages.success(request, f"{here.template.name} is deleted.")
    return redirect("templates", pk)


@require_POST
def use_template(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Have the project use a version."""
    project = project_for(request.user, pk, Act.MANAGE)
    form = UseForm(request.POST)
    if not form.is_valid():
        raise InvalidInput("Choose a version of a template.")
    version = version_for(request.user, form.cleaned_data["version"])
    moved = template_uses.use_template(project, version)
    kept = f" {moved.items_kept} keep the version that they have." if moved.items_kept else ""
    messages.success(
        request,
        f"{project.name} uses {version.template.name}, version {version.number}. "
        f"{moved.items_moved} item{'' if moved.items_moved == 1 else 's'} moved with it.{kept}",
    )
    return redirect("template", pk, version.template_id)
