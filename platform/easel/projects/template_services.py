"""Templates that are made in a project."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from easel.accounts.models import User
from easel.common.errors import InvalidInput, NotFound
from easel.forms import drafts
from easel.forms.models import Template, TemplateVersion
from easel.projects.models import Project, ProjectTemplate


@transaction.atomic
def make_template(
    project: Project, name: str, definition: Any, by: User, at: datetime, *, description: str = ""
) -> Template:
    """Make a template of the project's own, with a draft and no version yet."""
    template = drafts.new_template(name, description, definition, by, at)
    ProjectTemplate.objects.create(template=template, project=project, created_by=by, created_at=at)
    return template


def hold(version: TemplateVersion) -> None:
    """Keep a version for the rest of the transaction: nobody deletes its template meanwhile. Raises NotFound."""
    Template.objects.select_for_update(no_key=True).filter(pk=version.template_id).first()
    if not TemplateVersion.objects.filter(pk=version.pk).exists():
        raise NotFound("template version")


def version_to_use(template: Template) -> TemplateVersion:
    """Return the newest version of a template. Raises InvalidInput where nothing of it is published."""
    found = template.versions.order_by("-number").first()
    if found is None:
        raise InvalidInput(f"{template.name} has no published version yet. Publish its draft first.")
    return found
