"""Text forms in a browser: a conversation is read and rated, an answer is written, and TRL reads what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.acting import rows, saved
from tests.browser.conftest import Window, rank_path
from tests.cast import Cast, browser_of
from tests.texts import CHAT, PAIRS, QUESTION, make_texts


def test_a_chat_is_rated_and_the_next_one_follows(committed_cast: Cast, window: Callable[..., Window]) -> None:
    cast = committed_cast
    make_texts(cast, [{"messages": CHAT}, {"messages": [*CHAT, *QUESTION, {"role": "assistant", "content": "Red."}]}])
    bob = window(cast.bob)
    page = bob.open(rank_path(cast), wait=False)
    page.wait_for_selector("#state[data-state=item]")
    messages = page.locator("[data-messages]")
    expect(messages).to_contain_text("Why is the sky blue?")
    expect(messages).to_contain_text("Blue light scatters most.")
    expect(page.get_by_text("What is wrong with it?")).to_be_hidden()

    page.get_by_role("radio", name="2 of 5").check(force=True)
    expect(page.get_by_text("What is wrong with it?")).to_be_visible()
    page.get_by_label("Hard to follow").check()
    page.get_by_label("Why?").fill("It does not say <b>why</b>.")
    saved(page)
    page.keyboard.press("Control+Enter")
    expect(messages).to_contain_text("And at dusk?")
    (stored,) = rows(1)
    assert stored.answers == {"rating": 2, "faults": ["unclear"], "rationale": "It does not say <b>why</b>."}

    page.get_by_role("radio", name="5 of 5").check(force=True)
    page.keyboard.press("Control+Enter")
    rows(2)
    export = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/export/", {"format": "trl-kto"})
    lines = [json.loads(line) for line in b"".join(export.streaming_content).splitlines()]  # type: ignore[attr-defined]
    assert [(line["completion"][0]["content"], line["label"]) for line in lines] == [
        ("Blue light scatters most.", False),
        ("Red.", True),
    ]
    assert [line for line in bob.console if line.startswith(("error", "pageerror"))] == []


def test_an_ideal_answer_survives_a_reload_before_it_is_submitted(
    committed_cast: Cast, window: Callable[..., Window]
) -> None:
    cast = committed_cast
    make_texts(cast, ["What is a fox?"], PAIRS)
    bob = window(cast.bob, width=390, height=844)
    page = bob.open(rank_path(cast), wait=False)
    page.wait_for_selector("#state[data-state=item]")
    page.get_by_label("The ideal answer").fill("An animal.\n\nIt is red.")
    saved(page)
    page.reload()
    page.wait_for_selector("#state[data-state=item]")
    expect(page.get_by_label("The ideal answer")).to_have_value("An animal.\n\nIt is red.")
    page.wait_for_timeout(400)  # the guard against double clicks
    page.get_by_role("button", name="Submit").click()
    (stored,) = rows(1)
    assert stored.answers == {"completion": "An animal.\n\nIt is red."}
