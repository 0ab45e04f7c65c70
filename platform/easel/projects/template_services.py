"""Templates that are made in a project."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from easel.accounts.models import User
from easel.common.errors import InvalidInput, NotFound
from easel.forms import drafts
from easel.forms.models import Template, TemplateVersion
from easel.forms.reading import InvalidDefinition
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
    gone = missing_models(template.draft.definition)
    if gone and not drafts.problems(template.draft.definition):
        said = " ".join(f"“{one['name']}” {one['message']}." for one in gone)
        raise InvalidDefinition(said, fields={one["place"]: [one["message"]] for one in gone})
    return drafts.publish_draft(template, draft_version, by, at, note=note)


def problems_of_draft(definition: Any) -> list[dict[str, str]]:
    """Return all that is wrong with a draft: with itself, and else with the models that it offers."""
    return drafts.problems(definition) or missing_models(definition)


def missing_models(definition: Any) -> list[dict[str, str]]:
    """Return a problem for each component of a draft that offers models which do not exist or cannot generate."""
    found: list[dict[str, str]] = []
    known: set[UUID] | None = None
    for place, part in _parts(definition.get("components") if isinstance(definition, dict) else None, "components"):
        if part.get("type") != "model_select" or not part.get("models"):
            continue
        known = known if known is not None else {one.pk for one in ModelVersion.objects.renderable()}
        if gone := [one for one in part["models"] if not _is_known(one, known)]:
            message = (
                f"offers the model {gone[0]}, which does not exist any more or cannot generate; take it off the list"
            )
            found.append({"place": f"{place}.models", "name": str(part.get("name", "")), "message": message})
    return found


def _is_known(pk: Any, known: set[UUID]) -> bool:
    try:
        return UUID(str(pk)) in known
    except ValueError:
        return False


def _parts(components: Any, above: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, part in enumerate(components if isinstance(components, list) else []):
        if isinstance(part, dict):
            yield f"{above}.{number}", part
            yield from _parts(part.get("components"), f"{above}.{number}.components")


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
