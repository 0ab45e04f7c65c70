"""What people do in the builder, and what its draft says afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils import timezone
from easel.forms.models import Template
from easel.projects.template_services import make_template
from playwright.sync_api import Locator, Page, expect

from tests.browser.acting import point
from tests.browser.conftest import Window
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


def stored(template: Template) -> list[Any]:
    """The components of the saved draft: each a name, or a pair of a name and what is in it."""
    template.draft.refresh_from_db()
    return shape(template.draft.definition["components"])


def shape(components: list[dict[str, Any]]) -> list[Any]:
    """The names of components, and of those inside them."""
    return [[one["name"], shape(one["components"])] if "components" in one else one["name"] for one in components]


def offer(page: Page, kind: str) -> Locator:
    """A component of the palette."""
    return page.locator(f".offer[data-type={kind}]")


def announced(page: Page, words: str) -> None:
    """The live region says this."""
    expect(page.locator("#announcer")).to_contain_text(words)


def drag_to(page: Page, source: Locator, target: Locator, y: float) -> None:
    """Drag with the mouse to a height of a card, in fractions of it; a line shows where it will stand."""
    saved(page)  # what is drawn anew when problems are known is drawn
    source.scroll_into_view_if_needed()
    target.scroll_into_view_if_needed()
    page.mouse.move(*point(source, 0.3))
    page.mouse.down()
    page.mouse.move(*point(target, 0.5, y), steps=6)
    expect(page.locator(".drop-line")).to_be_visible()
    page.mouse.up()
    expect(page.locator(".drop-line")).to_be_hidden()


def card(page: Page, name: str) -> Locator:
    """The card of a component."""
    return page.locator(".part-card", has=page.locator(f"code.part-name:text-is('{name}')"))


def names(page: Page) -> list[str]:
    """The names of all components, in order."""
    return page.locator("code.part-name").all_text_contents()


def saved(page: Page) -> None:
    """Wait until the draft is saved."""
    expect(page.locator("#saved")).to_have_attribute("data-state", "saved")
