"""The pages of generation in a real browser: asking for images, trying settings, finding images, side by side."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from easel.images.models import Candidate
from playwright.sync_api import Page, expect

from tests.browser import scenes
from tests.browser.acting import keys
from tests.browser.conftest import Window
from tests.browser.test_project_pages import path_of, quiet
from tests.cast import Cast

Windows = Callable[..., Window]


@pytest.fixture
def cast(committed_cast: Cast) -> Cast:
    """Everybody, and alice's project without prompts."""
    return scenes.begin(committed_cast)


def focused(page: Page) -> int:
    """Which image of the gallery has the focus."""
    script = "[...document.querySelectorAll('a[data-image]')].indexOf(document.activeElement)"
    return int(page.evaluate(script))


def test_the_gallery_is_narrowed_by_what_its_address_says(cast: Cast, window: Windows) -> None:
    scenes.with_items(cast, 6)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "images/"))
    expect(page.get_by_text("24 images.")).to_be_visible()
    page.get_by_label("Prompt contains").fill("red CIRCLE")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("8 images match the filters.")).to_be_visible()  # each word, wherever it stands
    expect(page.locator("a[data-image]")).to_have_count(8)
    shared = alice.open(page.url.removeprefix(alice.server))
    expect(shared.get_by_label("Prompt contains")).to_have_value("red CIRCLE")
    seed = Candidate.objects.latest("pk").seed
    shared.get_by_label("Seed", exact=True).fill(str(seed))
    keys(shared, "Enter")
    expect(shared.get_by_role("heading", name="No image matches")).to_be_visible()
    shared.get_by_role("link", name="Clear all").click()
    expect(shared.locator("a[data-image]")).to_have_count(24)
    quiet(alice)


def test_images_are_chosen_with_keys_alone_and_stand_side_by_side(cast: Cast, window: Windows) -> None:
    scenes.with_items(cast, 6)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "images/"))
    page.locator("a[data-image]").first.focus()
    keys(page, "Space", "ArrowRight", "ArrowRight", "Space")
    expect(page.locator("[data-chosen]")).to_contain_text("2 of 4 chosen.")
    assert focused(page) == 2
    keys(page, "ArrowDown", "Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    keys(page, "Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert focused(page) > 2
    keys(page, "Space", "ArrowLeft", "Space", "ArrowLeft", "Space")
    expect(page.locator("[data-chosen]")).to_contain_text("4 of 4 chosen.")
    page.get_by_role("button", name="Side by side").click()

    expect(page.locator(".zoom-pane")).to_have_count(4)
    expect(page.locator("#differences + p")).to_contain_text("They differ in")
    page.locator("#viewer").focus()
    keys(page, "+", "+")
    expect(page.locator(".zoom-scale")).to_have_text("1.6×")
    scales = page.locator(".zoom-view img").evaluate_all("all => all.map((one) => getComputedStyle(one).transform)")
    assert len(set(scales)) == 1, "they zoom together"
    assert scales[0].startswith("matrix(1.5625")
    keys(page, "0", "b")
    expect(page.locator(".zoom-pane:visible")).to_have_count(1)
    keys(page, "ArrowRight")
    expect(page.get_by_role("button", name="C", exact=True)).to_have_attribute("aria-pressed", "true")
    keys(page, "Escape")
    page.wait_for_url(re.compile("/images/$"))
    quiet(alice)


def test_a_swipe_turns_to_the_next_image(cast: Cast, window: Windows) -> None:
    scenes.with_items(cast, 1)
    ids = "&".join(f"image={pk}" for pk in Candidate.objects.order_by("pk").values_list("pk", flat=True)[:3])
    phone = window(cast.alice, width=390, height=844, has_touch=True, is_mobile=True)
    page = phone.open(path_of(cast.project, f"images/side-by-side/?{ids}"))
    session = page.context.new_cdp_session(page)

    def swipe(left: int, right: int) -> None:
        box = page.locator(".zoom-panes").bounding_box()
        assert box
        y = box["y"] + box["height"] / 2
        session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": left, "y": y}]})
        for part in range(1, 6):
            x = left + (right - left) * part / 5
            session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y}]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    for letter, (start, end) in {"A": (250, 100), "B": (250, 100), "C": (250, 100)}.items():
        swipe(start, end)
        expect(page.get_by_role("button", name=letter, exact=True)).to_have_attribute("aria-pressed", "true")
    swipe(100, 250)
    expect(page.get_by_role("button", name="B", exact=True)).to_have_attribute("aria-pressed", "true")
    quiet(phone)


def test_the_large_image_tells_its_settings_and_gives_them_away(cast: Cast, window: Windows) -> None:
    scenes.with_items(cast, 1)
    alice = window(cast.alice, permissions=["clipboard-read", "clipboard-write"])
    page = alice.open(path_of(cast.project, "images/"))
    newest = Candidate.objects.latest("pk")
    page.locator("a[data-image]").first.click()
    shown = page.get_by_role("dialog")
    expect(shown).to_contain_text("DDIMScheduler")
    shown.get_by_role("button", name="Copy seed").click()
    expect(shown.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == str(newest.seed)
    shown.get_by_role("button", name="Copy settings").click()
    page.wait_for_function("navigator.clipboard.readText().then((text) => text.includes('Steps: 20'))")
    shown.get_by_text("Make it again and compare").click()
    expect(shown.get_by_text(f"./run easel verify {newest.pk}")).to_be_visible()
    quiet(alice)
