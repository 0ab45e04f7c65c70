"""The builder in a real browser: forms made by mouse alone and by keys alone, nothing lost, nothing run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from easel.forms.models import Template
from easel.forms.palette import palette
from easel.forms.reading import problems_of
from easel.projects.template_services import make_template
from playwright.sync_api import Locator, Page, expect

from tests.browser.acting import drag_by_finger, keys, point
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
    source.scroll_into_view_if_needed()
    target.scroll_into_view_if_needed()
    page.mouse.move(*point(source, 0.3))
    page.mouse.down()
    page.mouse.move(*point(target, 0.5, y), steps=6)
    expect(page.locator(".drop-line")).to_be_visible()
    page.mouse.up()
    expect(page.locator(".drop-line")).to_be_hidden()


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
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    assert asked == ["beforeunload"], "nobody leaves what is unsaved without being asked"
    page.unroute("**/draft/")
    expect(card(page, "why")).to_contain_text("Kept in this browser")
    saved(page)
    template.draft.refresh_from_db()
    assert template.draft.definition["components"][3]["components"][1]["label"] == "Kept in this browser"
    page.reload()
    assert asked == ["beforeunload"]


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


PAYLOADS = (
    "<script>window.ran = 1</script>",
    "<img src=x onerror='window.ran=1'>",
    '"><svg onload=window.ran=1>',
    "{{ 7 * 7 }}{% debug %}",
    "[a](javascript:window.ran=1)",
    "${window.ran = 1}</textarea></title><iframe srcdoc='<script>top.ran=1</script>'>",
)


def poisoned(payload: str) -> list[dict[str, Any]]:
    """Every component of the vocabulary with the payload in every text that it takes."""
    made, held = [], set()
    for offered in palette()["components"]:
        if offered["type"] in {"image", "pairwise", "generate", "count", "settings", "model_select"}:
            continue  # these do not stand beside an image grid of four in a form that is not live
        component = json.loads(json.dumps(offered["defaults"]))
        parts = [component, *(part for one in [component] for part in one.get("components", []))]
        for part in parts:
            while part["name"] in held:
                part["name"] += "_x"
            held.add(part["name"])
            poison(part, payload)
        made.append(component)
    order = {"image_grid": 0, "prompt": 1}
    return sorted(made, key=lambda one: order.get(one["type"], 2))


def poison(component: dict[str, Any], payload: str) -> None:
    """Put the payload into the texts of a component."""
    offered = next(one for one in palette()["components"] if one["type"] == component["type"])
    for given in offered["properties"]:
        longest = given.get("longest", 200)
        match given["control"]:
            case "text" | "long":
                component[given["name"]] = payload[:longest]
            case "texts":
                component[given["name"]] = [payload[:longest], "plain"]
            case "options":
                component[given["name"]] = [{"value": "a", "label": payload}, {"value": "b", "label": "B"}]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_that_a_form_says_is_run(committed_cast: Cast, window: Windows, payload: str) -> None:
    alice = window(committed_cast.alice)
    alice.context.add_init_script(
        "addEventListener('securitypolicyviolation', (event) => {"
        " console.error(`refused by the policy: ${event.violatedDirective} ${event.blockedURI}`); });"
    )
    dialogs: list[str] = []
    template = make(committed_cast, *poisoned(payload), name=payload[:90])
    assert problems_of(template.draft.definition) == []
    page = build(alice, committed_cast, template)
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    shown = page.frame_locator("iframe.is-shown")
    expect(shown.locator("main")).to_be_attached(timeout=15_000)
    page.wait_for_timeout(500)
    for part in page.locator(".part-card").all():
        part.click()
    page.get_by_role("button", name="Publish version 1").click()
    page.wait_for_timeout(500)
    for frame in page.frames:
        assert frame.evaluate("window.ran") is None
        assert frame.evaluate("document.querySelectorAll('script:not([src], [type=\"application/json\"])').length") == 0
    assert dialogs == []
    quiet(alice)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(committed_cast: Cast, window: Windows, theme: str) -> None:
    alice = window(committed_cast.alice, color_scheme=theme)
    wrong = {**FORM[2], "name": "wrong", "levels": 77}
    columns = {"type": "columns", "name": "beside", "components": []}
    page = build(alice, committed_cast, make(committed_cast, *FORM, wrong, columns))
    found: list[str] = []

    def check(what: str) -> None:
        results = Axe().run(page, options={"iframes": False})
        found.extend(f"{what}: {one['id']} {one['nodes'][0]['html'][:200]}" for one in results.response["violations"])

    check("nothing chosen")
    for name in ("wrong", "why", "safe", "beside"):
        card(page, name).click()
        check(name)
    for opens in ("Publish version 1", "Keys"):
        page.get_by_role("button", name=opens).first.click()
        check(opens)
        keys(page, "Escape")
    page.get_by_text("JSON", exact=True).click()
    page.get_by_role("button", name="Import…").click()
    check("import")
    assert not found, "\n".join(found)


def test_on_a_phone_each_part_has_the_screen(committed_cast: Cast, window: Windows) -> None:
    alice = window(committed_cast.alice, width=390, height=844, has_touch=True, is_mobile=True)
    template = make(committed_cast, *FORM)
    page = build(alice, committed_cast, template)
    expect(page.get_by_text("Building is easier on a wider screen.")).to_be_visible()
    card(page, "why").tap()
    page.get_by_role("button", name="Properties", exact=True).tap()
    page.get_by_label("Label").fill("Why?")
    page.get_by_role("button", name="Add", exact=True).tap()
    offer(page, "date").tap()
    assert names(page)[-1] == "taken_on"
    saved(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    quiet(alice)


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
