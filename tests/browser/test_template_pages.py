"""The pages of templates in a browser: made from the gallery, published, used, deleted; and pictures of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from easel.forms.drafts import publish_draft, save_draft
from easel.forms.models import Template
from easel.projects.template_services import make_template
from playwright.sync_api import FilePayload, expect

from tests.browser import scenes
from tests.browser.conftest import ARTIFACTS, Window
from tests.browser.test_project_pages import faults, path_of, quiet
from tests.cast import Cast

SIZES = {"1440": (1440, 900), "390": (390, 844)}
Windows = Callable[..., Window]


@pytest.fixture
def cast(committed_cast: Cast) -> Cast:
    """alice's project in the middle of its work."""
    return scenes.busy(committed_cast)


def file_of(content: bytes) -> FilePayload:
    """A file to upload."""
    return {"name": "mine.json", "mimeType": "application/json", "buffer": content}


def change(cast: Cast, template: Template, version: int, **changes: dict[str, Any]) -> None:
    """Save a draft with other properties of components, as the builder does."""
    definition = template.draft.definition
    parts = [{**part, **changes.get(part["name"], {})} for part in definition["components"]]
    save_draft(template, {**definition, "components": parts}, version, cast.alice, timezone.now())
    template.draft.refresh_from_db()


def test_a_template_is_taken_from_the_gallery_published_used_and_cannot_be_deleted(cast: Cast, window: Windows) -> None:
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "templates/"))
    page.get_by_role("button", name="Use and change RLHF image ranking (batch)").click()
    page.wait_for_url("**/build/")
    made = Template.objects.get(belonging__project=cast.project)
    change(cast, made, 1, ranking={"levels": 2})
    page.goto(alice.server + path_of(cast.project, "templates/"))
    page.get_by_role("link", name=f"Open {made.name}").click()
    page.get_by_role("link", name="Publish…").click()
    expect(page.get_by_role("region", name="Why annotations would not be accepted")).to_contain_text("at most 2")
    page.get_by_label("What is it for?").fill("Two places are enough")
    page.get_by_role("button", name="Publish version 1").click()
    expect(page.get_by_role("status")).to_contain_text("Version 1 is published")
    expect(page.locator("#use")).to_contain_text("that nobody has begun move with it")
    page.get_by_role("button", name="Move this project to version 1").click()
    expect(page.get_by_role("status")).to_contain_text("moved with it")
    cast.project.refresh_from_db()
    assert cast.project.template_version == made.latest()
    page.get_by_role("button", name="Delete this template").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("alert")).to_contain_text("is used by “Icons, round 2”")
    quiet(alice)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_pages_of_templates_are_pictured(cast: Cast, window: Windows, size: str, theme: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    width, height = SIZES[size]
    phone = width < 600
    options = {"color_scheme": theme, "has_touch": phone, "is_mobile": phone}
    alice = window(cast.alice, width=width, height=height, **options)
    problems: list[str] = []

    def look(name: str) -> None:
        page.wait_for_load_state("networkidle")
        path: Path = ARTIFACTS / f"templates-{name}-{size}-{theme}.png"
        page.screenshot(path=path, full_page=True)
        problems.extend(f"{name}: {line}" for line in faults(page, width))

    page = alice.open(path_of(cast.project, "templates/"))
    look("empty")
    page.get_by_role("button", name="Import JSON").click()
    look("import")
    page.get_by_label("JSON file").set_input_files(file_of(b'{"components": ['))
    page.get_by_role("button", name="Import as a draft").click()
    expect(page.get_by_role("alert")).to_contain_text("mine.json, line 1")
    look("refused")
    definition = cast.project.template_version.definition
    made = make_template(
        cast.project, "Icons, with reasons", definition, cast.alice, timezone.now(), description="For round 3."
    )
    publish_draft(made, 1, cast.alice, timezone.now(), note="A copy to begin with")
    reason = {"name": "why", "formerly": ["rationale"], "label": "Why is it the best?", "required": True}
    change(cast, made, 1, ranking={"levels": 3, "ties": False}, rationale=reason)
    make_template(cast.project, "Untitled template", {"components": []}, cast.alice, timezone.now())
    page = alice.open(path_of(cast.project, "templates/"))
    look("list")
    page = alice.open(path_of(cast.project, f"templates/{made.pk}/"))
    page.locator("summary", has_text="Side by side").click()
    page.locator("summary", has_text="What version 1 asks").click()
    look("template")
    page = alice.open(path_of(cast.project, f"templates/{made.pk}/publish/"))
    look("publish")
    wrong = Template.objects.get(name="Untitled template")
    page = alice.open(path_of(cast.project, f"templates/{wrong.pk}/publish/"))
    look("wrong")
    problems += [line for line in alice.console if "status of 400" not in line]
    assert not problems, "\n".join(problems)
