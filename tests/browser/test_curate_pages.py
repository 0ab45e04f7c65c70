"""Curate in a browser: ticks and ranges, keys, the look before an act, undo, and no fault that axe finds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from easel.annotation.curate.subsets import make_subset
from easel.annotation.models import Item
from playwright.sync_api import Page, expect

from tests.browser.conftest import ARTIFACTS, Window
from tests.browser.scenes import busy
from tests.browser.test_project_pages import path_of, quiet
from tests.cast import Cast

AXE = Axe()
Windows = Callable[..., Window]


@pytest.fixture
def scene(committed_cast: Cast) -> Cast:
    """A project in the middle of its work, with a subset, a flagged item and two categories."""
    cast = busy(committed_cast)
    make_subset(cast.project, "Clean edges", cast.alice, timezone.now())
    first, second, *_ = Item.objects.filter(project=cast.project).order_by("-id")
    Item.objects.filter(pk=first.pk).update(category="shapes", flagged_at=timezone.now())
    Item.objects.filter(pk=second.pk).update(category="toys", priority=3)
    return cast


def ticked(page: Page) -> int:
    return page.locator("input[name=item]:checked").count()


def test_items_are_found_ticked_changed_and_changed_back(scene: Cast, window: Windows) -> None:
    alice = window(scene.alice)
    page = alice.open(path_of(scene.project, "curate/?state=ready"))
    cards = page.locator("[data-card]")
    assert cards.count() >= 5
    cards.nth(0).locator("input").click()
    cards.nth(3).locator("input").click(modifiers=["Shift"])
    assert ticked(page) == 4
    page.select_option("#act", "priority")
    page.fill("#act-priority", "9")
    page.click("[data-go]")
    expect(page.locator("#act-dialog")).to_contain_text("4 items of 4 will change")
    page.click("#act-dialog button.primary")
    expect(page.locator(".messages")).to_contain_text("4 items changed")
    assert Item.objects.filter(priority=9).count() == 4
    page.click("text=Undo")
    expect(page.locator(".messages")).to_contain_text("was taken back for 4 items")
    assert not Item.objects.filter(priority=9).exists()
    quiet(alice)


def test_keys_alone_suffice(scene: Cast, window: Windows) -> None:
    alice = window(scene.alice)
    page = alice.open(path_of(scene.project, "curate/"))
    page.locator("[data-open]").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert ticked(page) == 3
    page.keyboard.press("a")
    assert ticked(page) == page.locator("[data-card]").count()
    page.keyboard.press("Escape")
    assert ticked(page) == 0
    page.keyboard.press("Enter")
    dialog = page.locator("#item-dialog[open]")
    expect(dialog).to_be_visible()
    expect(dialog.locator(".image-box img").first).to_be_visible()
    prompt = dialog.locator(".item-prompt").inner_text()
    page.keyboard.press("ArrowLeft")
    expect(dialog.locator(".item-prompt")).not_to_have_text(prompt)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_all_of_a_query_is_set_aside(scene: Cast, window: Windows) -> None:
    alice = window(scene.alice)
    page = alice.open(path_of(scene.project, "curate/?words=circle"))
    wanted = page.locator("[data-card]").count()
    page.click("[data-all]")
    page.select_option("#act", "aside")
    page.click("[data-go]")
    page.click("#act-dialog button.primary")
    expect(page.locator(".messages")).to_contain_text("changed")
    assert Item.objects.filter(state="aside").count() == wanted


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_is_whole_at_every_width(scene: Cast, window: Windows, width: int, theme: str) -> None:
    alice = window(scene.alice, width=width, color_scheme=theme)
    page = alice.open(path_of(scene.project, "curate/?state=ready&order=oldest"))
    page.locator("input[name=item]").first.click()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=ARTIFACTS / f"curate-{width}-{theme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = AXE.run(page)
    assert found.violations_count == 0, found.generate_report()
