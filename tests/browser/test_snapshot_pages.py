"""The pages of snapshots in a browser: taken by keyboard, followed until frozen, downloaded; and pictures of them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from easel.images.models import Candidate
from easel.prompts.models import Prompt
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.services import freeze_next, take_snapshot
from playwright.sync_api import expect

from tests.browser import scenes
from tests.browser.acting import keys
from tests.browser.conftest import ARTIFACTS, Window
from tests.browser.test_project_pages import faults, path_of, quiet
from tests.cast import Cast

SIZES = {"1440": (1440, 900), "390": (390, 844)}
Windows = Callable[..., Window]


@pytest.fixture
def cast(committed_cast: Cast) -> Cast:
    """alice's project in the middle of its work, its prompts in two categories."""
    cast = scenes.busy(committed_cast)
    for number, prompt in enumerate(cast.project.prompts.order_by("id")):
        Prompt.objects.filter(pk=prompt.pk).update(metadata={"category": ("shapes", "signs")[number % 3 == 0]})
    return cast


def test_a_snapshot_is_taken_by_keyboard_alone_and_followed_until_it_is_frozen(cast: Cast, window: Windows) -> None:
    engineer = window(cast.dave)
    page = engineer.open(path_of(cast.project, "snapshots/"))
    page.get_by_role("link", name="Take a snapshot").focus()
    keys(page, "Enter")
    count = page.locator("#count")
    expect(count).to_contain_text("10 of 22")
    page.get_by_label("Name").focus()
    page.keyboard.type("Round 2")
    page.get_by_label("With simulated annotators").focus()
    keys(page, "Space")
    expect(count).to_contain_text("22 of 22")
    page.get_by_label("From").fill((date.today() + timedelta(days=1)).isoformat())
    expect(count).to_contain_text("The filters leave none of the 22 annotations")
    page.get_by_label("From").fill("")
    expect(count).not_to_contain_text("leave none")
    page.wait_for_load_state("networkidle")
    page.get_by_label("Name").focus()
    keys(page, "Enter")
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.locator("#snapshot")).to_contain_text("of 22 annotations")
    assert freeze_next("a test")
    expect(page.get_by_role("table")).to_contain_text("Train")
    snapshot = DatasetSnapshot.objects.get()
    assert (snapshot.name, snapshot.include_simulated, snapshot.total("judgements")) == ("Round 2", True, 22)
    page.reload()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download .zip").click()
    with zipfile.ZipFile(download.value.path()) as packed:
        assert packed.testzip() is None
        assert any(name.endswith("/train.parquet") for name in packed.namelist())
    quiet(engineer)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_pages_of_snapshots_are_pictured(
    cast: Cast, window: Windows, storage_folder: Path, size: str, theme: str
) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    width, height = SIZES[size]
    phone = width < 600
    options = {"color_scheme": theme, "has_touch": phone, "is_mobile": phone}
    alice = window(cast.alice, width=width, height=height, **options)
    problems: list[str] = []

    def look(name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=ARTIFACTS / f"snapshots-{name}-{size}-{theme}.png", full_page=True)
        problems.extend(f"{name}: {line}" for line in faults(page, width))

    page = alice.open(path_of(cast.project, "snapshots/"))
    look("empty")
    page = alice.open(path_of(cast.project, "snapshots/new/"))
    page.locator("summary", has_text="Split").click()
    look("form")
    page.locator("#id_until").fill("2020-01-01")
    page.locator("#count .notice").wait_for()
    page.get_by_role("button", name="Take the snapshot").click()
    page.locator(".notice.danger").wait_for()
    look("refused")
    frozen = take_snapshot(cast.project, cast.alice, timezone.now(), name="Round 2", include_simulated=True)
    assert freeze_next("a test")
    lost = storage_folder / Candidate.objects.order_by("id")[0].key
    content = lost.read_bytes()
    lost.unlink()
    failed = take_snapshot(cast.project, cast.alice, timezone.now(), include_simulated=True)
    assert freeze_next("a test")
    lost.write_bytes(content)
    waiting = take_snapshot(cast.project, cast.alice, timezone.now())
    page = alice.open(path_of(cast.project, "snapshots/"))
    page.evaluate("document.getElementById('snapshots').removeAttribute('hx-get')")
    look("list")
    page = alice.open(path_of(cast.project, f"snapshots/{frozen.pk}/"))
    look("frozen")
    page.locator("summary", has_text="README.md").click()
    look("card")
    page = alice.open(path_of(cast.project, f"snapshots/{failed.pk}/"))
    look("failed")
    page = alice.open(path_of(cast.project, f"snapshots/{waiting.pk}/"))
    page.evaluate("document.getElementById('snapshot').removeAttribute('hx-get')")
    look("waiting")
    problems += [line for line in alice.console if "status of 400" not in line]
    assert not problems, "\n".join(problems)
