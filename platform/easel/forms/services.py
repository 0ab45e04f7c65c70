"""Writes to templates."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from django.db import transaction

from easel.accounts.models import User
from easel.env import REPOSITORY
from easel.forms.models import Template, TemplateVersion
from easel.forms.reading import parse_definition

GALLERY = REPOSITORY / "templates" / "forms"


@transaction.atomic
def load_gallery(at: datetime, folder: Path = GALLERY) -> list[Template]:
    """Publish the gallery's templates; one whose form.json changed since gets a new version. Idempotent."""
    loaded = []
    for path in sorted(folder.glob("*/form.json")):
        form = json.loads(path.read_text())
        definition = parse_definition(form["definition"])
        template, _ = Template.objects.update_or_create(
            key=path.parent.name, defaults={"name": form["name"], "description": form["description"]}
        )
        publish(template, definition.model_dump(mode="json"), at)
        loaded.append(template)
    return loaded


@transaction.atomic
def publish(
    template: Template, definition: dict[str, object], at: datetime, *, by: User | None = None, note: str = ""
) -> TemplateVersion:
    """Publish a definition as the template's next version, or return the latest one where nothing changed."""
    form = parse_definition(definition)
    Template.objects.select_for_update(no_key=True).get(pk=template.pk)  # two publishers get two numbers
    latest = template.versions.order_by("-number").first()
    if latest is not None and (latest.definition == definition or latest.form == form):
        return latest
    return TemplateVersion.objects.create(
        template=template,
        number=(latest.number if latest else 0) + 1,
        definition=definition,
        published_at=at,
        published_by=by,
        note=note,
    )
