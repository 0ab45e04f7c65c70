"""Ranking with keys, mouse and touch: what is pressed and dragged is what is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from easel.annotation.models import Assignment
from playwright.sync_api import FloatRect, Page, expect

from tests.browser.acting import chip, drag, drag_by_finger, keys, letters, rows, saved, strip, tile, until
from tests.browser.conftest import Window, rank_path, wait_for_item
from tests.cast import Cast

Windows = Callable[..., Window]


@pytest.fixture
def page(cast: Cast, window: Windows) -> Page:
    """bob's ranking page, with an item on it."""
    return window(cast.bob).open(rank_path(cast))


@pytest.fixture
def phone(cast: Cast, window: Windows) -> Page:
    """The same on a telephone."""
    return window(cast.bob, width=390, height=844, has_touch=True, is_mobile=True).open(rank_path(cast))


def test_letters_and_enter_rank_an_item_and_the_next_one_comes(page: Page) -> None:
    prompt = page.locator("[data-prompt]").inner_text()
    keys(page, "c", "a", "d", "b", "Enter")
    expect(page.locator("[data-prompt]")).not_to_have_text(prompt)
    [row] = rows(1)
    assert letters(row) == ["C", "A", "D", "B"]
    assert row.answers == {"ranking": row.ranking}
    assert 0 < row.active_ms < 30_000
    expect(page.locator("#day")).to_contain_text("1 today")
    assert strip(page) == ["", "", "", ""]


def test_shift_ties_an_image_with_the_one_before(page: Page) -> None:
    keys(page, "a", "c", "Shift+D", "b")
    assert strip(page) == ["A", "CD", "B", ""]
    expect(tile(page, "C")).to_have_attribute("aria-label", "Image C, place 2, tied with D")
    keys(page, "Enter")
    [row] = rows(1)
    assert letters(row) == ["A", "CD", "B"]


def test_arrows_choose_an_image_and_digits_give_it_a_place(page: Page) -> None:
    keys(page, "ArrowRight", "3")
    expect(tile(page, "B")).to_be_focused()
    keys(page, "ArrowRight", "1", "ArrowRight", "1", "ArrowLeft", "ArrowLeft", "ArrowLeft", "2")
    expect(tile(page, "A")).to_be_focused()
    assert strip(page) == ["CD", "A", "B", ""]
    keys(page, "0")
    assert strip(page) == ["CD", "", "B", ""]
    keys(page, "Enter")
    [row] = rows(1)
    assert letters(row) == ["CD", "B"], "a gap is closed, and an unranked image is absent"


def test_a_letter_pressed_again_takes_the_image_out(page: Page) -> None:
    keys(page, "a", "b", "a")
    assert strip(page) == ["", "B", "", ""]
    keys(page, "c")
    assert strip(page) == ["C", "B", "", ""], "the free place is filled"


def test_undo_and_redo_go_through_the_moves(page: Page) -> None:
    keys(page, "a", "b", "Shift+C")
    keys(page, "z", "z")
    assert strip(page) == ["A", "", "", ""]
    keys(page, "Shift+Z")
    assert strip(page) == ["A", "B", "", ""]
    keys(page, "Control+z", "z", "z")
    assert strip(page) == ["", "", "", ""]
    expect(page.locator("#undo")).to_be_disabled()
    page.locator("#redo").click()
    assert strip(page) == ["A", "", "", ""]
    expect(page.locator("#announcer")).to_have_text("Redone. A, place 1.")


def test_the_mouse_drags_images_to_places_between_places_and_out(page: Page) -> None:
    slots = page.locator(".slot")
    drag(page, tile(page, "B"), slots.nth(0), 0.7)
    drag(page, tile(page, "D"), slots.nth(1))
    assert strip(page) == ["B", "D", "", ""]
    drag(page, tile(page, "A"), slots.nth(1), 0.03)
    assert strip(page) == ["B", "A", "D", ""], "dropped between two places, it makes one"
    drag(page, tile(page, "C"), slots.nth(0), 0.5)
    assert strip(page) == ["BC", "A", "D", ""], "dropped onto a place, it shares it"
    drag(page, chip(page, "D"), slots.nth(0), 0.01)
    assert strip(page) == ["D", "BC", "A", ""]
    drag(page, chip(page, "A"), tile(page, "A"))
    assert strip(page) == ["D", "BC", "", ""], "dragged away from the strip, it leaves the ranking"
    page.locator("#submit").click()
    [row] = rows(1)
    assert letters(row) == ["D", "BC"]


