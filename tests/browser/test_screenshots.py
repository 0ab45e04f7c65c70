"""Pictures of the ranking page for people to look at, in tests/artifacts/ (not in the repository).

EASEL_PICTURES=builtin has the built-in model render them (a minute); otherwise they are drawn.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from generation.storage import Storage
from generation.types import ImageSlot, Lease, ModelReference, RenderedImage, RenderPrompt, RenderRequest
from tests.browser.acting import keys, saved
from tests.browser.conftest import ARTIFACTS, PROMPTS, Window, drawn, rank_path
from tests.cast import Cast

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
