"""Live mode as an annotator meets it: a prompt, Generate, images as they come, a ranking, the next prompt."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.models import Assignment
from easel.common import jobs
from easel.images.models import Attempt, Candidate, GenerationRequest
from easel.images.services import record_images
from easel.projects.models import Project
from playwright.sync_api import Locator, Page, expect

from generation.types import Progress, RenderedImages, RenderRequest
from tests import cast as stage
from tests import live
from tests.browser.acting import keys, letters, rows, until
from tests.browser.conftest import Window, rank_path
from tests.cast import Cast


@pytest.fixture
def cast(make_cast: Callable[..., Cast]) -> Cast:
    """The cast, whose project has a live form and no item."""
    made = make_cast(items=0)
    live.go_live(made.project)
    return made


@pytest.fixture
def page(cast: Cast, window: Callable[..., Window]) -> Page:
    """The ranking page of bob, with the cursor in the empty prompt."""
    page = window(cast.bob).open(rank_path(cast), wait=False)
    expect(prompt(page)).to_be_focused()
    return page


def prompt(page: Page) -> Locator:
    """Where the prompt is typed."""
    return page.locator(".prompt-input textarea")


def tiles(page: Page) -> Locator:
    """The images that are shown whole."""
    return page.locator(".tile[data-state=ready]:not([hidden])")


def press(page: Page, words: str) -> RenderRequest:
    """Type a prompt, press Ctrl+Enter, and claim what is asked for."""
    before = GenerationRequest.objects.count()
    prompt(page).fill(words)
    page.keyboard.press("Control+Enter")
    until(lambda: GenerationRequest.objects.count() > before)
    return stage.claim()


def deliver(cast: Cast, request: RenderRequest, first: int = 0, last: int | None = None) -> None:
    """Record some of a request's images, and what they become."""
    rendered = stage.render(request)
    record_images(RenderedImages(lease=request.lease, images=rendered.images[first:last]), timezone.now())
    gather(timezone.now(), cast.project)


def generate(cast: Cast, page: Page, words: str) -> None:
    """Generate, and wait until all images can be ranked."""
    request = press(page, words)
    deliver(cast, request)
    expect(tiles(page)).to_have_count(4)
    expect(page.locator("[data-attempt-bar]")).to_be_hidden()
    page.wait_for_timeout(400)  # the guard against double clicks


def test_from_the_prompt_to_the_next_one_by_keys_alone(cast: Cast, page: Page) -> None:
    request = press(page, "a red apple")
    bar = page.locator("[data-attempt-bar]")
    expect(bar).to_be_visible()
    said = Progress(lease=request.lease, done=0, total=4, step=3, steps=8, note="image 1 of 4: step 3 of 8")
    jobs.heartbeat(said, timezone.now())
    expect(page.locator("[data-attempt-state]")).to_have_text("image 1 of 4: step 3 of 8")
    assert 0 < float(bar.get_attribute("value") or 0) < 25
    deliver(cast, request, 0, 1)
    expect(tiles(page)).to_have_count(1)
    first = page.locator(".tile img").first.get_attribute("src")
    deliver(cast, request, 1)
    expect(tiles(page)).to_have_count(4)
    assert page.locator(".tile img").first.get_attribute("src") == first, "what is looked at stays where it is"
    expect(bar).to_be_hidden()
    page.wait_for_timeout(400)
    keys(page, "Escape", "B", "A", "C", "D", "Enter")
    (row,) = rows(1)
    assert letters(row) == ["B", "A", "C", "D"]
    expect(prompt(page)).to_be_focused()
    expect(prompt(page)).to_have_value("")
    generate(cast, page, "a pear")
    keys(page, "Escape", "A", "B", "C", "D", "Enter")
    assert [row.item.prompt.text for row in rows(2)] == ["a red apple", "a pear"]


def test_a_reload_goes_on_with_the_images_and_what_was_typed(cast: Cast, page: Page) -> None:
    request = press(page, "a red apple")
    deliver(cast, request, 0, 2)
    expect(tiles(page)).to_have_count(2)
    page.reload()
    expect(tiles(page)).to_have_count(2)
    expect(prompt(page)).to_have_value("a red apple")
    deliver(cast, request, 2)
    expect(tiles(page)).to_have_count(4)
    page.wait_for_timeout(400)
    keys(page, "Escape", "A", "B", "C", "D")
    until(lambda: Assignment.objects.get().draft)
    page.reload()
    expect(tiles(page)).to_have_count(4)
    page.wait_for_timeout(400)
    keys(page, "Escape", "Enter")
    assert letters(rows(1)[0]) == ["A", "B", "C", "D"]


def test_an_image_is_varied(cast: Cast, page: Page) -> None:
    generate(cast, page, "a red apple")
    chosen = [str(pk) for pk in Assignment.objects.get().shown_order][2]
    keys(page, "Escape", "ArrowRight", "ArrowRight", "r")
    until(lambda: Attempt.objects.count() == 2)
    newest = Attempt.objects.latest("created_at")
    assert (str(newest.varies_id), newest.prompt.text) == (chosen, "a red apple")
    deliver(cast, stage.claim())
    until(lambda: page.locator(".tile img").first.get_attribute("src") != f"/images/{chosen}/")
    made = {f"/images/{pk}/" for pk in Candidate.objects.filter(request=newest.request).values_list("pk", flat=True)}
    until(lambda: {one.get_attribute("src") for one in page.locator(".tile img").all()} == made)
    page.wait_for_timeout(400)
    keys(page, "Escape", "A", "B", "C", "D", "Enter")
    (row,) = rows(1)
    assert row.item.request == newest.request


def test_stop_ends_an_attempt_and_another_one_may_begin(cast: Cast, page: Page) -> None:
    press(page, "a red apple")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("[data-attempt-state]")).to_contain_text("Stopped")
    assert GenerationRequest.objects.get().cancelled_at is not None
    generate(cast, page, "a pear")


def test_a_quota_that_is_used_up_says_so_beside_the_button(cast: Cast, page: Page) -> None:
    Project.objects.filter(pk=cast.project.pk).update(live_quota_person=3)
    prompt(page).fill("a red apple")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-type=generate]")).to_contain_text("3 of your 3 images of today are left")
    expect(prompt(page)).to_have_value("a red apple")


def test_a_model_that_is_gone_is_told_at_its_field(cast: Cast, page: Page) -> None:
    select = page.locator("[data-type=model_select] select")
    select.evaluate("(element) => { element.options[0].value = '01a1fdda-fe8b-7568-ac44-daae290d8b06'; }")
    prompt(page).fill("a red apple")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-type=model_select]")).to_contain_text("does not exist any more")
    assert not GenerationRequest.objects.exists()


def test_the_prompt_is_a_text_and_nothing_else(cast: Cast, page: Page, window: Callable[..., Window]) -> None:
    """What somebody typed is shown as it is: no script of it runs."""
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    generate(cast, page, evil)
    keys(page, "Escape", "A", "B", "C", "D", "Enter")
    rows(1)
    other = window(cast.alice).open(f"/projects/{cast.project.pk}/annotations/", wait=False)
    for each in (page, other):
        assert each.title() != "owned"
    assert json.dumps(evil)[1:-1] in json.dumps(Attempt.objects.get().prompt.text)
