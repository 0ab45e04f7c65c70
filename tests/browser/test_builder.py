"""Forms are made in the builder: by mouse alone, by finger, by keys alone."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.acting import drag_by_finger, keys, point
from tests.browser.building import (
    FORM,
    Windows,
    announced,
    build,
    card,
    drag_to,
    make,
    names,
    offer,
    saved,
    stored,
)
from tests.browser.test_project_pages import quiet
from tests.cast import Cast


def test_a_form_is_made_by_mouse_alone(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice)
    template = make(committed_cast)
    page = build(alice, committed_cast, template)
    expect(page.get_by_text("Nothing in the form yet")).to_be_visible()
    page.mouse.move(*point(offer(page, "input"), 0.3))
    page.mouse.down()
    page.mouse.move(*point(page.locator("#form-empty")), steps=6)
    page.mouse.up()
    offer(page, "group").click()
    assert names(page) == ["title", "details", "inner"]
    drag_to(page, offer(page, "date"), card(page, "title"), 0.1)
    drag_to(page, offer(page, "slider"), card(page, "inner"), 0.9)
    assert names(page) == ["taken_on", "title", "details", "inner", "sure"]
    drag_to(page, card(page, "taken_on"), card(page, "inner"), 0.2)
    drag_to(page, card(page, "sure"), card(page, "title"), 0.2)
    announced(page, "Moved to place 1 of 3")
    saved(page)
    assert stored(template) == ["sure", "title", ["details", ["taken_on", "inner"]]]

    card(page, "inner").click()
    page.get_by_role("button", name="Duplicate").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Move out of what holds it").click()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Redo").click()
    saved(page)
    assert stored(template) == ["sure", "title", ["details", ["taken_on"]], "inner"]
    quiet(alice)


def test_a_drag_that_makes_no_sense_does_nothing(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice)
    template = make(committed_cast, *FORM)
    page = build(alice, committed_cast, template)
    before = names(page)
    page.mouse.move(*point(card(page, "details"), 0.3))
    page.mouse.down()
    page.mouse.move(*point(card(page, "best_of"), 0.5, 0.2), steps=4)
    expect(page.locator(".drag-ghost")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".drag-ghost")).to_be_hidden()
    page.mouse.up()
    page.mouse.move(*point(card(page, "prompt"), 0.3))
    page.mouse.down()
    page.mouse.move(5, 400, steps=4)
    page.mouse.up()
    assert names(page) == before
    quiet(alice)


def test_columns_tabs_and_empty_groups_take_what_is_dropped_on_them(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice, height=1400)
    template = make(
        committed_cast,
        {"type": "columns", "name": "beside", "components": [{"type": "input", "name": "left"}]},
        {"type": "tabs", "name": "parts", "components": [{"type": "group", "name": "one", "components": []}]},
        {"type": "date", "name": "day"},
    )
    page = build(alice, committed_cast, template)
    drag_to(page, offer(page, "number"), page.locator("[data-list] .part-none"), 0.5)
    left = card(page, "left")  # columns stand beside each other: the line is to its right
    saved(page)
    page.mouse.move(*point(card(page, "day"), 0.3))
    page.mouse.down()
    page.mouse.move(*point(left, 0.9, 0.5), steps=6)
    line = page.locator(".drop-line").bounding_box()
    assert line and line["height"] > line["width"]
    page.mouse.up()
    saved(page)
    assert stored(template) == [["beside", ["left", "day"]], ["parts", [["one", ["people"]]]]]
    # Tabs hold groups only: an input that is dropped on one goes beside them, a group becomes one more.
    drag_to(page, offer(page, "input"), card(page, "one"), 0.1)
    drag_to(page, offer(page, "group"), card(page, "one"), 0.1)
    saved(page)
    assert stored(template)[1:] == ["title", ["parts", [["details", ["inner"]], ["one", ["people"]]]]]
    card(page, "parts").click()
    offer(page, "slider").click()
    saved(page)
    assert stored(template)[2][1][1] == ["one", ["people", "sure"]], "a click adds to the last tab"
    quiet(alice)


def test_a_finger_drags_by_the_handle_and_scrolls_elsewhere(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice, width=1100, height=820, has_touch=True)
    template = make(committed_cast, *FORM)
    page = build(alice, committed_cast, template)
    drag_by_finger(page, card(page, "images").locator(".grip"), card(page, "prompt"), 0.3, 0.1)
    saved(page)
    assert stored(template)[:2] == ["images", "prompt"]
    drag_by_finger(page, card(page, "best_of").locator(".part-label"), card(page, "images"), 0.3, 0.1)
    assert names(page)[:3] == ["images", "prompt", "best_of"]


def test_a_form_is_made_by_keys_alone(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice)
    template = make(committed_cast)
    page = build(alice, committed_cast, template)

    def find(words: str) -> None:
        keys(page, "/", "Control+a")
        page.keyboard.type(words)
        keys(page, "Enter")

    find("image grid")
    find("text area")
    find("group")
    keys(page, "Escape", "ArrowDown")  # the filter is empty, and the palette has the focus
    expect(offer(page, "input")).to_be_focused()
    keys(page, "Tab", "Tab")  # past Undo; the palette is one stop
    expect(page.locator("[role=treeitem][aria-selected=true]")).to_be_focused()
    assert names(page) == ["images", "why", "details", "inner"]
    keys(page, "ArrowUp", "Alt+ArrowRight")
    announced(page, "Moved to place 1 of 2 in Group “Details”")
    saved(page)
    assert stored(template) == ["images", ["details", ["why", "inner"]]]
    keys(page, "Alt+ArrowDown", "Control+d")
    assert names(page) == ["images", "details", "inner", "why", "why_2"]
    keys(page, "Alt+ArrowLeft")
    announced(page, "Moved to place 3 of 3")
    keys(page, "Delete", "Control+z")
    keys(page, "Home", "ArrowDown", "ArrowRight")
    expect(page.locator("[role=treeitem][aria-selected=true]")).to_have_attribute("aria-label", re.compile("Input"))
    keys(page, "ArrowLeft", "F2", "Control+a")
    page.keyboard.type("More about it")
    keys(page, "Escape", "Control+c", "Control+v")
    assert names(page)[-4:] == ["details_2", "inner_2", "why_3", "why_2"]
    keys(page, "Control+x", "Control+Shift+z")
    saved(page)
    assert stored(template) == ["images", ["details", ["inner", "why"]], "why_2"]
    assert template.draft.definition["components"][1]["label"] == "More about it"
    keys(page, "Control+z", "Control+y", "?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    keys(page, "Escape")
    expect(page.get_by_role("heading", name="Keys")).to_be_hidden()
    assert names(page)[-1] == "why_2"
    quiet(alice)


def test_a_condition_is_made_by_choosing_and_reads_as_a_sentence(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice)
    template = make(committed_cast, *FORM)
    page = build(alice, committed_cast, template)
    card(page, "details").click()
    field = page.locator(".field", has=page.locator("#property-visible_if"))
    field.locator("#property-visible_if").select_option(label="Rank the images, best first")
    assert field.locator("#property-visible_if-op option").all_text_contents() == ["is answered", "is not answered"]
    expect(field).to_contain_text("“Rank the images, best first” is answered.")
    card(page, "why").click()
    field.locator("#property-visible_if-op").select_option(label="is not")
    field.locator("#property-visible_if-value").select_option(label="No")
    expect(card(page, "why")).to_contain_text("shown if “Is it safe to show?” is not “No”")
    saved(page)
    kept = template.draft
    kept.refresh_from_db()
    group = kept.definition["components"][3]
    assert group["visible_if"] == {"name": "best_of", "op": "answered"}
    assert group["components"][1]["visible_if"] == {"name": "safe", "op": "is_not", "value": "no"}

    card(page, "safe").click()
    page.get_by_label("Name", exact=True).fill("harmless")
    page.get_by_label("Name", exact=True).press("Enter")
    saved(page)
    kept.refresh_from_db()
    assert kept.definition["components"][3]["components"][1]["visible_if"]["name"] == "harmless"
    card(page, "why").click()
    field.locator("#property-visible_if").select_option(label="Always")
    expect(card(page, "why")).not_to_contain_text("shown if")
    quiet(alice)


def test_a_problem_is_marked_at_its_field_and_gone_once_it_is_mended(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice)
    page = build(alice, committed_cast, make(committed_cast, *FORM))
    expect(page.get_by_role("heading", name="Problems: none")).to_be_visible()
    expect(page.locator("iframe.is-shown")).to_be_visible()
    card(page, "best_of").click()
    page.get_by_label("Levels").fill("77")
    problem = page.locator("#problems-list .problem")
    expect(problem).to_contain_text("less than or equal to 9")
    expect(card(page, "best_of")).to_contain_text("1 problem")
    expect(page.get_by_label("Levels")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#property-levels-error")).to_contain_text("less than or equal to 9")
    expect(page.locator("#preview-note")).to_contain_text("Mend them")
    card(page, "prompt").click()
    problem.click()
    expect(page.get_by_label("Levels")).to_be_focused()
    page.get_by_label("Levels").fill("3")
    expect(page.get_by_role("heading", name="Problems: none")).to_be_visible()
    expect(page.locator("#preview-note")).to_be_hidden()

    card(page, "safe").click()
    page.get_by_role("button", name="Add an option").click()
    page.get_by_label("Value of option 3").fill("yes")
    expect(page.locator("#property-options-error")).to_contain_text("Two options have the value")
    page.get_by_label("Value of option 3").fill("perhaps")
    page.get_by_role("button", name="Move up option 3").click()
    expect(page.get_by_role("heading", name="Problems: none")).to_be_visible()
    expect(page.get_by_label("Value of option 2")).to_have_value("perhaps")
    page.get_by_label("Name", exact=True).fill("why")
    page.get_by_label("Name", exact=True).press("Enter")
    expect(page.locator("#property-name-error")).to_contain_text("Another component is named why")
