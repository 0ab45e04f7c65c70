"""Templates that are made in a project."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from easel.accounts.models import User
from easel.common.errors import InvalidInput
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


def version_to_use(template: Template) -> TemplateVersion:
    """Return the newest version of a template. Raises InvalidInput where nothing of it is published."""
    found = template.versions.order_by("-number").first()
    if found is None:
        raise InvalidInput(f"{template.name} has no published version yet. Publish its draft first.")
    return found
