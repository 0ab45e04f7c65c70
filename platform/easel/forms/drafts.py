"""Templates that people make: the draft that the builder saves, and the versions that are published from it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.text import slugify

from easel.accounts.models import User
from easel.common.documents import fault_of
from easel.common.errors import Conflict, InvalidInput, NotFound
from easel.forms.definition import SCHEMA_VERSION
from easel.forms.models import Template, TemplateDraft, TemplateVersion
from easel.forms.reading import MAX_BYTES, InvalidDefinition, parse_definition, problems_of
from easel.forms.services import publish

EMPTY: Mapping[str, Any] = {"schema_version": SCHEMA_VERSION, "components": []}


class NewerTemplate(InvalidInput):
    """A definition of a later Easel: reading it with this one's rules could lose what it says."""

    code = "newer_template"


class StaleTemplateDraft(Conflict):
    """A newer draft of the template is stored, from another tab or person."""

    code = "stale_draft"


def readable(definition: Any) -> dict[str, Any]:
    """Return a definition that can be kept as a draft, however wrong it still is.

    Raises InvalidInput where it is no object, too long or too deep; NewerTemplate for one of a later Easel.
    """
    if not isinstance(definition, dict):
        no_object = 'is no template; it must be an object as {"schema_version": 1, "components": [...]}'
        raise InvalidInput(f"The definition {no_object}.", fields={"definition": [no_object]})
    if fault := fault_of(definition, MAX_BYTES):
        raise InvalidInput(f"The definition {fault}.", fields={"definition": [fault]})
    schema = definition.get("schema_version", SCHEMA_VERSION)
    if isinstance(schema, int) and schema > SCHEMA_VERSION:
        raise NewerTemplate(
            f"This template was made by a newer Easel (schema {schema}); this one reads schema {SCHEMA_VERSION}. "
            f"Update Easel, or export it there as schema {SCHEMA_VERSION}.",
            fields={"definition": [f"has schema {schema}; this Easel reads schema {SCHEMA_VERSION}"]},
        )
    return definition


@transaction.atomic
def new_template(name: str, description: str, definition: Any, by: User, at: datetime) -> Template:
    """Make a template with a draft and no version yet."""
    kept = readable(definition)
    template = Template.objects.create(key=_key_for(name), name=name, description=description)
    TemplateDraft.objects.create(template=template, definition=kept, updated_at=at, updated_by=by)
    return template


def _key_for(name: str) -> str:
    """Return a key that no other template has: scripts may name it, so it says what it is."""
    return f"{slugify(name)[:48].strip('-') or 'template'}-{secrets.token_hex(4)}"


def copy_of(template: Template) -> dict[str, Any]:
    """Return what a copy of a template begins with: its newest version, or the draft where there is none yet."""
    latest = template.versions.order_by("-number").first()
    definition: dict[str, Any] = latest.definition if latest is not None else template.draft.definition
    return definition


def change_template(template: Template, *, name: str, description: str) -> None:
    """Change a template's name and description; its key stays."""
    Template.objects.filter(pk=template.pk).update(name=name, description=description)


def save_draft(template: Template, definition: Any, version: int, by: User, at: datetime) -> TemplateDraft:
    """Keep a definition as the draft that was begun from `version`, and return it. The same save again is once.

    Raises StaleTemplateDraft, with the newer draft, when another tab or person has saved since.
    """
    kept = readable(definition)
    mine = TemplateDraft.objects.filter(template=template)
    if not mine.filter(version=version).update(definition=kept, version=version + 1, updated_at=at, updated_by=by):
        now = mine.select_related("updated_by").get()
        if now.version == version + 1 and now.updated_by_id == by.pk and now.definition == kept:
            return now  # the answer to the first of two was lost on its way
        raise _stale(now)
    return mine.get()


def _stale(draft: TemplateDraft) -> StaleTemplateDraft:
    who = draft.updated_by.display_name if draft.updated_by else "somebody"
    return StaleTemplateDraft(
        f"A newer draft of this template was saved by {who}, in another tab or on another device.",
        extra={
            "draft": {
                "definition": draft.definition,
                "version": draft.version,
                "updated_by": who,
                "updated_at": draft.updated_at.isoformat(),
            }
        },
    )


@transaction.atomic
def publish_draft(
    template: Template, draft_version: int, by: User, at: datetime, *, note: str = ""
) -> tuple[TemplateVersion, bool]:
    """Publish the draft as the template's next version; return it and whether it is new.

    A draft that says the same as the latest version makes none. Raises InvalidDefinition where the draft is wrong,
    StaleTemplateDraft where it is another one than the caller looked at.
    """
    # The template first, as whoever deletes it does: two who lock in another order wait for each other for ever.
    if not Template.objects.select_for_update(no_key=True).filter(pk=template.pk).exists():
        raise NotFound("template")
    draft = TemplateDraft.objects.select_for_update(of=("self",)).select_related("updated_by").get(template=template)
    if draft.version != draft_version:
        raise _stale(draft)
    form = parse_definition(draft.definition)
    latest = template.versions.order_by("-number").first()
    version = publish(template, form.model_dump(mode="json"), at, by=by, note=note)
    return version, latest is None or version.pk != latest.pk


def has_changed(draft: TemplateDraft, latest: TemplateVersion | None) -> bool:
    """Tell whether a draft says something else than the latest version."""
    if latest is None or draft.definition == latest.definition:
        return latest is None
    try:
        return parse_definition(draft.definition) != latest.form
    except InvalidDefinition:
        return True


def problems(definition: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what is wrong with a draft, for whoever edits it: place, name, message."""
    return [
        {"place": problem.place, "name": problem.name, "message": problem.message}
        for problem in problems_of(definition)
    ]