def test_a_drag_is_cancelled_by_escape_and_presses_nothing(page: Page) -> None:
    page.mouse.move(*_middle(page, "A"))
    page.mouse.down()
    page.mouse.move(*_middle(page, "C"), steps=4)
    assert page.locator(".ghost").count() == 1
    keys(page, "Escape")
    assert page.locator(".ghost").count() == 0
    page.mouse.up()
    assert strip(page) == ["", "", "", ""]


def test_an_image_dropped_on_a_ranked_image_ties_with_it(page: Page) -> None:
    keys(page, "b")
    drag(page, tile(page, "D"), tile(page, "B"))
    assert strip(page) == ["BD", "", "", ""]


def test_clicks_rank_in_order(page: Page) -> None:
    for letter in "DBA":
        tile(page, letter).click()
    tile(page, "C").click(modifiers=["Shift"])
    assert strip(page) == ["D", "B", "AC", ""]
    keys(page, "Enter")
    [row] = rows(1)
    assert letters(row) == ["D", "B", "AC"]


def test_the_undo_button_leaves_enter_to_submit(page: Page) -> None:
    for letter in "DB":
        tile(page, letter).click()
    page.locator("#undo").click()
    keys(page, "Enter")
    [row] = rows(1)
    assert letters(row) == ["D"]


def test_a_finger_taps_in_order_and_drags_by_the_handle(phone: Page) -> None:
    slots = phone.locator(".slot")
    tile(phone, "C").tap()
    tile(phone, "A").tap()
    drag_by_finger(phone, phone.locator(".tile-grip").nth(1), slots.nth(0), 0.5, 0.6)
    assert strip(phone) == ["BC", "A", "", ""]
    drag_by_finger(phone, phone.locator(".tile-grip").nth(3), slots.nth(1), 0.03)
    assert strip(phone) == ["BC", "D", "A", ""]
    drag_by_finger(phone, chip(phone, "A"), slots.nth(0), 0.02)
    assert strip(phone) == ["A", "BC", "D", ""]
    tile(phone, "D").tap()
    assert strip(phone) == ["A", "BC", "", ""]
    tile(phone, "D").tap()
    slots.nth(0).locator(".slot-number").tap()
    assert strip(phone) == ["AD", "BC", "", ""], "a place that is tapped takes the image that was tapped last"
    phone.locator("#submit").tap()
    [row] = rows(1)
    assert letters(row) == ["AD", "BC"]


def test_a_finger_on_an_image_scrolls_and_drags_nothing(phone: Page) -> None:
    assert phone.evaluate("document.documentElement.scrollHeight > innerHeight")
    drag_by_finger(phone, tile(phone, "C"), tile(phone, "A"))
    until(lambda: phone.evaluate("scrollY") > 0)
    assert strip(phone) == ["", "", "", ""]


def test_what_a_finger_touches_is_large_enough(phone: Page) -> None:
    small = phone.evaluate(
        """() => [...document.querySelectorAll('button, a, summary, label.check, .tile-grip, .chip')]
             .filter((one) => one.checkVisibility() && !one.matches('.skip-link, .slot-number'))
             .map((one) => [one.className || one.tagName, one.getBoundingClientRect()])
             .filter(([, box]) => box.width && (box.height < 43.5 || box.width < 43.5))
             .map(([name, box]) => `${name} ${box.width}x${box.height}`)"""
    )
    assert small == []


def test_none_is_acceptable_counts_without_a_ranking(page: Page) -> None:
    keys(page, "x", "Enter")
    [row] = rows(1)
    assert row.all_bad
    assert row.answers == {"all_bad": True}


def test_none_is_acceptable_stands_beside_a_ranking(page: Page) -> None:
    keys(page, "b", "a", "x", "Enter")
    [row] = rows(1)
    assert row.all_bad
    assert letters(row) == ["B", "A"]


def test_without_an_answer_the_component_is_named_and_nothing_is_sent(page: Page) -> None:
    keys(page, "Enter")
    expect(page.locator(".ranking .error")).to_contain_text("“Rank” has no image yet")
    rows(0)
    keys(page, "a")
    expect(page.locator(".ranking .error")).to_be_hidden()


def test_typing_ranks_nothing_and_control_enter_submits(page: Page) -> None:
    keys(page, "a", "t")
    expect(page.locator("textarea")).to_be_focused()
    page.keyboard.type("bad cat? zoom! 1 2 xsz")
    keys(page, "Enter")
    page.keyboard.type("second line")
    assert strip(page) == ["A", "", "", ""]
    keys(page, "Escape")
    expect(tile(page, "A")).to_be_focused()
    keys(page, "b", "t", "Control+Enter")
    [row] = rows(1)
    assert letters(row) == ["A", "B"]
    assert row.answers["rationale"] == "bad cat? zoom! 1 2 xsz\nsecond line"
    expect(page.locator("textarea")).to_have_value("")


