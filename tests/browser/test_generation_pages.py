"""The pages of generation in a real browser: asking for images, trying settings, finding images, side by side."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from easel.common import jobs
from easel.images.models import Candidate, GenerationRequest
from easel.images.services import record_images
from playwright.sync_api import Page, expect

from generation.types import Progress
from tests.browser import scenes
from tests.browser.acting import keys
from tests.browser.conftest import Window
from tests.browser.test_project_pages import path_of, quiet
from tests.cast import Cast, claim, generate

Windows = Callable[..., Window]


@pytest.fixture
def cast(committed_cast: Cast) -> Cast:
    """Everybody, and alice's project without prompts."""
    return scenes.begin(committed_cast)


def focused(page: Page) -> int:
    """Which image of the gallery has the focus."""
    script = "[...document.querySelectorAll('a[data-image]')].indexOf(document.activeElement)"
    return int(page.evaluate(script))


def test_the_gallery_is_narrowed_by_what_its_address_says(cast: Cast, window: Windows) -> None:
    scenes.with_items(cast, 6)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "images/"))
    expect(page.get_by_text("24 images.")).to_be_visible()
    page.get_by_label("Prompt contains").fill("red CIRCLE")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("8 images match the filters.")).to_be_visible()  # each word, wherever it stands
    expect(page.locator("a[data-image]")).to_have_count(8)
    shared = alice.open(page.url.removeprefix(alice.server))
    expect(shared.get_by_label("Prompt contains")).to_have_value("red CIRCLE")
    seed = Candidate.objects.filter(prompt__text__contains="square")[0].seed
    shared.get_by_label("Seed", exact=True).fill(str(seed))
    keys(shared, "Enter")
    expect(shared.get_by_role("heading", name="No image matches")).to_be_visible()
    shared.get_by_role("link", name="Clear all").click()
    expect(shared.locator("a[data-image]")).to_have_count(24)
    quiet(alice)


def test_images_are_chosen_with_keys_alone_and_stand_side_by_side(cast: Cast, window: Windows) -> None:
    scenes.with_items(cast, 6)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "images/"))
    page.locator("a[data-image]").first.focus()
    keys(page, "Space", "ArrowRight", "ArrowRight", "Space")
    expect(page.locator("[data-chosen]")).to_contain_text("2 of 4 chosen.")
    assert focused(page) == 2
    keys(page, "ArrowDown", "Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    keys(page, "Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert focused(page) > 2
    keys(page, "Space", "ArrowLeft", "Space", "ArrowLeft", "Space")
    expect(page.locator("[data-chosen]")).to_contain_text("4 of 4 chosen.")
    page.get_by_role("button", name="Side by side").click()

    expect(page.locator(".zoom-pane")).to_have_count(4)
    expect(page.locator("#differences + p")).to_contain_text("They differ in")
    page.locator("#viewer").focus()
    keys(page, "+", "+")
    expect(page.locator(".zoom-scale")).to_have_text("1.6×")
    scales = page.locator(".zoom-view img").evaluate_all("all => all.map((one) => getComputedStyle(one).transform)")
    assert len(set(scales)) == 1, "they zoom together"
    assert scales[0].startswith("matrix(1.5625")
    keys(page, "0", "b")
    expect(page.locator(".zoom-pane:visible")).to_have_count(1)
    keys(page, "ArrowRight")
    expect(page.get_by_role("button", name="C", exact=True)).to_have_attribute("aria-pressed", "true")
    keys(page, "Escape")
    page.wait_for_url(re.compile("/images/$"))
    quiet(alice)


def test_a_swipe_turns_to_the_next_image(cast: Cast, window: Windows) -> None:
    scenes.with_items(cast, 1)
    ids = "&".join(f"image={pk}" for pk in Candidate.objects.order_by("pk").values_list("pk", flat=True)[:3])
    phone = window(cast.alice, width=390, height=844, has_touch=True, is_mobile=True)
    page = phone.open(path_of(cast.project, f"images/side-by-side/?{ids}"))
    session = page.context.new_cdp_session(page)

    def swipe(left: int, right: int) -> None:
        box = page.locator(".zoom-panes").bounding_box()
        assert box
        y = box["y"] + box["height"] / 2
        session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": left, "y": y}]})
        for part in range(1, 6):
            x = left + (right - left) * part / 5
            session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y}]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    for letter, (start, end) in {"A": (250, 100), "B": (250, 100), "C": (250, 100)}.items():
        swipe(start, end)
        expect(page.get_by_role("button", name=letter, exact=True)).to_have_attribute("aria-pressed", "true")
    swipe(100, 250)
    expect(page.get_by_role("button", name="B", exact=True)).to_have_attribute("aria-pressed", "true")
    quiet(phone)


