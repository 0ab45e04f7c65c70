"""R3 and R4 in the browser: what a page sends again after an outage, and when."""

from __future__ import annotations

from collections.abc import Callable

from easel.annotation.models import Annotation
from playwright.sync_api import expect

from tests.browser.acting import keys, rows
from tests.browser.conftest import Window, rank_path, wait_for_item
from tests.cast import Cast


def test_however_long_an_outage_lasts_a_page_tries_again_at_least_every_ten_seconds(
    window: Callable[..., Window],
) -> None:
    waits = (
        window(None)
        .open("/sign-in/", wait=False)
        .evaluate(
            """async () => {
          const { Outbox } = await import('/static/easel/rank/outbox.js');
          const waits = [], entry = { assignment: '1', kind: 'annotation', body: {}, at: 0 };
          const shelf = { values: [entry], names: ['1'], set() {}, get: () => entry, delete() {} };
          const api = { send: async () => ({ status: 500, body: null }) };
          const outbox = new Outbox(api, shelf, () => []);
          const patience = window.setTimeout;
          window.setTimeout = (act, ms) => { waits.push(ms); return 0; };
          for (let tries = 0; tries < 50; tries += 1) await outbox.flush();
          window.setTimeout = patience;
          return waits;
        }"""
        )
    )
    assert len(waits) == 50
    assert waits[0] < 1_500
    assert max(waits) <= 10_000
    assert len(set(waits)) > 40, "not all pages at the same moment"


def test_a_minute_offline_loses_nothing_and_stores_nothing_twice(cast: Cast, window: Callable[..., Window]) -> None:
    mine = window(cast.bob)
    page = mine.context.new_page()
    page.clock.install()
    page.goto(mine.server + rank_path(cast))
    wait_for_item(page)
    page.wait_for_load_state("networkidle")
    mine.context.set_offline(True)
    keys(page, "a", "b", "Enter")
    expect(page.locator("#sending")).to_have_text("Offline, 1 waiting to send")
    wait_for_item(page)  # the next one was here already
    keys(page, "d", "c", "Enter")
    expect(page.locator("#sending")).to_have_text("Offline, 2 waiting to send")
    page.clock.run_for(60_000)
    assert Annotation.objects.count() == 0
    mine.context.set_offline(False)
    page.clock.run_for(10_000)
    assert len({row.item_id for row in rows(2)}) == 2
    expect(page.locator("#sending")).to_be_hidden()