def test_skipping_asks_for_a_reason_and_goes_on(page: Page) -> None:
    prompt = page.locator("[data-prompt]").inner_text()
    keys(page, "s")
    expect(page.locator("#skip-dialog")).to_be_visible()
    keys(page, "Escape")
    expect(page.locator("[data-prompt]")).to_have_text(prompt)
    keys(page, "s", "2")
    expect(page.locator("[data-prompt]")).not_to_have_text(prompt)
    skipped = until(lambda: list(Assignment.objects.filter(state=Assignment.State.SKIPPED)))
    assert [one.skip_reason for one in skipped] == ["broken_images"]
    rows(0)


def test_space_enlarges_all_images_together(page: Page) -> None:
    keys(page, "Space")
    expect(page.locator("#zoom")).to_be_visible()
    view = page.locator(".zoom-view").first
    box = view.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -400)
    until(lambda: page.locator(".zoom-scale").inner_text() != "1×")
    assert len(set(_transforms(page))) == 1, "all images move as one"
    wheeled = _transforms(page)[0]
    assert wheeled != "matrix(1, 0, 0, 1, 0, 0)"
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.4, steps=4)
    page.mouse.up()
    dragged = _transforms(page)
    assert len(set(dragged)) == 1
    assert dragged[0] != wheeled
    keys(page, "ArrowLeft", "+")
    assert len(set(_transforms(page))) == 1
    assert _transforms(page)[0] != dragged[0]
    keys(page, "0")
    assert set(_transforms(page)) == {"matrix(1, 0, 0, 1, 0, 0)"}
    keys(page, "Space")
    expect(page.locator("#zoom")).to_be_hidden()
    expect(tile(page, "A")).to_be_focused()
    assert strip(page) == ["", "", "", ""]


def test_two_fingers_enlarge(cast: Cast, window: Windows) -> None:
    page = window(cast.bob, width=390, height=844, has_touch=True, is_mobile=True).open(rank_path(cast))
    page.locator(".tile-zoom").first.tap()
    expect(page.locator("#zoom")).to_be_visible()
    box = page.locator(".zoom-view").first.bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    middle = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    for kind, apart in (("touchStart", 20), ("touchMove", 30), ("touchMove", 50), ("touchMove", 60)):
        points = [
            {"x": middle["x"] - apart, "y": middle["y"], "id": 0},
            {"x": middle["x"] + apart, "y": middle["y"], "id": 1},
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator(".zoom-scale")).to_have_text("3×")
    assert len(set(_transforms(page))) == 1


def test_two_images_flip_in_the_same_spot(page: Page) -> None:
    keys(page, "ArrowRight", "v")
    spot, first = _alone(page)
    assert first == "B"
    keys(page, "+", "+", "ArrowDown")
    before = _transforms(page)[0]
    keys(page, "v")
    other_spot, second = _alone(page)
    assert (second, other_spot) == ("C", spot)
    assert set(_transforms(page)) == {before}, "the zoom stays where it was"
    keys(page, "v")
    assert _alone(page)[1] == "B"
    keys(page, "d")
    assert _alone(page)[1] == "D"
    keys(page, "v")
    assert _alone(page)[1] == "B", "it flips between the two that were looked at"
    keys(page, "c", "c", "c")
    assert _alone(page)[1] == "C", "the letter of the image that is shown flips back, too"
    keys(page, "2", "Escape")
    assert strip(page) == ["", "C", "", ""], "digits rank while enlarged"


def test_c_flips_where_no_image_is_called_c(make_cast: Callable[..., Cast], window: Windows) -> None:
    cast = make_cast(items=1, count=2)
    page = window(cast.bob).open(rank_path(cast))
    keys(page, "c")
    assert _alone(page)[1] == "A"
    keys(page, "c")
    assert _alone(page)[1] == "B"
    keys(page, "Escape", "b", "a", "Enter")
    [row] = rows(1)
    assert letters(row) == ["B", "A"]


def test_the_keys_sheet_opens_and_closes(page: Page) -> None:
    keys(page, "?")
    expect(page.locator("#keys")).to_be_visible()
    keys(page, "a", "Enter")
    keys(page, "Escape")
    expect(page.locator("#keys")).to_be_hidden()
    assert strip(page) == ["", "", "", ""]
    rows(0)


