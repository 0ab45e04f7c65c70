"""The builder runs nothing that a form says, passes axe, and is pictured."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from easel.forms.palette import palette
from easel.forms.reading import problems_of
from playwright.sync_api import Dialog, Page, expect

from tests.browser.acting import keys, point
from tests.browser.building import FORM, Windows, build, card, make, names, offer, saved
from tests.browser.conftest import ARTIFACTS
from tests.browser.test_project_pages import quiet
from tests.cast import Cast

PAYLOADS = (
    "<script>window.ran = 1</script>",
    "<img src=x onerror='window.ran=1'>",
    '"><svg onload=window.ran=1>',
    "{{ 7 * 7 }}{% debug %}",
    "[a](javascript:window.ran=1)",
    "${window.ran = 1}</textarea></title><iframe srcdoc='<script>top.ran=1</script>'>",
)


MIXED = PAYLOADS[2] + PAYLOADS[0]
LIVE = {"prompt", "negative_prompt", "model_select", "settings", "count", "generate"}
FORMS = {
    "every judgement": lambda kind: kind not in {"image", "pairwise"} | LIVE - {"prompt", "negative_prompt"},
    "live, of two": lambda kind: kind in {"image_grid", "pairwise"} | LIVE,
    "one image": lambda kind: kind == "image",
}
ORDER = ["prompt", "negative_prompt", "model_select", "settings", "count", "generate", "image_grid"]
"""Where components have to stand; the others come after these."""


def poisoned(payload: str, wanted: Callable[[str], bool]) -> list[dict[str, Any]]:
    """A form of the components that are wanted, with the payload in every text that they take."""
    made, held = [], set()
    for offered in palette()["components"]:
        if not wanted(offered["type"]):
            continue
        component = json.loads(json.dumps(offered["defaults"]))
        for part in (component, *component.get("components", [])):
            while part["name"] in held:
                part["name"] += "_x"
            held.add(part["name"])
            poison(part, payload)
        made.append(component)
    kinds = {one["type"]: one for one in made}
    if "pairwise" in kinds:
        kinds["image_grid"]["count"] = kinds["count"]["min"] = kinds["count"]["max"] = 2
        kinds["prompt"]["mode"] = kinds["negative_prompt"]["mode"] = "input"
    return sorted(made, key=lambda one: ORDER.index(one["type"]) if one["type"] in ORDER else len(ORDER))


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


@pytest.mark.parametrize(
    ("form", "payload"),
    [*(("every judgement", one) for one in PAYLOADS), ("live, of two", MIXED), ("one image", MIXED)],
)
def test_nothing_that_a_form_says_is_run(committed_cast: Cast, window: Windows, form: str, payload: str) -> None:
    alice = window(committed_cast.alice)
    alice.context.add_init_script(
        "addEventListener('securitypolicyviolation', (event) => {"
        " console.error(`refused by the policy: ${event.violatedDirective} ${event.blockedURI}`); });"
    )
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    template = make(committed_cast, *poisoned(payload, FORMS[form]), name=payload[:90])
    assert problems_of(template.draft.definition) == []
    page = build(alice, committed_cast, template)
    page.on("dialog", dismiss)
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
    if size == "1440":
        for kind in ("settings", "columns", "tabs", "tags"):
            offer(page, kind).click()
        page.locator(".properties-scroller").evaluate("(box) => box.scrollTo(0, 9999)")
        look(page, f"problems-{size}-{theme}")
        for opens in ("Publish version 1", "Keys"):
            page.get_by_role("button", name=opens).first.click()
            look(page, f"{opens.split()[0].lower()}-{size}-{theme}")
            keys(page, "Escape")
        card(page, "best_of").scroll_into_view_if_needed()
        page.mouse.move(*point(card(page, "best_of"), 0.3))
        page.mouse.down()
        page.mouse.move(*point(card(page, "images"), 0.5, 0.1), steps=4)
        page.screenshot(path=ARTIFACTS / f"builder-drag-{size}-{theme}.png")
        page.mouse.up()
        return
    quiet(alice)


def look(page: Page, name: str) -> None:
    """Take a picture once the preview is there."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(700)
    page.screenshot(path=ARTIFACTS / f"builder-{name}.png")
