"""An item by the accessibility tree alone, text from right to left, and a minute without a connection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from easel.accounts.profile import change_profile
from easel.annotation.models import Annotation, Assignment
from playwright.sync_api import Page, expect

from tests.browser.acting import drag, keys, letters, rows, strip, until
from tests.browser.conftest import ARTIFACTS, Window, rank_path, wait_for_item
from tests.cast import Cast

Windows = Callable[..., Window]
ARABIC = "أيقونة ثلاثية الأبعاد لتفاحة حمراء على خلفية صفراء، no. 1."


def test_a_whole_item_by_names_and_roles_alone(cast: Cast, window: Windows) -> None:
    page = window(cast.bob).open(rank_path(cast))
    said = _listen(page)
    prompt = page.locator("[data-prompt]").inner_text()
    expect(page.get_by_role("navigation", name="Where you are")).to_be_visible()
    item = page.get_by_role("main").get_by_role("form", name="Item to rank")
    expect(item.get_by_role("heading", name="Prompt")).to_be_visible()
    expect(item.get_by_text(prompt)).to_be_visible()
    images = item.get_by_role("region", name="Images")
    expect(images.get_by_role("listitem")).to_have_count(4)
    images.get_by_role("button", name="Image C, not ranked").click()
    expect(images.get_by_role("button", name="Image C, place 1")).to_be_visible()
    images.get_by_role("button", name="Image A, not ranked").click()
    keys(page, "Shift+D")
    expect(images.get_by_role("button", name="Image D, place 2, tied with A")).to_be_focused()
    item.get_by_role("textbox", name="Why is the best the best?").fill("sharper")
    item.get_by_role("button", name="Submit and next").click()
    [row] = rows(1)
    assert letters(row) == ["C", "AD"]
    wait_for_item(page)
    until(lambda: any(one.startswith("Submitted. ") for one in said()))
    following = page.locator("[data-prompt]").inner_text()
    heard = said()
    assert [one for one in heard if not one.startswith("Submitted")][:3] == [
        "C, place 1.",
        "A, place 2.",
        "D, place 2, tied with A.",
    ]
    assert f"Submitted. {following}. 4 images." in heard
    expect(images.get_by_role("button", name="Image A, not ranked")).to_be_focused()


def test_tab_goes_through_an_item_in_the_order_of_the_eye(cast: Cast, window: Windows) -> None:
    page = window(cast.bob).open(rank_path(cast))
    page.keyboard.press("t")
    page.keyboard.press("Escape")
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.type"))
    places = [order.index(one) for one in ("checkbox", "answer-rationale", "skip", "submit")]
    assert places == sorted(places), order


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_mirrored_page_reads_from_the_right(make_cast: Callable[..., Cast], window: Windows, theme: str) -> None:
    cast = make_cast(items=1, prompts=[ARABIC])
    change_profile(cast.bob, {"text_direction": "rtl", "session_goal": 20})
    for width in (390, 1440):
        page = window(cast.bob, width=width, height=900, color_scheme=theme).open(rank_path(cast))
        assert page.evaluate("document.documentElement.dir") == "rtl"
        prompt = page.locator("[data-prompt]")
        assert prompt.evaluate("(one) => getComputedStyle(one).direction") == "rtl"
        left, right = (page.locator(".tile-image").nth(n).bounding_box() for n in (1, 0))
        assert left and right
        assert left["x"] < right["x"], "A is at the right"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        expect(page.locator("textarea").first).to_have_attribute("dir", "rtl")
        _picture(page, f"rank-rtl-{width}-{theme}")
        report = Axe().run(page)
        assert not report.response["violations"], report.generate_report()
        page.close()


def test_arrows_and_drags_follow_the_eye_on_a_mirrored_page(cast: Cast, window: Windows) -> None:
    change_profile(cast.bob, {"text_direction": "rtl"})
    page = window(cast.bob).open(rank_path(cast))
    keys(page, "ArrowLeft", "1")
    assert strip(page) == ["B", "", "", ""]
    keys(page, "a")
    slot = page.locator(".slot").first
    drag(page, page.locator(".tile-image").nth(2), slot, 0.98)
    assert strip(page)[:3] == ["C", "B", "A"], "the right edge of the first place is before it"


def test_a_text_from_the_right_stands_right_on_a_page_that_is_not_mirrored(
    make_cast: Callable[..., Cast], window: Windows
) -> None:
    cast = make_cast(items=1, prompts=[ARABIC])
    page = window(cast.bob).open(rank_path(cast))
    assert page.evaluate("document.documentElement.dir") == ""
    assert page.locator("[data-prompt]").evaluate("(one) => getComputedStyle(one).direction") == "rtl"
    page.locator("textarea").first.fill("لأنها أوضح")
    assert page.locator("textarea").first.evaluate("(one) => getComputedStyle(one).direction") == "rtl"


def test_a_minute_offline_loses_nothing(make_cast: Callable[..., Cast], window: Windows) -> None:
    cast = make_cast(items=9)
    mine = window(cast.bob)
    page = mine.context.new_page()
    page.clock.install()
    page.goto(mine.server + rank_path(cast))
    wait_for_item_by(page)
    until(lambda: Assignment.objects.count() == 2)
    page.wait_for_load_state("networkidle")
    mine.context.set_offline(True)
    keys(page, "a", "b", "Enter")
    page.clock.run_for(500)
    keys(page, "d", "t")
    page.keyboard.type("kept")
    for _ in range(12):
        page.clock.run_for(5_000)
    assert Annotation.objects.count() == 0
    mine.context.set_offline(False)
    page.clock.run_for(40_000)
    [first] = rows(1)
    assert letters(first) == ["A", "B"]
    assert page.locator("textarea").input_value() == "kept"
    page.clock.run_for(1_000)
    # Where it went once, more is fetched ahead: the next time there is more to do.

    def fetched() -> bool:
        page.clock.run_for(200)
        return Assignment.objects.filter(state="open").count() >= 4

    until(fetched, 12)
    page.wait_for_load_state("networkidle")
    mine.context.set_offline(True)
    keys(page, "Control+Enter")
    for _ in range(3):
        page.clock.run_for(500)
        keys(page, "c", "Enter")
    expect(page.locator("#sending")).to_have_text("Offline, 4 waiting to send")
    mine.context.set_offline(False)
    page.clock.run_for(60_000)
    found = rows(5, timeout=15)
    assert found[1].answers["rationale"] == "kept"
    assert [letters(row) for row in found[2:]] == [["C"]] * 3


def wait_for_item_by(page: Page) -> None:
    """Wait for an item on a page whose clock stands still."""
    page.wait_for_selector("#state[data-state=item]")
    page.wait_for_selector(".tile:not([hidden]):not([data-state=ready])", state="detached")
    page.clock.run_for(500)


def _listen(page: Page) -> Callable[[], list[str]]:
    """Collect what is said to screen readers."""
    page.evaluate(
        """() => { window.said = [];
        new MutationObserver(() => {
            const words = document.getElementById('announcer').textContent;
            if (words) window.said.push(words);
        }).observe(document.getElementById('announcer'), { childList: true }); }"""
    )
    return lambda: list(page.evaluate("window.said"))


def _picture(page: Page, name: str) -> None:
    Path(ARTIFACTS).mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")
