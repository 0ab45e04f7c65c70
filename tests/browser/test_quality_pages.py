"""The pages of quality in a browser: what a manager reads, sorts and does; and pictures of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from easel.accounts.models import User
from easel.annotation.models import Item
from easel.preferences import services
from easel.projects.models import Membership, Project
from playwright.sync_api import Page, expect

from tests.browser import scenes
from tests.browser.acting import keys
from tests.browser.conftest import ARTIFACTS, Window
from tests.browser.test_project_pages import faults, path_of, quiet
from tests.cast import Cast, make_items
from tests.easel.preferences import stage

SIZES = {"1440": (1440, 900), "390": (390, 844)}
Windows = Callable[..., Window]


@pytest.fixture
def cast(committed_cast: Cast) -> Cast:
    """alice's project, without items."""
    return scenes.begin(committed_cast)


def fill(cast: Cast) -> dict[str, User]:
    """Ten days of five people of different kinds, a simulated annotator, and what is left to do."""
    now = timezone.now()
    people = stage.crowd(cast, now - timedelta(days=9), items=40, repeats=20)
    names = {"hana": "Hana Sato", "ivo": "Ivo Novak", "jon": "Jon Field", "gus": "Gus Okafor", "lea": "Léa Martin"}
    for name, full in names.items():
        first, last = full.split(" ")
        User.objects.filter(username=name).update(first_name=first, last_name=last)
    for day in range(8, -1, -1):
        items = make_items(cast, 8 + day % 3)
        at = now - timedelta(days=day, minutes=5)
        for name in ("hana", "ivo", "jon", "lea") if day % 4 else ("hana", "ivo"):
            judge = stage.left_clicker if name == "lea" else stage.honest(0.5 + 0.2 * (9 - day) / 9)
            stage.answer(items[: 9 if day else 5], people[name], judge, at, apart=timedelta(seconds=40))
        Item.objects.filter(pk__in=[item.pk for item in items[: 9 if day else 5]]).update(votes=2, state="done")
    stage.simulated(cast, list(Item.objects.filter(project=cast.project, purpose="rank")[:30]), now)
    for number, category in enumerate(("animals", "food", "vehicles", "")):
        ids = list(Item.objects.order_by("pk").values_list("pk", flat=True))[number::4]
        Item.objects.filter(pk__in=ids).update(category=category)
    Project.objects.filter(pk=cast.project.pk).update(hourly_cost=Decimal("18.50"))
    assert services.measure(Project.objects.get(pk=cast.project.pk), timezone.now())
    return people


def test_a_manager_reads_sorts_and_pauses(cast: Cast, window: Windows) -> None:
    people = fill(cast)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "quality/"))
    expect(page.get_by_role("region", name="Headline figures")).to_contain_text("Agreement")
    table = page.get_by_role("region", name="Annotators")
    expect(table.locator("tbody tr").first).to_contain_text("Several signs point the same way: look and talk.")
    table.get_by_role("link", name="Annotator", exact=True).click()
    expect(table.locator("tbody th").first).to_contain_text("Gus Okafor")
    expect(table.get_by_role("columnheader", name="Annotator")).to_have_attribute("aria-sort", "ascending")
    table.get_by_role("link", name="Agrees").click()
    expect(table.locator("tbody th").first).not_to_contain_text("Gus")
    table.get_by_role("link", name="Léa Martin").click()
    expect(page.get_by_text("Ranks image A (at the left) first in 100%")).to_be_visible()
    page.get_by_role("button", name="Pause Léa Martin").click()
    page.wait_for_load_state("networkidle")
    membership = Membership.objects.get(user=people["lea"])
    assert membership.paused_at is not None
    page.goto(f"{alice.server}{path_of(cast.project, 'quality/')}")
    expect(table.get_by_role("row", name="Léa Martin")).to_contain_text("paused")
    quiet(alice)


def test_the_chart_has_its_table_from_the_keyboard_and_its_file(cast: Cast, window: Windows) -> None:
    fill(cast)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "quality/"))
    summary = page.get_by_role("region", name="Throughput").locator("summary")
    summary.focus()
    keys(page, "Enter")
    expect(page.get_by_role("region", name="Annotations a day").locator("tbody tr").first).to_be_visible()
    keys(page, "Tab", "Tab")
    expect(page.get_by_role("region", name="Throughput").get_by_role("link", name="Download as CSV")).to_be_focused()
    with page.expect_download() as download:
        keys(page, "Enter")
    assert download.value.suggested_filename == "icons-round-2-throughput.csv"
    quiet(alice)


def test_new_annotations_show_without_reloading(cast: Cast, window: Windows) -> None:
    fill(cast)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "quality/"))
    tiles = page.locator("#tiles")
    before = tiles.locator("dd").first.inner_text()
    stage.answer(make_items(cast, 4), cast.bob, stage.honest(), timezone.now(), apart=timedelta(seconds=1))
    assert services.measure(Project.objects.get(pk=cast.project.pk), timezone.now(), anyway=True)
    page.evaluate("htmx.ajax('GET', location.pathname, {target: '#tiles', swap: 'outerHTML'})")
    expect(tiles.locator("dd").first).not_to_have_text(before)
    quiet(alice)


def test_a_viewer_reads_and_pauses_nobody(cast: Cast, window: Windows) -> None:
    fill(cast)
    Membership.objects.filter(user=cast.dave).update(role="viewer")
    page = window(cast.dave).open(path_of(cast.project, "quality/"))
    expect(page.get_by_role("region", name="Annotators")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_pages_of_quality_are_pictured(cast: Cast, window: Windows, size: str, theme: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    width, height = SIZES[size]
    phone = width < 600
    options: dict[str, Any] = {"color_scheme": theme, "has_touch": phone, "is_mobile": phone}
    alice = window(cast.alice, width=width, height=height, **options)
    problems: list[str] = []

    def look(page: Page, name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=ARTIFACTS / f"quality-{name}-{size}-{theme}.png", full_page=True)
        problems.extend(f"{name}: {line}" for line in faults(page, width))

    look(alice.open(path_of(cast.project, "quality/")), "empty")
    people = fill(cast)
    look(alice.open(path_of(cast.project, "quality/")), "project")
    for name in ("lea", "hana"):
        look(alice.open(path_of(cast.project, f"quality/people/{people[name].pk}/")), f"person-{name}")
    look(alice.open(path_of(cast.project, f"quality/people/{cast.bob.pk}/")), "person-new")
    page = alice.open(path_of(cast.project, "quality/"))
    for summary in page.locator("details.more > summary").all():
        summary.click()
    look(page, "tables")
    assert not problems, "\n".join(problems)
    quiet(alice)
