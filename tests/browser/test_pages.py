"""For everyone: axe finds nothing, the content security policy refuses nothing, themes stay as chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.acting import keys, rows
from tests.browser.conftest import Window, rank_path, wait_for_item
from tests.cast import Cast

Windows = Callable[..., Window]
WIDTHS = {390: 844, 1440: 900}


def problems(page: Page) -> list[str]:
    """What axe finds, in one line each."""
    found: dict[str, Any] = Axe().run(page, options={"resultTypes": ["violations"]}).response
    return [
        f"{violation['id']}: {node['target']} {node.get('failureSummary', '')}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_on_the_ranking_page(cast: Cast, window: Windows, width: int, theme: str) -> None:
    phone = width < 600
    mine = window(
        cast.bob,
        width=width,
        height=WIDTHS[width],
        color_scheme=theme,
        has_touch=phone,
        is_mobile=phone,
        bypass_csp=True,
    )
    page = mine.open(rank_path(cast))
    assert problems(page) == []
    keys(page, "a", "Shift+B", "c")
    page.locator("#saved:has-text('Saved')").wait_for()
    assert problems(page) == []
    for key, dialog in (("?", "#keys"), ("s", "#skip-dialog"), ("Space", "#zoom"), ("v", "#zoom")):
        keys(page, key)
        expect(page.locator(dialog)).to_be_visible()
        assert problems(page) == [], dialog
        keys(page, "Escape")
    page.locator(".guidelines summary").click()
    assert problems(page) == []
    page.locator(".guidelines summary").click()
    page.locator(".top-bar .menu summary").click()
    assert problems(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_when_there_is_nothing_to_rank_or_something_is_wrong(
    make_cast: Callable[..., Cast], window: Windows, theme: str
) -> None:
    cast = make_cast(items=1)
    mine = window(cast.bob, color_scheme=theme, bypass_csp=True)
    page = mine.open(rank_path(cast))
    keys(page, "Enter")
    expect(page.locator(".ranking .error")).to_be_visible()
    assert problems(page) == []
    mine.context.set_offline(True)
    keys(page, "a", "Enter")
    expect(page.locator("#sending")).to_be_visible()
    assert problems(page) == []
    mine.context.set_offline(False)
    rows(1)
    expect(page.locator(".for-nothing")).to_be_visible()
    assert problems(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/sign-in/", "/no-such-page/"])
def test_axe_finds_nothing_on_the_pages_of_strangers(cast: Cast, window: Windows, path: str, theme: str) -> None:
    page = window(None, width=390, height=844, color_scheme=theme, bypass_csp=True).open(path, wait=False)
    assert problems(page) == []


def test_the_content_security_policy_refuses_nothing(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    page = mine.open(rank_path(cast))
    keys(page, "a", "Shift+B", "z", "?", "Escape", "Space", "+", "v", "Escape", "s", "Escape", "t")
    page.keyboard.type("why")
    page.locator(".top-bar .menu summary").click()
    page.locator("[data-theme-choice=dark]").click()
    page.mouse.move(300, 300)
    page.mouse.down()
    page.mouse.move(400, 500, steps=3)
    page.mouse.up()
    keys(page, "Control+Enter")
    wait_for_item(page)
    assert mine.console == []


def test_the_chosen_theme_stays_and_auto_follows_the_system(cast: Cast, window: Windows) -> None:
    page = window(cast.bob, color_scheme="light").open(rank_path(cast))
    light = _background(page)
    page.locator(".top-bar .menu summary").click()
    page.locator("[data-theme-choice=dark]").click()
    dark = _background(page)
    assert dark != light
    page.reload(wait_until="commit")
    page.wait_for_selector("body")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark", "before the page's modules have run"
    page.locator(".top-bar .menu summary").click()
    page.locator("[data-theme-choice=auto]").click()
    assert _background(page) == light
    page.emulate_media(color_scheme="dark")
    assert _background(page) == dark


def test_a_wrong_password_is_told_and_the_right_one_leads_to_the_page_that_was_asked_for(
    cast: Cast, window: Windows
) -> None:
    cast.bob.set_password("bob paints in the rain")
    cast.bob.save()
    mine = window(None)
    page = mine.open(rank_path(cast), wait=False)
    expect(page).to_have_url(f"{mine.server}/sign-in/?next={rank_path(cast)}")
    page.get_by_label("User name").fill("bob")
    page.get_by_label("Password").fill("bob paints in the sun")
    keys(page, "Enter")
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    page.get_by_label("Password").fill("bob paints in the rain")
    keys(page, "Enter")
    wait_for_item(page)
    keys(page, "a", "Enter")
    rows(1)


def test_a_stranger_is_told_that_there_is_no_such_page(cast: Cast, window: Windows) -> None:
    page = window(cast.charlie).open(rank_path(cast), wait=False)
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")


def _background(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour
