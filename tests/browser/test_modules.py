"""The ranking's state and the clock, alone: modules without a page, run in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Window


@pytest.fixture
def page(window: Callable[..., Window]) -> Page:
    """A page of the site, so that its modules can be imported."""
    return window(None).open("/sign-in/", wait=False)


def run(page: Page, body: str) -> Any:
    """Run a script that has Ranking and ActiveClock."""
    return page.evaluate(
        "async () => { const { Ranking } = await import('/static/easel/rank/ranking.js');"
        " const { ActiveClock } = await import('/static/easel/rank/clock.js');"
        " const of = (moves, options, ids = 'abcd') => { const ranking = new Ranking([...ids], options);"
        "   for (const [verb, ...rest] of moves) ranking[verb](...rest);"
        "   return ranking.slots.map((slot) => slot.join('')); };"
        f"{body} }}"
    )


MOVES: list[tuple[list[Any], list[str]]] = [
    ([["next", "c"], ["next", "a"]], ["c", "a", "", ""]),
    ([["next", "c"], ["next", "a"], ["next", "c"], ["next", "d"]], ["d", "a", "", ""]),
    ([["next", "a"], ["tie", "b"], ["tie", "c"]], ["abc", "", "", ""]),
    ([["next", "a"], ["next", "b"], ["tie", "b"]], ["ab", "", "", ""]),
    ([["tie", "b"]], ["b", "", "", ""]),
    ([["give", "b", 3], ["give", "a", 3], ["give", "c", 1]], ["c", "", "ba", ""]),
    ([["give", "b", 5]], ["", "", "", ""]),
    ([["next", "a"], ["next", "b"], ["next", "c"], ["insert", "c", 1]], ["c", "a", "b", ""]),
    ([["next", "a"], ["next", "b"], ["next", "c"], ["insert", "a", 4]], ["b", "c", "a", ""]),
    ([["next", "a"], ["next", "b"], ["next", "c"], ["insert", "a", 3]], ["b", "a", "c", ""]),
    ([["next", "a"], ["tie", "b"], ["next", "c"], ["insert", "b", 2]], ["a", "b", "c", ""]),
    ([["give", "a", 4], ["insert", "b", 5]], ["", "", "a", "b"]),
    ([["load", [["d"], ["a", "x", "d"], ["b"]]]], ["d", "a", "b", ""]),
]


def test_moves(page: Page) -> None:
    for moves, slots in MOVES:
        assert run(page, f"return of({json.dumps(moves)})") == slots, moves


def test_without_ties_a_taken_place_moves_down(page: Page) -> None:
    assert run(page, "return of([['next', 'a'], ['next', 'b'], ['give', 'c', 1]], { ties: false })") == [
        "c",
        "a",
        "b",
        "",
    ]
    assert run(page, "return of([['next', 'a'], ['tie', 'b']], { ties: false })") == ["a", "", "", ""]


def test_with_fewer_levels_than_images_the_last_place_is_shared(page: Page) -> None:
    moves = "[...'abcde'].map((id) => ['next', id])"
    assert run(page, f"return of({moves}, {{ levels: 3 }}, 'abcde')") == ["a", "b", "cde"]


def test_random_moves_never_double_or_lose_an_image_and_undo_walks_back(page: Page) -> None:
    broken = run(
        page,
        """
        let seed = 7;
        const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
        const broken = [];
        for (let game = 0; game < 300; game += 1) {
          const ids = [...'abcdefghi'].slice(0, 2 + random(8));
          const ranking = new Ranking(ids, { ties: random(3) > 0, levels: 2 + random(8) });
          const history = [JSON.stringify(ranking.slots)];
          for (let step = 0; step < 40; step += 1) {
            const id = ids[random(ids.length)];
            const verb = ['next', 'tie', 'give', 'insert', 'remove'][random(5)];
            const rest = verb === 'give' || verb === 'insert' ? [id, 1 + random(10)] : [id];
            const changed = ranking[verb](...rest);
            const now = JSON.stringify(ranking.slots);
            const all = ranking.slots.flat();
            if (changed !== (now !== history.at(-1))) broken.push(`${verb} said ${changed}`);
            if (new Set(all).size !== all.length) broken.push(`${verb} doubled an image: ${now}`);
            if (ranking.slots.length !== ranking.size) broken.push(`${verb} changed the number of places: ${now}`);
            if (!ranking.ties && ranking.slots.some((slot) => slot.length > 1)) broken.push(`${verb} tied: ${now}`);
            if (all.length + ranking.unranked.length !== ids.length) broken.push(`${verb} lost an image: ${now}`);
            if (changed) history.push(now);
          }
          for (const state of history.toReversed().slice(1)) {
            ranking.undo();
            if (JSON.stringify(ranking.slots) !== state) broken.push('undo went astray');
          }
          if (ranking.undo()) broken.push('undo went too far');
        }
        return broken.slice(0, 5);
        """,
    )
    assert broken == []


def test_only_thirty_seconds_of_a_pause_count(page: Page) -> None:
    script = """
        let now = 0;
        const clock = new ActiveClock(1000, () => now);
        const read = [clock.ms];
        clock.touch();
        const life = [[5000, 'touch'], [60000, 'touch'], [10000, 'pause'], [90000, 'touch'], [2000, null]];
        for (const [wait, act] of life) {
          now += wait;
          if (act) clock[act]();
          read.push(clock.ms);
        }
        return read;
    """
    assert run(page, script) == [1000, 6000, 36000, 46000, 46000, 48000]
