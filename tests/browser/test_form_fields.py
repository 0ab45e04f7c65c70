"""Every component on the page: the renderer shows, reads back and checks what its folder's examples say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from easel.forms.components import BY_TYPE
from playwright.sync_api import Page, expect

from tests.browser.conftest import Window
from tests.cast import Cast
from tests.easel.forms.test_components import TEXT, example, form_of

CONDITIONS = json.loads((Path(__file__).parents[1] / "easel" / "forms" / "conditions.json").read_text())
READ = "document.getElementById('item').easel.read()"
ANSWERED = [kind for kind, component in BY_TYPE.items() if component.answers]


@pytest.fixture
def window_of_alice(window: Callable[..., Window], cast: Cast) -> Window:
    """Alice's browser."""
    return window(cast.alice)


def preview(window: Window, components: list[dict[str, Any]]) -> Page:
    """Open a form as the builder's preview shows it."""
    page = window.open("/", wait=False)
    page.evaluate(
        """definition => {
            const form = document.createElement("form");
            form.method = "post";
            form.action = "/templates/preview/";
            const token = document.querySelector("meta[name=csrf-token]").content;
            for (const [name, value] of [["definition", definition], ["csrfmiddlewaretoken", token]]) {
                const input = document.createElement("input");
                input.type = "hidden";
                Object.assign(input, { name, value });
                form.append(input);
            }
            document.body.append(form);
            form.submit();
        }""",
        json.dumps({"components": components}),
    )
    page.wait_for_selector("#state[data-state=item]")
    return page


def parts_of(kind: str) -> list[dict[str, Any]]:
    """The components of a form around an example."""
    form, _ = form_of(kind)
    found: list[dict[str, Any]] = form.model_dump(mode="json")["components"]
    return found


def show(page: Page, answers: dict[str, Any]) -> None:
    """Put answers into the form, as a draft would."""
    page.evaluate(
        """([answers, text]) => {
            const form = document.getElementById("item").easel;
            const images = [...document.querySelectorAll(".tile:not([hidden]) img")];
            const candidates = images.map((image, index) => ({
                id: `c${index + 1}`, url: image.src, width: 64, height: 64, letter: String.fromCharCode(65 + index) }));
            form.show(answers, { candidates, pictures: new Map(), item: { prompt: { text, negative: "" } } });
        }""",
        [answers, TEXT],
    )


def test_every_component_shows_answers_and_reads_them_back(window_of_alice: Window) -> None:
    for kind in BY_TYPE:
        page = preview(window_of_alice, parts_of(kind))
        _, name = form_of(kind)
        expect(page.locator(f"[data-component={name}]"), kind).to_have_count(1)
        for _given, stored in example(kind)["taken"]:
            show(page, {name: stored})
            assert page.evaluate(READ) == {name: stored}, kind
        show(page, {})
        assert page.evaluate(READ) == {}, kind
        page.close()
    assert not [line for line in window_of_alice.console if not line.startswith("log")]


def test_every_required_component_says_so_before_the_server_does(window_of_alice: Window) -> None:
    for kind in ANSWERED:
        parts = parts_of(kind)
        _, name = form_of(kind)
        parts[-1]["required"] = True
        page = preview(window_of_alice, parts)
        page.wait_for_timeout(400)  # the guard against double clicks
        error = page.locator(f"[data-component={name}]").locator(":scope > .error")
        page.locator("#submit").click()
        expect(error, kind).to_be_visible()
        show(page, {name: example(kind)["taken"][0][1]})
        page.locator("#submit").click()
        if kind != "image_ratings":  # its example rates one image, and all are asked for
            expect(error, kind).to_be_hidden()
        page.close()


def test_the_page_decides_conditions_as_the_server_does(window_of_alice: Window) -> None:
    page = window_of_alice.open("/", wait=False)
    for op, value, answer, holds in CONDITIONS:
        found = page.evaluate(
            """async ([op, value, answer]) => (await import("/static/easel/form/conditions.js"))
                .holds({ name: "x", op, value }, answer === null ? {} : { x: answer })""",
            [op, value, answer],
        )
        assert found is holds, (op, value, answer)


def test_a_condition_shows_and_asks_as_answers_change(window_of_alice: Window) -> None:
    page = preview(
        window_of_alice,
        [
            {"type": "radio", "name": "mood", "label": "Mood", "options": [{"value": "good"}, {"value": "bad"}]},
            {
                "type": "group",
                "name": "details",
                "label": "Details",
                "visible_if": {"name": "mood", "op": "is", "value": "bad"},
                "components": [{"type": "textarea", "name": "why", "label": "Why?", "required": True}],
            },
        ],
    )
    page.wait_for_timeout(400)
    details = page.locator("[data-component=details]")
    expect(details).to_be_hidden()
    page.get_by_label("bad").check()
    expect(details).to_be_visible()
    page.locator("#submit").click()
    expect(details.locator(".error")).to_have_text("“Why?” is empty. Write a few words.")
    page.get_by_label("Why?").fill("too dark")
    assert page.evaluate(READ) == {"mood": "bad", "why": "too dark"}
    page.get_by_label("good").check()
    assert page.evaluate(READ) == {"mood": "good"}


