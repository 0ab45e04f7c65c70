"""Templates that are made in a project."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from easel.accounts.models import User
from easel.common.errors import InvalidInput, NotFound
from easel.forms import drafts
from easel.forms.components.model_select import ModelSelect
from easel.forms.definition import Definition
from easel.forms.models import Template, TemplateVersion
from easel.forms.reading import InvalidDefinition, parse_definition, placed
from easel.projects.models import Project, ProjectTemplate
from easel.registry.models import ModelVersion


@transaction.atomic
def make_template(
    project: Project, name: str, definition: Any, by: User, at: datetime, *, description: str = ""
) -> Template:
    """Make a template of the project's own, with a draft and no version yet."""
    template = drafts.new_template(name, description, definition, by, at)
    ProjectTemplate.objects.create(template=template, project=project, created_by=by, created_at=at)
    return template


def publish(
    template: Template, draft_version: int, by: User, at: datetime, *, note: str = ""
) -> tuple[TemplateVersion, bool]:
    """Publish a template's draft. Raises InvalidDefinition for models that are gone, and what publish_draft raises."""
    gone = missing_models(parse_definition(template.draft.definition))
    if gone:
        said = " ".join(f"“{one['name']}” {one['message']}." for one in gone)
        raise InvalidDefinition(said, fields={one["place"]: [one["message"]] for one in gone})
    return drafts.publish_draft(template, draft_version, by, at, note=note)


def problems_of_draft(definition: Any) -> list[dict[str, str]]:
    """Return all that is wrong with a draft: with itself, and else with the models that it offers."""
    return drafts.problems(definition) or missing_models(parse_definition(definition))


def missing_models(form: Definition) -> list[dict[str, str]]:
    """Return a problem for each component that offers models which do not exist or cannot generate."""
    choosing = [(place, part) for place, part in placed(form.components) if isinstance(part, ModelSelect)]
    if not any(part.models for _, part in choosing):
        return []
    known = {one.pk for one in ModelVersion.objects.renderable_from_words()}
    found = []
    for place, part in choosing:
        if gone := [one for one in part.models if one not in known]:
            message = f"offers the model {gone[0]}, which is gone or cannot generate; take it off the list"
            found.append({"place": f"{place}.models", "name": part.name, "message": message})
    return found


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
