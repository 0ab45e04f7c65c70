"""Pictures of the ranking page and of the pages of generation for people to look at, in tests/artifacts/ (not kept).

EASEL_PICTURES=builtin has the built-in model render them (a minute); otherwise they are drawn.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import pytest
from django.utils import timezone
from easel.common import jobs
from easel.images import services
from easel.images.models import Candidate, GenerationRequest
from easel.registry.services import register_folder
from PIL import Image

from generation.storage import Storage
from generation.types import (
    ImageSlot,
    Lease,
    ModelReference,
    Progress,
    RenderedImage,
    RenderedImages,
    RenderPrompt,
    RenderRequest,
    RenderSettings,
)
from tests.browser import scenes
from tests.browser.acting import keys, saved
from tests.browser.conftest import ARTIFACTS, PROMPTS, Window, drawn, rank_path
from tests.browser.test_project_pages import faults
from tests.cast import CLAIM, Cast, claim, generate, make_model_folder, make_prompts, manifest

SIZES = {"1440": (1440, 900), "1280": (1280, 800), "390": (390, 844)}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_ranking_page_is_pictured(
    make_cast: Callable[..., Cast],
    window: Callable[..., Window],
    tmp_path_factory: pytest.TempPathFactory,
    size: str,
    theme: str,
) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    width, height = SIZES[size]
    phone = width < 600
    picture = drawn
    if os.environ.get("EASEL_PICTURES") == "builtin":
        rendered = _rendered(tmp_path_factory.getbasetemp())
        picture = lambda item, position, size=0: rendered[item, position]  # noqa: E731
    cast = make_cast(items=2, picture=picture, prompts=PROMPTS[:2])
    mine = window(cast.bob, width=width, height=height, color_scheme=theme, has_touch=phone, is_mobile=phone)
    page = mine.open(rank_path(cast))
    page.screenshot(path=ARTIFACTS / f"ranking-{size}-{theme}-fresh.png")
    keys(page, "a", "c", "Shift+D", "b")
    saved(page)
    page.screenshot(path=ARTIFACTS / f"ranking-{size}-{theme}.png")
    assert page.locator(".slot.is-empty").count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["1440", "390"])
def test_the_pages_of_generation_are_pictured(
    committed_cast: Cast, window: Callable[..., Window], model_folders: Path, size: str, theme: str
) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    cast = scenes.begin(committed_cast)
    asked = _requests_in_every_state(cast, model_folders)
    width, height = SIZES[size]
    phone = width < 600
    options = {"color_scheme": theme, "has_touch": phone, "is_mobile": phone}
    alice = window(cast.alice, width=width, height=height, **options)
    problems: list[str] = []

    def look(name: str, *, whole: bool = True) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=ARTIFACTS / f"generation-{name}-{size}-{theme}.png", full_page=whole)
        problems.extend(f"{name}: {line}" for line in faults(page, width))

    base = f"/projects/{cast.project.pk}"
    page = alice.open(f"{base}/generations/")
    page.evaluate("document.getElementById('requests').removeAttribute('hx-get')")
    look("form")
    page.get_by_text("Some that I choose").click()
    page.get_by_text(PROMPTS[1]).click()
    page.get_by_label("These").check()
    page.locator("#id_seeds").fill("1, two")
    page.locator("summary", has_text="Settings").click()
    page.get_by_label("Steps", exact=True).fill("900")
    page.get_by_role("button", name="Try it").click()
    page.locator("#id_steps_error").filter(has_text="150").wait_for()
    look("form-open")
    page.get_by_label("Steps", exact=True).fill("8")
    page.get_by_label("Every image its own").check()
    page.get_by_label("Images a prompt", exact=True).fill("4")
    page.get_by_role("button", name="Try it").click()
    page.locator(".preview").first.wait_for()
    _paint_all()
    page.locator(".preview img").first.wait_for()
    page.locator("#generate-form").screenshot(path=ARTIFACTS / f"generation-tried-{size}-{theme}.png")
    page.locator(".request .button.danger").first.click()
    look("cancel", whole=False)

    page = alice.open(f"{base}/images/?request={asked.pk}")
    page.locator("a[data-image]").first.focus()
    keys(page, "Space", "ArrowRight", "Space")
    look("gallery", whole=False)
    keys(page, "Enter")
    look("large", whole=False)
    page = alice.open(f"{base}/images/?q=zebra")
    look("gallery-none")
    pk = Candidate.objects.filter(request=asked).order_by("prompt", "position")[0].pk
    page = alice.open(f"{base}/images/side-by-side/?models_of={pk}")
    look("beside")
    page = alice.open(f"{base}/images/side-by-side/?image={pk}")
    look("beside-none")
    problems += [line for line in alice.console if "status of 400" not in line]
    assert not problems, "\n".join(problems)


def _requests_in_every_state(cast: Cast, model_folders: Path) -> GenerationRequest:
    """A comparison that is done and is returned; requests that run, wait, are paused, cancelled, and failed in part."""
    make_model_folder(model_folders / "sketcher")
    (model_folders / "sketcher" / "defaults.json").write_text('{"steps": 3, "guidance_scale": 2.0}')
    (model_folders / "painter" / "defaults.json").write_text('{"steps": 8, "guidance_scale": 2.0}')
    sketcher = register_folder("Sketcher", "sketcher", "MIT", timezone.now())
    prompts = make_prompts(cast.project, *PROMPTS)
    now = timezone.now()
    cancelled = generate(cast, prompts, 4)
    services.cancel(cancelled, now)
    asked = generate(cast, prompts, 2, compared=[sketcher])
    _paint_all()
    generate(cast, prompts[:2], 4, at=now - timedelta(hours=2))
    scenes.fail_next()
    paused = generate(cast, prompts, 4)
    services.pause(paused, now)
    generate(cast, prompts, 4, settings_=RenderSettings(steps=8, scheduler="ddim"))
    whole = _paint(claim())
    for images, seconds in ((whole.images[:6], 9), (whole.images[6:12], 4)):
        services.record_images(whole.model_copy(update={"images": images}), timezone.now() - timedelta(seconds=seconds))
    progress = Progress(lease=whole.lease, done=12, total=16, step=5, steps=8, note="denoising")
    jobs.heartbeat(progress, timezone.now())
    return asked


def _paint_all() -> None:
    """Have all that waits painted."""
    while request := services.claim_render(CLAIM, timezone.now()):
        services.record_images(_paint(request), timezone.now())


def _paint(request: RenderRequest) -> RenderedImages:
    """Draw the images of a job, or render them: the sketcher is the same model with fewer steps."""
    storage = Storage(request.storage_url)
    steps = 3 if request.model.name == "Sketcher" else request.settings.steps or 8
    images: list[RenderedImage] = []
    for prompt in request.prompts:
        for slot in prompt.slots:
            content = _picture(prompt.text, slot.seed, steps)
            with Image.open(BytesIO(content)) as opened:
                width, height = opened.size
            said = {"width": width, "height": height, "steps": steps, "guidance_scale": 2.0, "prompt": prompt.text}
            images.append(
                RenderedImage(
                    prompt=prompt.id,
                    position=slot.position,
                    key=storage.put(content, "png"),
                    sha256=sha256(content).hexdigest(),
                    bytes=len(content),
                    width=width,
                    height=height,
                    manifest=manifest(request, slot.seed).model_copy(update=said),
                )
            )
    return RenderedImages(lease=request.lease, images=tuple(images))


@cache
def _picture(text: str, seed: int, steps: int) -> bytes:
    if os.environ.get("EASEL_PICTURES") != "builtin":
        return drawn(PROMPTS.index(text), seed % 5, 128)
    from generation.engine import Engine

    with TemporaryDirectory() as folder:
        storage = Storage(Path(folder).as_uri())
        request = RenderRequest(
            lease=Lease(job=uuid4(), token=uuid4(), attempt=1),
            lane="batch",
            model=ModelReference(id=uuid4(), name="Easel icons", location="folder:easel-icons", sha256=None),
            settings=RenderSettings(steps=steps),
            prompts=(RenderPrompt(id=uuid4(), text=text, slots=(ImageSlot(position=0, seed=seed),)),),
            storage_url=storage.url,
        )
        images: list[RenderedImage] = []
        Engine().render(request, storage, on_images=images.extend)
        return storage.read(images[0].key)


@cache
def _rendered(folder: Path) -> dict[tuple[int, int], bytes]:
    """Render the prompts of the first two items with the built-in model."""
    from generation.engine import Engine

    storage = Storage((folder / "rendered").as_uri())
    prompts = [
        RenderPrompt(id=uuid4(), text=text, slots=tuple(ImageSlot(position=n, seed=n) for n in range(4)))
        for text in PROMPTS[:2]
    ]
    numbers: dict[UUID, int] = {prompt.id: number for number, prompt in enumerate(prompts)}
    request = RenderRequest(
        lease=Lease(job=uuid4(), token=uuid4(), attempt=1),
        lane="batch",
        model=ModelReference(id=uuid4(), name="Easel icons", location="folder:easel-icons", sha256=None),
        prompts=tuple(prompts),
        storage_url=storage.url,
    )
    images: list[RenderedImage] = []
    Engine().render(request, storage, on_images=images.extend)
    return {(numbers[image.prompt], image.position): storage.read(image.key) for image in images}
