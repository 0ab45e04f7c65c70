"""The builder in a real browser: forms made by mouse alone and by keys alone, nothing lost, nothing run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from easel.forms.models import Template
from easel.projects.template_services import make_template
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import ARTIFACTS, Window
from tests.browser.test_project_pages import quiet
from tests.cast import Cast

Windows = Callable[..., Window]
FORM: list[dict[str, Any]] = [
    {"type": "prompt", "name": "prompt", "label": "Prompt"},
    {"type": "image_grid", "name": "images", "label": "Images", "count": 4},
    {"type": "ranking", "name": "best_of", "label": "Rank the images, best first", "required": True},
    {
        "type": "group",
        "name": "details",
        "label": "Details",
        "components": [
            {
                "type": "radio",
                "name": "safe",
                "label": "Is it safe to show?",
                "options": [{"value": "yes", "label": "Yes"}, {"value": "no", "label": "No"}],
            },
            {
                "type": "textarea",
                "name": "why",
                "label": "Why is the best the best?",
                "visible_if": {"name": "safe", "op": "is", "value": "yes"},
            },
        ],
    },
]


def definition(*components: dict[str, Any]) -> dict[str, Any]:
    """A definition of these components."""
    return {"schema_version": 1, "components": list(components)}


def make(cast: Cast, *components: dict[str, Any], name: str = "Rank and say why") -> Template:
    """A template of alice's project, with a draft of these components."""
    return make_template(cast.project, name, definition(*components), cast.alice, timezone.now())


def build(window: Window, cast: Cast, template: Template) -> Page:
    """Open the builder."""
    page = window.open(f"/projects/{cast.project.pk}/templates/{template.pk}/build/")
    page.wait_for_selector("html[data-ready]")
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["1440", "1024", "390"])
def test_the_builder_is_pictured(committed_cast: Cast, window: Windows, size: str, theme: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    width, height = {"1440": (1440, 900), "1024": (1024, 768), "390": (390, 844)}[size]
    phone = width < 600
    alice = window(
        committed_cast.alice, width=width, height=height, color_scheme=theme, has_touch=phone, is_mobile=phone
    )
    page = build(alice, committed_cast, make(committed_cast, *FORM))
    look(page, f"form-{size}-{theme}")
    card(page, "best_of").click()
    if phone:
        for view in ("Add", "Properties", "Preview"):
            page.get_by_role("button", name=view, exact=True).click()
            look(page, f"{view.lower()}-{size}-{theme}")
        return
    look(page, f"ranking-{size}-{theme}")
    card(page, "why").click()
    look(page, f"condition-{size}-{theme}")
    card(page, "safe").click()
    look(page, f"options-{size}-{theme}")
    quiet(alice)


def look(page: Page, name: str) -> None:
    """Take a picture once the preview is there."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(700)
    page.screenshot(path=ARTIFACTS / f"builder-{name}.png")


def card(page: Page, name: str) -> Locator:
    """The card of a component."""
    return page.locator(".part-card", has=page.locator(f"code.part-name:text-is('{name}')"))


def names(page: Page) -> list[str]:
    """The names of all components, in order."""
    return page.locator("code.part-name").all_text_contents()


def saved(page: Page) -> None:
    """Wait until the draft is saved."""
    expect(page.locator("#saved")).to_have_attribute("data-state", "saved")
