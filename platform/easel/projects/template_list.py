"""What a project's list of templates shows."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Prefetch

from easel.forms.drafts import has_changed
from easel.forms.gallery import preview_of
from easel.forms.models import Template, TemplateDraft, TemplateQuerySet, TemplateVersion
from easel.projects.models import Project


@dataclass(frozen=True)
class Listed:
    """A template as the list shows it."""

    template: Template
    latest: TemplateVersion | None
    draft: TemplateDraft | None
    """None for the gallery's."""
    changed: bool
    """Whether the draft says something else than the latest version."""
    used: int | None
    """The number of the version that the project uses, where it is one of this template's."""
    has_preview: bool = False


def listed(project: Project, template: Template) -> Listed:
    """Return a template as a project's pages show it."""
    versions = sorted(template.versions.all(), key=lambda version: version.number)
    latest = versions[-1] if versions else None
    draft = getattr(template, "draft", None)
    used = project.template_version
    return Listed(
        template=template,
        latest=latest,
        draft=draft,
        changed=draft is not None and has_changed(draft, latest),
        used=used.number if used.template_id == template.pk else None,
        has_preview=draft is None and preview_of(template.key) is not None,
    )


def gallery(project: Project) -> list[Listed]:
    """Return the templates that come with Easel."""
    return [listed(project, template) for template in _whole().filter(belonging__isnull=True).order_by("name")]


def own_templates(project: Project) -> list[Listed]:
    """Return the templates that were made in a project, the last one that somebody worked on first."""
    rows = _whole().filter(belonging__project=project).order_by("-draft__updated_at")
    return [listed(project, template) for template in rows]


def foreign_template(project: Project) -> Template | None:
    """Return the template that a project uses and that was made in another one."""
    used = project.template_version.template
    home = getattr(used, "belonging", None)
    return used if home is not None and home.project_id != project.pk else None


def _whole() -> TemplateQuerySet:
    versions = Prefetch("versions", TemplateVersion.objects.order_by("number"))
    return Template.objects.select_related("draft__updated_by").prefetch_related(versions)