def test_a_pair_is_chosen_by_keys(window_of_alice: Window) -> None:
    page = preview(window_of_alice, parts_of("pairwise"))
    page.keyboard.press("b")
    assert page.evaluate(READ) == {"better": "c2"}
    page.keyboard.press("e")
    assert page.evaluate(READ) == {"better": "tie"}
    page.keyboard.press("x")
    assert page.evaluate(READ) == {"better": "both_bad"}
    page.keyboard.press("z")
    page.keyboard.press("z")
    assert page.evaluate(READ) == {"better": "c2"}
    page.keyboard.press("b")
    assert page.evaluate(READ) == {}


def test_best_and_worst_are_two_keys(window_of_alice: Window) -> None:
    page = preview(window_of_alice, parts_of("best_worst"))
    page.wait_for_timeout(400)
    page.keyboard.press("c")
    page.locator("#submit").click()
    expect(page.locator("[data-component=extremes] .error")).to_have_text(
        "“Best and worst” misses the worst image. Press its letter."
    )
    page.keyboard.press("a")
    assert page.evaluate(READ) == {"extremes": {"best": "c3", "worst": "c1"}}
    page.keyboard.press("Shift+D")
    assert page.evaluate(READ) == {"extremes": {"best": "c3", "worst": "c4"}}


def test_regions_are_drawn_by_mouse_and_by_keys(window_of_alice: Window) -> None:
    page = preview(window_of_alice, parts_of("region_marks"))
    stage = page.locator(".stage-box")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.75, steps=4)
    page.mouse.up()
    (mark,) = page.evaluate(READ)["regions"]["c1"]
    assert mark["kind"] == "artifact"
    assert [mark[side] for side in "xywh"] == pytest.approx([0.2, 0.25, 0.3, 0.5], abs=0.01)

    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    (mark,) = page.evaluate(READ)["regions"]["c1"]
    assert [mark[side] for side in "xywh"] == pytest.approx([0.22, 0.25, 0.3, 0.52], abs=0.01)
    page.get_by_role("button", name="Not what the prompt says").click()
    assert page.evaluate(READ)["regions"]["c1"][0]["kind"] == "misaligned"
    page.locator(".mark").focus()
    page.keyboard.press("Delete")
    assert page.evaluate(READ) == {}

    page.get_by_role("button", name="Image B, 0 marks").click()
    page.get_by_role("button", name="Add a mark").press("Enter")
    assert list(page.evaluate(READ)["regions"]) == ["c2"]


def test_words_of_the_prompt_are_marked_by_pressing_them(window_of_alice: Window) -> None:
    page = preview(window_of_alice, parts_of("word_marks"))
    word = page.locator("[data-word='1']")
    word.click()
    assert page.evaluate(READ) == {"words": [{"word": 1, "kind": "missing"}]}
    word.press("Enter")
    assert page.evaluate(READ) == {"words": [{"word": 1, "kind": "wrong"}]}
    word.press("Space")
    assert page.evaluate(READ) == {}


def test_tabs_open_by_arrows_and_where_something_is_wrong(window_of_alice: Window) -> None:
    parts = parts_of("tabs")
    parts[0]["components"][1]["components"][0]["required"] = True
    page = preview(window_of_alice, parts)
    page.wait_for_timeout(400)
    first, second = page.get_by_role("tab").all()
    expect(page.locator("#answer-second")).to_be_hidden()
    page.locator("#answer-first").fill("something")
    page.locator("#submit").click()
    expect(page.locator("#answer-second")).to_be_focused()
    second.focus()
    second.press("ArrowLeft")
    expect(first).to_be_focused()
    expect(page.locator("#answer-first")).to_be_visible()


def test_buckets_take_images_by_number_and_by_letter(window_of_alice: Window) -> None:
    grid = {"type": "image_grid", "name": "images", "count": 4}
    sort = {"type": "ranking", "name": "sorted", "label": "Sort", "buckets": ["Good", "Fair", "Poor"]}
    page = preview(window_of_alice, [grid, sort])
    page.keyboard.press("b")
    page.keyboard.press("2")
    page.keyboard.press("c")
    page.keyboard.press("c")
    page.keyboard.press("c")
    read = page.evaluate(READ)
    assert read == {"sorted": [[], ["c2"], ["c3"]]}


def test_a_preview_is_shown_in_our_own_frames_only(cast: Cast, window_of_alice: Window) -> None:
    page = window_of_alice.open("/", wait=False)
    policy = page.evaluate(
        """async () => {
            const body = new FormData();
            body.set("definition", JSON.stringify({ components: [{ type: "divider", name: "line" }] }));
            body.set("csrfmiddlewaretoken", document.querySelector("meta[name=csrf-token]").content);
            const answer = await fetch("/templates/preview/", { method: "POST", body });
            return [answer.headers.get("Content-Security-Policy"), answer.headers.get("X-Frame-Options")];
        }"""
    )
    assert "frame-ancestors 'self'" in policy[0]
    assert "unsafe" not in policy[0]
    assert policy[1] == "SAMEORIGIN"
