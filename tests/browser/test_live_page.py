"""A live form on the page: write, generate, look, vary, rank, explain, submit, go on. The keyboard alone does it."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.images.models import GenerationRequest
from easel.images.services import claim_render, record_images
from easel.projects.models import Project
from PIL import Image
from playwright.sync_api import Page, expect

from generation.storage import Storage
from generation.types import RenderedImage, RenderedImages, RenderRequest
from tests import live
from tests.browser.acting import keys, rows, until
from tests.browser.conftest import Window, drawn, rank_path
from tests.cast import CLAIM, Cast, manifest


@pytest.fixture
def cast(make_cast: Callable[..., Cast]) -> Cast:
    """The cast; alice's project has a live form."""
    found = make_cast(items=0)
    live.go_live(found.project)
    return found


@pytest.fixture
def page(window: Callable[..., Window], cast: Cast) -> Page:
    """Bob's page, waiting for a prompt."""
    found = window(cast.bob).open(rank_path(cast), wait=False)
    expect(found.get_by_label("Prompt", exact=True)).to_be_focused()
    return found


def taken() -> RenderRequest:
    """Take the request that was pressed for, as a worker does."""
    found = until(lambda: claim_render(CLAIM, timezone.now()))
    assert found is not None
    return found


def bring(request: RenderRequest, *positions: int, project: Project) -> None:
    """Bring images of these positions, as a worker does."""
    (prompt,) = request.prompts
    made = []
    for slot in prompt.slots:
        if slot.position not in positions:
            continue
        content = drawn(len(prompt.text), slot.position)
        with Image.open(BytesIO(content)) as opened:
            width, height = opened.size
        made.append(
            RenderedImage(
                prompt=prompt.id,
                position=slot.position,
                key=Storage(request.storage_url).put(content, "png"),
                sha256=sha256(content).hexdigest(),
                bytes=len(content),
                width=width,
                height=height,
                manifest=manifest(request, slot.seed),
            )
        )
    record_images(RenderedImages(lease=request.lease, images=tuple(made)), timezone.now())
    gather(timezone.now(), project)


def generated(page: Page, cast: Cast, prompt: str) -> None:
    """Write a prompt, press Ctrl and Enter, and get four images."""
    page.keyboard.type(prompt)
    page.keyboard.press("Control+Enter")
    bring(taken(), 0, 1, 2, 3, project=cast.project)
    expect(page.locator("#submit")).to_be_enabled()
    page.wait_for_timeout(400)


def test_a_prompt_is_written_generated_ranked_explained_and_the_next_one_comes(page: Page, cast: Cast) -> None:
    expect(page.locator("#submit")).to_be_disabled()
    expect(page.locator(".answers")).to_be_hidden()
    page.keyboard.type("a fox in the snow")
    page.keyboard.press("Control+Enter")
    request = taken()
    expect(page.locator("[data-attempt-bar]")).to_be_visible()
    bring(request, 0, project=cast.project)
    expect(page.locator(".tile[data-state=ready]")).to_have_count(1)
    expect(page.locator(".tile:visible")).to_have_count(4)  # the boxes of the others are there
    expect(page.locator("#submit")).to_be_disabled()
    bring(request, 1, 2, 3, project=cast.project)
    expect(page.locator(".tile[data-state=ready]")).to_have_count(4)
    expect(page.locator("#submit")).to_be_enabled()
    page.wait_for_timeout(400)

    keys(page, "c", "a", "Shift+B", "t")
    page.keyboard.type("the snow is right")
    page.keyboard.press("Control+Enter")
    (annotation,) = rows(1)
    assert [len(group) for group in annotation.ranking] == [1, 2]
    assert set(annotation.answers) == {"ranking", "why"}
    assert annotation.item.prompt.text == "a fox in the snow"
    prompt = page.get_by_label("Prompt", exact=True)
    expect(prompt).to_have_value("")
    expect(prompt).to_be_focused()
    expect(page.locator(".answers")).to_be_hidden()

    generated(page, cast, "a second fox")
    keys(page, "d", "Enter")
    assert rows(2)[1].item.prompt.text == "a second fox"


def test_an_image_is_varied_and_both_attempts_are_kept(page: Page, cast: Cast) -> None:
    generated(page, cast, "a fox")
    keys(page, "ArrowRight", "r")
    request = taken()
    assert request.prompts[0].conditioning is not None
    bring(request, 0, 1, 2, 3, project=cast.project)
    until(lambda: GenerationRequest.objects.filter(kind="live").count() == 2)
    expect(page.locator("#submit")).to_be_enabled()
    page.wait_for_timeout(400)
    page.keyboard.press("h")
    dialog = page.locator("#attempts")
    expect(dialog.locator(".attempt")).to_have_count(2)
    expect(dialog.locator(".attempt").first).to_contain_text("varied")
    dialog.get_by_role("button", name="Rank these").last.click()
    expect(page.locator(".tile[data-state=ready]")).to_have_count(4)


def test_what_is_typed_survives_a_crash_before_anything_is_generated(page: Page) -> None:
    page.keyboard.type("half a prompt")
    page.reload()
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("half a prompt")


def test_an_empty_prompt_says_what_to_do(page: Page) -> None:
    page.keyboard.press("Control+Enter")
    error = page.locator("[data-component=prompt] .error")
    expect(error).to_have_text("“Prompt” is empty. Write what the images should show.")
    assert not GenerationRequest.objects.filter(kind="live").exists()


def test_a_refusal_stands_at_its_component(page: Page) -> None:
    page.get_by_role("spinbutton", name="Images").fill("30")
    page.get_by_label("Prompt", exact=True).fill("a fox")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-component=count] .error")).to_contain_text("“Images” is 30; at most 9 is taken.")


def test_other_images_take_the_place_of_what_was_ranked_and_keep_it_as_a_draft(page: Page, cast: Cast) -> None:
    generated(page, cast, "a fox")
    keys(page, "a", "b")
    page.keyboard.press("p")
    page.keyboard.press("End")
    page.keyboard.type(" at night")
    page.keyboard.press("Control+Enter")
    request = taken()
    bring(request, 0, project=cast.project)
    expect(page.locator("#submit")).to_be_disabled()
    expect(page.locator(".tile .place:visible")).to_have_count(0)
    bring(request, 1, 2, 3, project=cast.project)
    expect(page.locator("#submit")).to_be_enabled()
    expect(page.locator(".chip")).to_have_count(0)
    first = GenerationRequest.objects.filter(kind="live").order_by("id").first()
    assert first is not None
    draft: dict[str, Any] | None = first.items.get().assignments.get().draft
    assert draft is not None
    assert len(draft["ranking"]) == 2