def test_letters_work_on_a_cyrillic_keyboard_and_a_french_digit_row(page: Page) -> None:
    for key, code in (("ф", "KeyA"), ("с", "KeyC")):
        _press(page, key, code)
    assert strip(page) == ["A", "C", "", ""]
    _press(page, "à", "Digit4")
    assert strip(page) == ["A", "", "", "C"]


def test_a_form_without_ties_moves_the_others_down(make_cast: Callable[..., Cast], window: Windows) -> None:
    form = json.loads((Path(__file__).parents[2] / "templates/forms/rlhf-image-ranking-batch/form.json").read_text())
    definition: dict[str, Any] = form["definition"]
    ranking = next(part for part in definition["components"] if part["type"] == "ranking")
    ranking |= {"ties": False, "partial": False}
    definition["components"].insert(
        0, {"type": "markdown", "name": "intro", "text": "Rank by **truth** to the prompt."}
    )
    cast = make_cast(items=1, definition=definition)
    page = window(cast.bob).open(rank_path(cast))
    expect(page.locator("[data-component=intro] strong")).to_have_text("truth")
    keys(page, "a", "b", "Shift+C")
    assert strip(page) == ["A", "B", "", ""]
    keys(page, "c", "1")
    assert strip(page) == ["C", "A", "B", ""]
    keys(page, "Enter")
    expect(page.locator(".ranking .error")).to_contain_text("“Rank” misses D")
    keys(page, "d", "Enter")
    [row] = rows(1)
    assert letters(row) == ["C", "A", "B", "D"]


def test_nine_images_rank_on_five_levels(make_cast: Callable[..., Cast], window: Windows) -> None:
    cast = make_cast(items=1, count=9)
    page = window(cast.bob, width=1280, height=800).open(rank_path(cast))
    assert page.locator(".tile:visible").count() == 9
    assert page.locator(".slot").count() == 5
    keys(page, *"abcdefghi")
    assert strip(page) == ["A", "B", "C", "D", "EFGHI"]
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), "all fits without scrolling"
    keys(page, "Enter")
    [row] = rows(1)
    assert letters(row) == ["A", "B", "C", "D", "EFGHI"]


@pytest.mark.parametrize("size", [(1440, 900), (1280, 800)])
def test_prompt_images_and_answers_fit_the_window(cast: Cast, window: Windows, size: tuple[int, int]) -> None:
    page = window(cast.bob, width=size[0], height=size[1]).open(rank_path(cast))
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    widths = {round(box["width"]) for box in (one.bounding_box() for one in page.locator(".tile-image").all()) if box}
    assert len(widths) == 1
    assert widths.pop() >= size[0] // 5


def test_an_image_that_does_not_load_can_be_tried_again(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    broken = {"n": 0}

    def fail_first(route: Any) -> None:
        broken["n"] += 1
        if broken["n"] == 1:
            route.abort()
        else:
            route.continue_()

    mine.context.route("**/images/**", fail_first)
    page = mine.open(rank_path(cast), wait=False)
    problem = page.locator(".tile-problem:visible")
    expect(problem).to_contain_text("did not load")
    problem.locator("button").click()
    wait_for_item(page)
    assert strip(page) == ["", "", "", ""]


def test_moves_are_told_to_screen_readers(page: Page) -> None:
    keys(page, "b")
    expect(page.locator("#announcer")).to_have_text("B, place 1.")
    keys(page, "Shift+C")
    expect(page.locator("#announcer")).to_have_text("C, place 1, tied with B.")
    keys(page, "z")
    expect(page.locator("#announcer")).to_have_text("Undone. C, not ranked.")
    saved(page)


def _transforms(page: Page) -> list[str]:
    views: list[str] = page.locator(".zoom-view img").evaluate_all(
        "all => all.filter((one) => one.checkVisibility()).map((one) => getComputedStyle(one).transform)"
    )
    return views


def _alone(page: Page) -> tuple[FloatRect, str]:
    pane = page.locator(".zoom-pane:visible")
    expect(pane).to_have_count(1)
    box = pane.locator(".zoom-view").bounding_box()
    assert box
    return box, pane.locator("figcaption b").inner_text()


def _middle(page: Page, letter: str) -> tuple[float, float]:
    box = tile(page, letter).bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _press(page: Page, key: str, code: str) -> None:
    page.evaluate(
        """([key, code]) => document.activeElement.dispatchEvent(
             new KeyboardEvent('keydown', { key, code, bubbles: true, cancelable: true }))""",
        [key, code],
    )
