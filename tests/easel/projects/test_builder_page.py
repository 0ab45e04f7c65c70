"""The builder's page: whose template it shows, and what it is given."""

from __future__ import annotations

import json
import re

import pytest
from django.utils import timezone
from easel.accounts.models import User
from easel.forms import drafts
from easel.forms.models import Template
from easel.projects.models import Project
from easel.projects.template_services import make_template
from rest_framework.test import APIClient

from tests.cast import TEMPLATE, Cast, browser_of

FORM = {
    "components": [{"type": "input", "name": "title"}, {"type": "radio", "name": "kind", "options": [{"value": "a"}]}]
}


@pytest.fixture
def template(cast: Cast) -> Template:
    """A template of alice's project, with a draft and no version."""
    return make_template(cast.project, "Titles", FORM, cast.alice, timezone.now())


def open_builder(user: User, project: Project, template: Template) -> tuple[int, str, str]:
    """Open the page; return its status, its text and its policy."""
    client: APIClient = browser_of(user)
    response = client.get(f"/projects/{project.pk}/templates/{template.pk}/build/")
    return response.status_code, response.content.decode(), response.headers.get("Content-Security-Policy", "")


def config_of(html: str) -> dict[str, object]:
    """What the page gives to its script."""
    found = re.search(r'<script id="build-config" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found
    told: dict[str, object] = json.loads(found[1])
    return told


def test_the_page_holds_the_draft_and_the_vocabulary(cast: Cast, template: Template) -> None:
    status, html, policy = open_builder(cast.alice, cast.project, template)
    told = config_of(html)
    assert status == 200
    assert told["draft"]["definition"] == FORM  # type: ignore[index]
    assert len(told["palette"]["components"]) == 32  # type: ignore[index]
    assert (told["published"], told["names"]) == (None, {})
    assert "frame-src 'self'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_names_of_the_newest_version_are_told_so_that_answers_stay_readable(cast: Cast, template: Template) -> None:
    drafts.publish_draft(template, 1, cast.alice, timezone.now())
    _, html, _ = open_builder(cast.erin, cast.project, template)
    assert config_of(html)["names"] == {"title": "input", "kind": "radio"}


def test_only_owners_and_admins_build(cast: Cast, template: Template) -> None:
    told = {who.username: open_builder(who, cast.project, template)[0] for who in (cast.bob, cast.dave, cast.charlie)}
    assert told == {"bob": 403, "dave": 403, "charlie": 404}


def test_a_template_of_the_gallery_is_not_edited(cast: Cast) -> None:
    status, html, _ = open_builder(cast.alice, cast.project, Template.objects.get(key=TEMPLATE))
    assert status == 403
    assert "Use and change it" in html


def test_a_template_is_built_in_its_own_project_only(cast: Cast, template: Template) -> None:
    theirs = make_template(cast.foreign, "Stripes", FORM, cast.charlie, timezone.now())
    assert open_builder(cast.alice, cast.project, theirs)[0] == 404
    assert open_builder(cast.charlie, cast.foreign, template)[0] == 404


def test_what_a_draft_says_cannot_leave_the_page_s_script(cast: Cast) -> None:
    form = {"components": [{"type": "input", "name": "title", "label": "</script><script>window.ran = 1</script>"}]}
    template = make_template(cast.project, "</title><script>", form, cast.alice, timezone.now())
    _, html, _ = open_builder(cast.alice, cast.project, template)
    assert "<script>window" not in html
    assert "</title><script>" not in html
    assert config_of(html)["draft"]["definition"] == form  # type: ignore[index]