def test_the_large_image_tells_its_settings_and_gives_them_away(cast: Cast, window: Windows) -> None:
    scenes.with_items(cast, 1)
    alice = window(cast.alice, permissions=["clipboard-read", "clipboard-write"])
    page = alice.open(path_of(cast.project, "images/"))
    newest = Candidate.objects.order_by("position")[0]
    page.locator("a[data-image]").first.click()
    shown = page.get_by_role("dialog")
    expect(shown).to_contain_text("DDIMScheduler")
    shown.get_by_role("button", name="Copy seed").click()
    expect(shown.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == str(newest.seed)
    shown.get_by_role("button", name="Copy settings").click()
    page.wait_for_function("navigator.clipboard.readText().then((text) => text.includes('Steps: 20'))")
    shown.get_by_text("Make it again and compare").click()
    expect(shown.get_by_text(f"./run easel verify {newest.pk}")).to_be_visible()
    quiet(alice)


def test_prompts_are_found_and_ticked_and_stay_chosen(cast: Cast, window: Windows) -> None:
    scenes.prompts_of(cast, 70)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "generations/"))
    page.get_by_label("Some that I choose").check()
    for number in ("no. 66", "no. 67"):
        page.get_by_label("Find prompts").fill(number)
        box = page.locator("#prompt-choices").get_by_label(number)
        expect(page.locator("#prompt-choices input")).to_have_count(1)
        box.check()
    expect(page.locator("#chosen-prompts input:checked")).to_have_count(2)
    page.locator("#chosen-prompts").get_by_label("no. 66").uncheck()
    expect(page.locator("#summary")).to_contain_text("1 prompt × 4 images = 4 images")
    page.get_by_label("Find prompts").fill("zebra")
    expect(page.get_by_text("No prompt contains these words.")).to_be_visible()
    page.get_by_role("button", name="Generate images").click()
    expect(page.get_by_role("status").first).to_contain_text("The images are being made.")
    assert [prompt.text[-6:] for prompt in claim().prompts] == ["no. 67"]
    quiet(alice)


def test_settings_are_tried_step_by_step_and_mistakes_stand_at_their_fields(cast: Cast, window: Windows) -> None:
    scenes.prompts_of(cast, 2)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "generations/"))
    page.locator("summary", has_text="Settings").click()
    page.get_by_label("Steps", exact=True).fill("900")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#id_steps_error")).to_contain_text("less than or equal to 150")
    page.get_by_label("Steps", exact=True).fill("8")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator(".preview")).to_contain_text("waiting for a worker")
    expect(page.locator("#id_steps_error")).to_be_empty()
    request = claim()
    for step in (3, 6):
        jobs.heartbeat(Progress(lease=request.lease, done=0, total=1, step=step, steps=8), timezone.now())
        expect(page.locator(".preview")).to_contain_text(f"step {step} of 8")
    record_images(scenes.drawn(request), timezone.now())
    expect(page.locator(".preview img")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel the preview")).to_have_count(0)
    expect(page.get_by_label("Steps", exact=True)).to_have_value("8")

    page.get_by_role("button", name="Try it").click()
    page.get_by_role("button", name="Cancel the preview").click()
    expect(page.locator(".preview")).to_contain_text("cancelled")
    told = [line for line in alice.console if "status of 400" not in line]
    assert not told, "the browser itself tells of the refusal, and nothing else is told"


def test_a_request_is_paused_resumed_and_cancelled_after_a_question(cast: Cast, window: Windows) -> None:
    request = generate(cast, scenes.prompts_of(cast, 2))
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "generations/"))
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("paused", exact=True)).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("waiting for a worker")).to_be_visible()
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Keep it").click()
    page.wait_for_timeout(2_500)  # the list is renewed behind an open question
    page.get_by_role("button", name="Cancel…").click()
    page.wait_for_timeout(2_500)
    page.get_by_role("button", name="Cancel the request").click()
    expect(page.get_by_text("cancelled", exact=True)).to_be_visible()
    assert GenerationRequest.objects.get(pk=request.pk).cancelled_at
    quiet(alice)


def test_a_request_shows_its_steps_and_its_newest_images_as_they_come(cast: Cast, window: Windows) -> None:
    generate(cast, scenes.prompts_of(cast, 2))
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "generations/"))
    request = claim()
    jobs.heartbeat(Progress(lease=request.lease, done=0, total=8, step=2, steps=8, note="denoising"), timezone.now())
    expect(page.get_by_text("step 2 of 8 of the images at hand")).to_be_visible()
    whole = scenes.drawn(request)
    record_images(whole.model_copy(update={"images": whole.images[:3]}), timezone.now())
    expect(page.locator(".request-images img")).to_have_count(3)
    expect(page.get_by_text("3 of 8 images")).to_be_visible()
    record_images(whole, timezone.now())
    expect(page.get_by_text("done", exact=True)).to_be_visible()
    quiet(alice)


def test_a_picture_to_start_from_is_chosen_on_the_form(cast: Cast, window: Windows, tmp_path: Path) -> None:
    scenes.prompts_of(cast, 1)
    file = tmp_path / "sky.png"
    file.write_bytes(scenes.icon("a flat icon of a red circle on a blue background", 3))
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "generations/"))
    page.locator("summary", has_text="Start from a picture").click()
    expect(page.get_by_label("Picture", exact=True)).to_be_hidden()
    page.get_by_label("What the picture is for").select_option("image")
    expect(page.get_by_label("Mask")).to_be_hidden()
    page.get_by_label("Picture", exact=True).set_input_files(file)
    page.get_by_label("Images a prompt").fill("0")
    page.get_by_role("button", name="Generate images").click()
    expect(page.get_by_alt_text("The picture that is kept")).to_be_visible()
    page.get_by_label("Images a prompt").fill("2")
    page.get_by_role("button", name="Generate images").click()
    expect(page.locator(".request")).to_contain_text("· from a picture")
    (prompt,) = claim().prompts
    assert prompt.conditioning
    told = [line for line in alice.console if "status of 400" not in line]
    assert not told
