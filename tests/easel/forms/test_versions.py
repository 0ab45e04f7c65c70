"""A published version never changes: a new definition is a new version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.db import ProgrammingError, connection, transaction
from django.db.utils import InternalError
from django.utils import timezone
from easel.forms.models import Template, TemplateVersion
from easel.forms.services import load_gallery, publish
from rest_framework.test import APIClient

from tests.cast import API, TEMPLATE, Cast

FORM = {
    "name": "Pairs",
    "description": "Two images.",
    "definition": {"components": [{"type": "image_grid", "name": "i"}]},
}


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """A gallery of one template."""
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "form.json").write_text(json.dumps(FORM))
    return tmp_path


@pytest.mark.django_db
def test_loading_the_gallery_again_publishes_nothing_until_a_form_changes(gallery: Path) -> None:
    for _ in range(2):
        (template,) = load_gallery(timezone.now(), gallery)
    assert [version.number for version in template.versions.all()] == [1]

    changed = {
        **FORM,
        "name": "Pairs of images",
        "definition": {"components": [{"type": "image_grid", "name": "grid"}]},
    }
    (gallery / "pairs" / "form.json").write_text(json.dumps(changed))
    (template,) = load_gallery(timezone.now(), gallery)
    assert template.name == "Pairs of images"
    assert [version.number for version in template.versions.all()] == [1, 2]
    assert template.latest().form.first("image_grid") == "grid"


def test_the_database_refuses_to_change_a_published_version(cast: Cast) -> None:
    version = cast.project.template_version
    with pytest.raises((InternalError, ProgrammingError), match="never changes"), transaction.atomic():
        TemplateVersion.objects.filter(pk=version.pk).update(definition={})
    with pytest.raises((InternalError, ProgrammingError), match="never changes"), transaction.atomic():
        version.save()
    with pytest.raises((InternalError, ProgrammingError), match="never changes"), transaction.atomic():
        connection.cursor().execute("UPDATE forms_templateversion SET number = 7")
    assert TemplateVersion.objects.get(pk=version.pk).definition == version.definition


def test_a_project_keeps_its_version_when_a_newer_one_is_published(cast: Cast, alice: APIClient) -> None:
    template = Template.objects.get(key=TEMPLATE)
    old = template.latest()
    publish(template, {"components": [{"type": "image_grid", "name": "grid"}]}, timezone.now())
    assert alice.get(f"{API}/projects/{cast.project.pk}/").json()["template_version"] == str(old.pk)
    made = alice.post(f"{API}/projects/", {"name": "Newer", "template": TEMPLATE}).json()
    assert made["template_version"] == str(template.latest().pk) != str(old.pk)


def test_templates_and_their_versions_are_listed(cast: Cast, alice: APIClient) -> None:
    (template,) = [row for row in alice.get(f"{API}/templates/").json()["results"] if row["key"] == TEMPLATE]
    (version,) = alice.get(f"{API}/templates/{template['id']}/versions/").json()["results"]
    assert version["number"] == 1
    assert [part["type"] for part in version["definition"]["components"]][:2] == ["prompt", "image_grid"]
    assert alice.get(f"{API}/templates/{cast.project.pk}/versions/").status_code == 404
