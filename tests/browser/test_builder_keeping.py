"""What is made in the builder is shown, kept, exchanged and published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.utils import timezone
from easel.forms.drafts import save_draft
from playwright.sync_api import Dialog, Page, expect

from tests.browser.acting import keys
from tests.browser.building import FORM, Windows, announced, build, card, definition, make, names, saved
from tests.browser.test_project_pages import quiet
from tests.cast import Cast


def test_the_preview_shows_what_annotators_get_and_follows(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice)
    page = build(alice, committed_cast, make(committed_cast, *FORM))
    shown = page.frame_locator("iframe.is-shown")
    expect(shown.locator(".tile-image")).to_have_count(4)
    card(page, "images").click()
    page.get_by_label("Count", exact=True).fill("2")
    expect(shown.locator(".tile-image")).to_have_count(2)
    expect(page.locator("iframe")).to_have_count(1)
    page.get_by_role("button", name="Phone").click()
    box = page.locator("iframe.is-shown").bounding_box()
    assert box and box["width"] == pytest.approx(390, abs=2)
    page.get_by_label("Count", exact=True).focus()
    before = page.evaluate("history.length")
    for number in (3, 4):
        page.get_by_label("Count", exact=True).fill(str(number))
        expect(shown.locator(".tile-image")).to_have_count(number)
    assert page.evaluate("history.length") == before, "the Back button leaves the builder"
    page.wait_for_timeout(500)
    expect(page.get_by_label("Count", exact=True)).to_be_focused()
    page.locator("#preview-frames").hover()
    shown.locator(".tile-image").first.click()  # it can be tried out
    page.locator("#preview-enter").focus()
    keys(page, "Enter")
    assert page.evaluate("document.activeElement.tagName") == "IFRAME"
    quiet(alice)


def test_what_is_typed_survives_a_reload_and_a_lost_connection(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice)
    template = make(committed_cast, *FORM)
    page = build(alice, committed_cast, template)
    card(page, "why").click()
    page.get_by_label("Label").fill("Why so?")
    saved(page)
    page.reload()
    expect(card(page, "why")).to_contain_text("Why so?")

    page.route("**/draft/", lambda route: route.abort())
    card(page, "why").click()
    page.get_by_label("Label").fill("Kept in this browser")
    expect(page.locator("#saved")).to_have_text("Offline: kept in this browser")
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.once("dialog", leave)
    page.reload()
    assert asked == ["beforeunload"], "nobody leaves what is unsaved without being asked"
    page.unroute("**/draft/")
    expect(card(page, "why")).to_contain_text("Kept in this browser")
    saved(page)
    template.draft.refresh_from_db()
    assert template.draft.definition["components"][3]["components"][1]["label"] == "Kept in this browser"
    page.reload()
    assert asked == ["beforeunload"]


def test_what_this_browser_kept_of_an_older_draft_is_asked_about(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice)
    template = make(committed_cast, *FORM)
    page = build(alice, committed_cast, template)
    page.route("**/draft/", lambda route: route.abort())
    card(page, "prompt").click()
    page.get_by_label("Label").fill("From the train")
    expect(page.locator("#saved")).to_have_attribute("data-state", "offline")
    page.on("dialog", lambda dialog: dialog.accept())
    save_draft(template, definition(*FORM[:3]), 1, committed_cast.erin, timezone.now())
    page.unroute("**/draft/")
    page.goto("about:blank")
    page = build(alice, committed_cast, template)
    expect(page.get_by_role("heading", name="There is a newer draft")).to_be_visible()
    expect(page.locator("#stale-who")).to_contain_text("erin")
    page.get_by_role("button", name="Keep mine").click()
    saved(page)
    assert len(names(page)) == 6
    template.draft.refresh_from_db()
    assert template.draft.definition["components"][0]["label"] == "From the train"


def test_a_save_that_is_refused_says_why_and_keeps_what_was_done(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice)
    page = build(alice, committed_cast, make(committed_cast, *FORM))
    no = {"status": 401, "json": {"code": "not_authenticated", "detail": "Sign in."}}
    page.route("**/draft/", lambda route: route.fulfill(**no))
    card(page, "prompt").click()
    page.get_by_label("Label").fill("Signed out meanwhile")
    expect(page.get_by_role("alert").filter(has_text="Your session has ended")).to_be_visible()
    expect(page.locator("#saved")).to_have_text("Not saved")
    page.unroute("**/draft/")
    page.get_by_label("Label").fill("Signed in again")
    saved(page)


def test_what_this_easel_does_not_know_is_shown_and_can_be_taken_out(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice)
    template = make(committed_cast, {"type": "zebra", "name": "stripes"}, {**FORM[0], "colour": "red"})
    page = build(alice, committed_cast, template)
    expect(page.get_by_role("heading", name="Problems: 2")).to_be_visible()
    expect(card(page, "stripes")).to_contain_text("Unknown component zebra")
    card(page, "stripes").click()
    page.get_by_role("button", name="Delete").click()
    card(page, "prompt").click()
    page.get_by_role("button", name="Take it out").click()
    expect(page.get_by_role("heading", name="Problems: none")).to_be_visible()
    saved(page)
    template.draft.refresh_from_db()
    assert template.draft.definition == definition(FORM[0])
    quiet(alice)


def test_a_form_of_a_hundred_components_is_typed_into_without_waiting(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice)
    many = [{"type": "input", "name": f"input_{n}", "label": f"Number {n}"} for n in range(99)]
    page = build(alice, committed_cast, make(committed_cast, FORM[1], *many))
    card(page, "input_50").click()
    spent = page.evaluate(
        """() => {
          const field = document.getElementById("property-label");
          const times = [];
          for (let n = 0; n < 20; n += 1) {
            const began = performance.now();
            field.value += "x";
            field.dispatchEvent(new Event("input"));
            document.body.offsetHeight;
            times.push(performance.now() - began);
          }
          return times.sort((a, b) => a - b)[10];
        }"""
    )
    print(f"a key in a form of 100 components: {spent:.1f} ms")
    assert spent < 100


def test_two_tabs_are_told_of_each_other(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice)
    template = make(committed_cast, *FORM)
    one, two = build(alice, committed_cast, template), build(alice, committed_cast, template)

    def label(page: Page, words: str) -> None:
        card(page, "prompt").click()
        page.get_by_label("Label").fill(words)

    label(one, "From one")
    saved(one)
    label(two, "From two")
    expect(two.get_by_role("heading", name="There is a newer draft")).to_be_visible()
    two.get_by_role("button", name="Take the newer one").click()
    expect(card(two, "prompt")).to_contain_text("From one")
    saved(two)
    two.get_by_role("button", name="Undo").click()
    expect(card(two, "prompt")).to_contain_text("From two")
    saved(two)
    label(one, "From one again")
    one.get_by_role("button", name="Keep mine").click()
    saved(one)
    template.draft.refresh_from_db()
    assert template.draft.definition["components"][0]["label"] == "From one again"


def test_a_form_goes_out_as_json_and_comes_in_again(committed_cast: Cast, window: Windows, tmp_path: Path) -> None:
    alice = window(committed_cast.alice)
    template = make(committed_cast, *FORM)
    page = build(alice, committed_cast, template)
    page.get_by_text("JSON", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    assert download.value.suggested_filename == "rank-and-say-why.json"
    download.value.save_as(tmp_path / "form.json")
    assert json.loads((tmp_path / "form.json").read_text()) == definition(*FORM)

    def bring(text: str) -> None:
        page.get_by_text("JSON", exact=True).click()
        page.get_by_role("button", name="Import…").click()
        page.get_by_label("or its text").fill(text)
        page.get_by_role("button", name="Replace the form").click()

    bring('{"components": [')
    expect(page.locator("#import-problem")).to_contain_text("This is no JSON")
    keys(page, "Escape")
    bring(json.dumps(definition({"type": "divider", "name": "line"})))
    assert names(page) == ["line"]
    page.get_by_role("button", name="Undo").click()
    assert len(names(page)) == 6
    page.get_by_role("button", name="Redo").click()
    page.get_by_text("JSON", exact=True).click()
    page.get_by_role("button", name="Import…").click()
    page.get_by_label("File").set_input_files(tmp_path / "form.json")
    expect(page.get_by_label("or its text")).not_to_be_empty()
    page.get_by_role("button", name="Replace the form").click()
    saved(page)
    template.draft.refresh_from_db()
    assert template.draft.definition == definition(*FORM)
    quiet(alice)


def test_publishing_says_what_changed_and_a_renamed_component_keeps_its_answers(
    committed_cast: Cast, window: Windows
) -> None:
    alice = window(committed_cast.alice)
    template = make(committed_cast, *FORM)
    page = build(alice, committed_cast, template)
    page.get_by_role("button", name="Publish version 1").click()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#build-notices").get_by_text("Version 1 is published")).to_be_visible()
    card(page, "safe").click()
    page.get_by_label("Name", exact=True).fill("harmless")
    page.get_by_label("Name", exact=True).press("Enter")
    announced(page, "stays readable")
    expect(page.locator("#property-formerly")).to_contain_text("safe")
    saved(page)
    page.get_by_role("button", name="Publish version 2").click()
    expect(page.locator("#publish-changes")).to_contain_text("since version 1")
    expect(page.locator("#publish-changes li").first).to_contain_text("harmless")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#build-notices").get_by_text("Version 2 is published")).to_be_visible()
    assert template.latest().number == 2
    assert template.latest().form.translated({"safe": "yes"}) == {"harmless": "yes"}
    quiet(alice)
