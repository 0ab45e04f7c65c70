"""The comfort of annotators: their own keys, the last submission taken back, goals, breaks, and blurred images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from easel.accounts.models import User
from easel.accounts.profile import change_profile
from easel.annotation.models import Annotation, Assignment, Item
from playwright.sync_api import Page, expect

from tests.browser.acting import keys, letters, rows, strip, tile, until
from tests.browser.conftest import Window, rank_path, wait_for_item
from tests.cast import Cast

Windows = Callable[..., Window]


# --- Keys -------------------------------------------------------------------------------------------------------------


def test_a_key_is_pressed_to_be_set_and_a_conflict_is_named_at_once(cast: Cast, window: Windows) -> None:
    page = window(cast.bob).open("/account/profile/")
    skip = page.get_by_label("Skip, with a reason", exact=True)
    skip.focus()
    page.keyboard.press("z")
    expect(skip).to_have_value("Z")
    expect(page.locator("#fault-skip")).to_have_text("Z is the key of “Undo”, too. Give one of them another key.")
    expect(page.locator("#fault-undo")).to_have_text(
        "Z is the key of “Skip, with a reason”, too. Give one of them another key."
    )
    page.get_by_role("button", name="Save").click()
    expect(skip).to_be_focused()
    page.keyboard.press("a")
    expect(page.locator("#fault-skip")).to_contain_text("A stays what it is: the letters A to I name the images.")
    page.keyboard.press("k")
    expect(page.locator("#fault-skip")).to_be_hidden()
    expect(page.locator("#fault-undo")).to_be_hidden()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messages")).to_contain_text("Saved.")
    assert User.objects.get(pk=cast.bob.pk).keys == {"skip": "K"}
    page.get_by_role("button", name="Reset the key of “Skip, with a reason” to S").click()
    expect(page.get_by_label("Skip, with a reason", exact=True)).to_have_value("S")


def test_the_ranking_page_follows_ones_own_keys(cast: Cast, window: Windows) -> None:
    change_profile(cast.bob, {"keys": {"submit": "M", "skip": "K", "undo": ";", "none": "N", "enlarge": "O"}})
    page = window(cast.bob).open(rank_path(cast))
    expect(page.locator("#skip .key")).to_have_text("K")
    expect(page.locator("#submit")).to_have_attribute("aria-keyshortcuts", "M")
    expect(page.locator("#undo .key")).to_have_text(";")
    keys(page, "a", "b", ";", "n")
    assert strip(page) == ["A", "", "", ""]
    expect(page.locator(".all-bad input")).to_be_checked()
    keys(page, "s", "x", "z")
    expect(page.locator("#skip-dialog")).to_be_hidden()
    expect(page.locator(".all-bad input")).to_be_checked()
    keys(page, "?")
    expect(page.locator("#keys [data-key=skip]")).to_have_text("K")
    keys(page, "Escape", "o")
    expect(page.locator("#zoom")).to_be_visible()
    keys(page, "o")
    expect(page.locator("#zoom")).to_be_hidden()
    keys(page, "m")
    [row] = rows(1)
    assert (letters(row), row.all_bad) == (["A"], True)


# --- The last submission ----------------------------------------------------------------------------------------------


def test_the_last_submission_comes_back_with_its_answers(cast: Cast, window: Windows) -> None:
    page = window(cast.bob).open(rank_path(cast))
    prompt = page.locator("[data-prompt]").inner_text()
    expect(page.locator(".actions [data-undo-submission]")).to_be_hidden()
    keys(page, "c", "a", "t")
    page.keyboard.type("sharper")
    keys(page, "Control+Enter")
    rows(1)
    wait_for_item(page)
    second = page.locator("[data-prompt]").inner_text()
    keys(page, "b", "u")
    expect(page.locator("[data-prompt]")).to_have_text(prompt)
    assert strip(page) == ["C", "A", "", ""]
    expect(page.locator("textarea")).to_have_value("sharper")
    expect(page.locator("#day")).to_contain_text("0 today")
    rows(0)
    page.wait_for_timeout(400)
    keys(page, "d", "Enter")
    [row] = rows(1)
    assert letters(row) == ["C", "A", "D"]
    expect(page.locator("[data-prompt]")).to_have_text(second)
    assert strip(page) == ["B", "", "", ""], "what was begun meanwhile is kept"


def test_what_waits_offline_is_taken_back_without_a_connection(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    page = mine.open(rank_path(cast))
    until(lambda: Assignment.objects.count() == 2)
    page.wait_for_load_state("networkidle")
    prompt = page.locator("[data-prompt]").inner_text()
    mine.context.set_offline(True)
    keys(page, "c", "a", "Enter")
    expect(page.locator("#sending")).to_have_text("Offline, 1 waiting to send")
    page.locator(".actions [data-undo-submission]").click()
    expect(page.locator("[data-prompt]")).to_have_text(prompt)
    expect(page.locator("#sending")).to_be_hidden()
    page.wait_for_timeout(400)
    keys(page, "d", "Enter")
    mine.context.set_offline(False)
    [row] = rows(1, timeout=12)
    assert letters(row) == ["C", "A", "D"]


def test_what_had_arrived_all_the_same_is_replaced_not_doubled(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    page = mine.open(rank_path(cast))
    until(lambda: Assignment.objects.count() == 2)
    lost = []

    def lose_the_response(route: Any) -> None:
        lost.append(route.fetch())
        route.abort()

    page.route("**/annotation/", lose_the_response)
    keys(page, "c", "Enter")
    expect(page.locator("#sending")).to_have_text("Offline, 1 waiting to send")
    keys(page, "u")
    page.unroute("**/annotation/")
    expect(page.locator(".slot .chip b").first).to_have_text("C")
    page.wait_for_timeout(400)
    keys(page, "a", "Enter")
    until(lambda: [letters(row) for row in Annotation.objects.select_related("assignment")] == [["C", "A"]], 12)
    rows(1)


# --- Goals and breaks -------------------------------------------------------------------------------------------------


def test_the_bar_counts_to_the_goal_and_says_when_it_is_reached(cast: Cast, window: Windows) -> None:
    change_profile(cast.bob, {"session_goal": 2})
    page = window(cast.bob).open(rank_path(cast))
    expect(page.locator("#goal")).to_contain_text("0 of 2")
    keys(page, "a", "Enter")
    wait_for_item(page)
    expect(page.locator("#goal")).to_contain_text("1 of 2")
    page.reload()
    wait_for_item(page)
    expect(page.locator("#goal")).to_contain_text("1 of 2")
    keys(page, "a", "Enter")
    expect(page.locator(".rank-notices .good")).to_contain_text("Your goal is reached: 2 items in 1 min")
    wait_for_item(page)
    expect(tile(page, "A")).to_be_focused()
    keys(page, "a", "Enter")
    rows(3)


def test_a_break_is_offered_takes_no_focus_and_loses_nothing(make_cast: Callable[..., Cast], window: Windows) -> None:
    cast = make_cast(items=1)
    change_profile(cast.bob, {"break_after": 5})
    mine = window(cast.bob)
    page = mine.context.new_page()
    page.clock.install()
    page.goto(mine.server + rank_path(cast))
    wait_for_item(page)
    keys(page, "b", "t")
    for _ in range(16):
        page.clock.fast_forward(20_000)
        page.keyboard.type("x")
    offer = page.locator(".rank-notices .notice")
    expect(offer).to_contain_text("You have worked for 5 minutes.")
    expect(page.locator("textarea")).to_be_focused()
    offer.get_by_role("button", name="In 10 minutes").click()
    expect(offer).to_have_count(0)
    for _ in range(32):
        page.clock.fast_forward(20_000)
        keys(page, "ArrowRight")
    offer.get_by_role("button", name="Take a break").click()
    expect(page.locator("#rest")).to_be_visible()
    page.clock.fast_forward(65_000)
    expect(page.locator("#rest [data-time]")).to_have_text("1:05")
    keys(page, "Enter")
    expect(page.locator("#rest")).to_be_hidden()
    rows(0)
    assert strip(page) == ["B", "", "", ""]
    expect(page.locator("textarea")).to_have_value("x" * 16)


# --- Blur -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sensitive(cast: Cast) -> Cast:
    """All items are of a category that the project marks as sensitive."""
    cast.project.sensitive_categories = ["violence"]
    cast.project.save(update_fields=["sensitive_categories"])
    Item.objects.update(category="violence")
    return cast


def test_sensitive_images_are_blurred_everywhere_until_asked_for(sensitive: Cast, window: Windows) -> None:
    page = window(sensitive.bob).open(rank_path(sensitive))
    assert _blurred(page, ".tile-image img") == [True] * 4
    expect(tile(page, "A")).to_have_attribute("aria-label", "Image A, blurred, not ranked")
    keys(page, "b", "ArrowLeft")
    assert _blurred(page, ".slot .chip img") == [True]
    keys(page, "l")
    assert _blurred(page, ".tile-image img") == [False, True, True, True]
    keys(page, " ")
    assert _blurred(page, ".zoom-view img") == [False, True, True, True]
    page.locator(".zoom-view .look").first.click()
    assert _blurred(page, ".zoom-view img") == [False, False, True, True]
    keys(page, "Shift+L")
    assert _blurred(page, ".zoom-view img") == [False] * 4
    keys(page, "Escape")
    assert _blurred(page, ".slot .chip img") == [False]
    expect(page.locator("#look-all")).to_be_hidden()
    keys(page, "Enter")
    wait_for_item(page)
    assert _blurred(page, ".tile-image img") == [True] * 4, "the next item is asked for anew"
    page.locator(".tile .look").nth(2).click()
    assert _blurred(page, ".tile-image img") == [True, True, False, True]
    page.locator("#look-all").click()
    assert _blurred(page, ".tile-image img") == [False] * 4


def test_who_switched_blur_off_sees_them_at_once(sensitive: Cast, window: Windows) -> None:
    change_profile(sensitive.bob, {"blur": False})
    page = window(sensitive.bob).open(rank_path(sensitive))
    assert _blurred(page, ".tile-image img") == [False] * 4
    expect(page.locator("#look-all")).to_be_hidden()


def _blurred(page: Page, selector: str) -> list[bool]:
    script = "all => all.map((one) => getComputedStyle(one).filter.includes('blur'))"
    return list(page.locator(selector).evaluate_all(script))
