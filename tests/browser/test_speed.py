"""The ranking page is quick and light."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from statistics import quantiles

from playwright.sync_api import Page, expect

from tests.browser.acting import keys, rows, until
from tests.browser.conftest import Window, drawn, rank_path, wait_for_item
from tests.cast import Cast

BUDGET_KB = 60
NEXT_MS = 100  # from the key to the painted next item, 75th percentile


def test_scripts_and_styles_fit_the_budget(cast: Cast, window: Callable[..., Window]) -> None:
    mine = window(cast.bob)
    page = mine.context.new_page()
    sizes: dict[str, int] = {}
    page.on(
        "response",
        lambda response: (
            sizes.update({response.url: len(gzip.compress(response.body(), 6))})
            if response.url.split("?")[0].endswith((".js", ".css"))
            else None
        ),
    )
    page.goto(mine.server + rank_path(cast))
    wait_for_item(page)
    page.wait_for_load_state("networkidle")
    assert len(sizes) > 5
    total = sum(sizes.values()) / 1024
    print(f"{total:.1f} KB of scripts and styles in {len(sizes)} files")
    assert total <= BUDGET_KB


def test_the_next_item_paints_at_once_from_images_that_are_here_already(
    make_cast: Callable[..., Cast], window: Callable[..., Window]
) -> None:
    cast = make_cast(items=9, picture=lambda item, position: drawn(item, position, 512))
    page = window(cast.bob).open(rank_path(cast))
    for number in range(1, 9):
        _wait_for_images(page, 4 * (number + 1))
        page.wait_for_timeout(450)
        keys(page, "a", "b", "c", "d")
        keys(page, "Enter")
        page.wait_for_selector("#state[data-state=item]", timeout=1_000)
        shown = page.locator(".tile-image img").evaluate_all(
            "all => all.map((one) => one.complete && one.naturalWidth > 0)"
        )
        assert all(shown), "they were decoded before they were shown"
    rows(8)
    times = page.evaluate("performance.getEntriesByName('easel.next').map((one) => one.duration)")
    assert len(times) == 8
    third_quartile = quantiles(times, n=4)[2]
    print(f"key to next item painted: p75 {third_quartile:.0f} ms of {[round(one) for one in times]}")
    assert third_quartile <= NEXT_MS


def test_nothing_shifts(cast: Cast, window: Callable[..., Window]) -> None:
    mine = window(cast.bob)
    page = mine.context.new_page()
    page.add_init_script(
        """window.shifts = 0;
           const add = (list) => list.getEntries().forEach((one) => { window.shifts += one.value; });
           new PerformanceObserver(add).observe({ type: 'layout-shift', buffered: true });"""
    )
    page.goto(mine.server + rank_path(cast))
    wait_for_item(page)
    for _ in range(2):
        keys(page, "a", "b", "Enter")
        wait_for_item(page)
    expect(page.locator("#day")).to_contain_text("2 today")
    assert page.evaluate("window.shifts") < 0.01


def _wait_for_images(page: Page, count: int) -> None:
    script = "performance.getEntriesByType('resource').filter((one) => one.name.includes('/images/')).length"
    until(lambda: page.evaluate(script) >= count)
