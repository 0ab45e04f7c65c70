"""The pages of gold in a browser: made by hand with keys, made by the dozen and looked at, trained with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone
from easel.annotation.gold import automatic, making
from easel.annotation.models import Annotation, Gold, Item
from easel.projects.models import Project
from playwright.sync_api import Page, expect

from tests.browser import scenes
from tests.browser.acting import keys
from tests.browser.conftest import ARTIFACTS, Window
from tests.browser.test_project_pages import faults, path_of, quiet
from tests.cast import Cast, lease, make_user, submit

Windows = Callable[..., Window]
SIZES = {"1440": (1440, 900), "390": (390, 844)}


@pytest.fixture
def cast(committed_cast: Cast) -> Cast:
    """alice's project with six items."""
    return scenes.with_items(scenes.begin(committed_cast), 6)


def agreed(cast: Cast) -> None:
    """Three people rank everything alike, by seed."""
    Project.objects.filter(pk=cast.project.pk).update(overlap=3)
    cast.project.refresh_from_db()
    for number in range(3):
        user = make_user(f"judge{number}", cast.project)
        for _ in range(3):
            given = lease(cast.project, user)
            images = sorted(given.item.candidates.all(), key=lambda one: one.seed or 0)
            submit(given, {"ranking": [[str(one.pk)] for one in images]})


def by_the_dozen(cast: Cast, count: int, *, used: bool = False) -> None:
    """Gold of spoilt images."""
    automatic.start(cast.project, cast.alice, timezone.now(), count=count)
    automatic.advance(timezone.now())
    if used:
        making.use(cast.project, list(Gold.objects.values_list("pk", flat=True)))


def test_gold_is_made_by_hand_with_keys_alone(cast: Cast, window: Windows) -> None:
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "gold/"))
    expect(page.get_by_role("heading", name="No gold yet")).to_be_visible()
    page.get_by_role("link", name="Make one by hand").focus()
    keys(page, "Enter")
    expect(page.get_by_role("heading", name="Make gold by hand")).to_be_visible()
    page.locator(".gold-choices a").first.focus()
    keys(page, "Enter")
    expect(page.locator("easel-ranking .slot")).to_have_count(4)
    letters = page.locator("[data-image]")
    order = [letters.nth(n).get_attribute("data-image") for n in (2, 0, 1)]
    keys(page, "c", "b", "z", "a", "Shift+B")
    expect(letters.nth(2).locator("select")).to_have_value("1")
    expect(letters.nth(1).locator("select")).to_have_value("2")
    expect(letters.nth(3).locator("select")).to_have_value("")
    page.get_by_label("Why").fill("C shows the thing.")
    keys(page, "Enter")
    expect(page.get_by_text("This is gold now.")).to_be_visible()
    gold = Gold.objects.get()
    assert gold.answer["pairs"] == [[order[0], order[1]], [order[0], order[2]]]
    assert gold.note == "C shows the thing."
    quiet(alice)


def test_gold_without_an_answer_is_told_so_in_one_line(cast: Cast, window: Windows) -> None:
    page = window(cast.alice).open(path_of(cast.project, f"gold/new/?item={Item.objects.earliest('id').pk}"))
    page.get_by_role("button", name="Make gold of it").click()
    expect(page.get_by_role("alert")).to_have_text(
        "A gold item needs an answer: put at least one image before another, or say that all are bad."
    )
    assert not Gold.objects.exists()


def test_an_image_is_dragged_to_its_place(cast: Cast, window: Windows) -> None:
    page = window(cast.alice).open(path_of(cast.project, f"gold/new/?item={Item.objects.earliest('id').pk}"))
    slot = page.locator("easel-ranking .slot").first
    slot.scroll_into_view_if_needed()
    page.locator("[data-image] .image-box").nth(1).drag_to(slot)
    expect(page.locator("[data-image]").nth(1).locator("select")).to_have_value("1")


def test_gold_is_made_by_the_dozen_looked_at_and_used(cast: Cast, window: Windows) -> None:
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "gold/automatic/"))
    page.get_by_label("Gold items", exact=True).fill("4")
    page.get_by_role("button", name="Make them").click()
    expect(page.get_by_text("0 of 4 items")).to_be_visible()
    automatic.advance(timezone.now())
    expect(page.get_by_text("The last round is done")).to_be_visible(timeout=15_000)
    made = Gold.objects.count()
    page.get_by_role("link", name=f"Look at {made}").click()
    expect(page.locator(".gold-card")).to_have_count(made)
    page.locator(".gold-card input[name=gold]").first.uncheck()
    page.get_by_role("button", name="Use what is ticked").click()
    expect(page.get_by_text(f"{made - 1} gold items are used now.")).to_be_visible()
    assert Gold.objects.in_use().count() == made - 1
    page.locator(".gold-card").first.get_by_role("button", name="Retire").click()
    expect(page.get_by_text("Nobody gets this gold any more.")).to_be_visible()
    page.get_by_role("link", name="Retired").click()
    page.get_by_role("button", name="Bring back").click()
    expect(page.get_by_text("This gold is used again.")).to_be_visible()
    quiet(alice)


def test_unanimous_items_and_an_annotation_become_gold(cast: Cast, window: Windows) -> None:
    agreed(cast)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "gold/unanimous/"))
    expect(page.locator("input[name=item]")).to_have_count(3)
    page.locator("input[name=item]").first.uncheck()
    page.get_by_role("button", name="Make gold of what is ticked").click()
    expect(page.get_by_text("2 items became gold.")).to_be_visible()
    page.goto(f"{alice.server}{path_of(cast.project, 'annotations/')}")
    page.get_by_role("link", name="Use as gold").first.click()
    said = Annotation.objects.latest("id")
    first = page.locator(f"[data-image='{said.ranking[0][0]}']")
    expect(first.locator("select")).to_have_value("1")
    page.get_by_role("button", name="Make gold of it").click()
    expect(page.get_by_text("This is gold now.")).to_be_visible()
    assert Gold.objects.count() == 3
    quiet(alice)


def test_training_is_refused_without_items_in_one_line(cast: Cast, window: Windows) -> None:
    page = window(cast.alice).open(path_of(cast.project, "training/"))
    page.get_by_label("Annotators pass a training round first").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Training needs 10 training items, and there are 0.")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", sorted(SIZES))
def test_the_pages_are_sound_at_every_size_and_theme(cast: Cast, window: Windows, size: str, theme: str) -> None:
    agreed(cast)
    by_the_dozen(cast, 2, used=True)
    making.change(Gold.objects.earliest("pk"), training=True)
    by_the_dozen(cast, 2)
    width, height = SIZES[size]
    alice = window(cast.alice, width=width, height=height, color_scheme=theme)
    item = Item.objects.to_rank().earliest("id").pk
    pages = {
        "gold": "gold/?state=in-use",
        "gold-waiting": "gold/?state=waiting",
        "gold-retired": "gold/?state=retired",
        "gold-choose": "gold/new/",
        "gold-new": f"gold/new/?item={item}",
        "gold-unanimous": "gold/unanimous/",
        "gold-automatic": "gold/automatic/",
        "gold-training": "training/",
    }
    found = {}
    for name, path in pages.items():
        page: Page = alice.open(path_of(cast.project, path))
        if problems := faults(page, width):
            found[name] = problems
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{name}-{size}-{theme}.png", full_page=True)
        page.close()
    assert not found, found
    quiet(alice)
