"""Importing images, and adding a picture to start from, as a person does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.images.models import Candidate
from easel.prompts.models import ConditioningImage, Prompt

from tests.browser.conftest import ARTIFACTS, PROMPTS, Window, drawn, rank_path, wait_for_item
from tests.browser.test_project_pages import faults
from tests.cast import Cast
from tests.easel.images.test_metadata import TEXT, photo

PARAMETERS = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: {seed}, Model: {model}"


def files(folder: Path) -> list[Path]:
    """Write images of two programs, one that says nothing, and one that is broken."""
    from io import BytesIO

    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    made = []
    for number in range(4):
        info = PngInfo()
        info.add_text("parameters", f"{PROMPTS[0]}\n" + PARAMETERS.format(seed=number, model=f"Model {number % 2}"))
        path = folder / f"apple-{number}.png"
        with Image.open(BytesIO(drawn(0, number))) as image:
            image.save(path, pnginfo=info)
        made.append(path)
    contents = {
        "neko.jpg": photo("JPEG", b"UNICODE\x00" + TEXT.encode("utf-16-be")),
        "silent.png": drawn(3, 1),
        "broken.png": drawn(3, 2)[:90],
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        made.append(folder / name)
    return made


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_images_are_imported_and_ranked(
    committed_cast: Cast, window: Callable[..., Window], tmp_path: Path, width: int, theme: str
) -> None:
    cast = committed_cast
    ARTIFACTS.mkdir(exist_ok=True)
    phone = width < 600
    look = {"color_scheme": theme, "has_touch": phone, "is_mobile": phone, "bypass_csp": True}
    alice = window(cast.alice, width=width, height=900, **look)
    problems: list[str] = []

    def picture(name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=ARTIFACTS / f"import-{name}-{width}-{theme}.png", full_page=True)
        problems.extend(f"{name}: {line}" for line in faults(page, width))

    page = alice.open(f"/projects/{cast.project.pk}/images/")
    page.get_by_role("link", name="Import images").first.click()
    page.get_by_role("button", name="Check the images").click()
    page.get_by_text("No image is there.").wait_for()
    picture("form")
    page.get_by_label("Images", exact=True).set_input_files(files(tmp_path))
    page.get_by_role("button", name="Check the images").click()
    page.get_by_role("heading", name="Check the import").wait_for()
    page.get_by_text("does not say its prompt").wait_for()
    assert page.locator(".import-images tbody tr").count() == 5
    page.wait_for_function(
        "[...document.querySelectorAll('.import-images img')].every((image) => image.complete && image.naturalWidth)"
    )
    picture("preview")
    page.get_by_role("button", name="Import 5 images").click()
    page.get_by_text("5 images are imported.").wait_for()
    assert Candidate.objects.count() == 5
    gather(timezone.now(), cast.project)

    page = window(cast.bob, width=width, height=900, **look).open(rank_path(cast))
    wait_for_item(page)
    shown = page.locator(".tile:not([hidden]) img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert shown and all(shown)  # the padded WebP files are images to a browser too

    page = alice.open(f"/projects/{cast.project.pk}/conditioning/")
    page.get_by_label("What it is for").select_option("outpaint")
    page.get_by_label("Picture", exact=True).set_input_files(tmp_path / "silent.png")
    page.get_by_label("Left").fill("9")
    page.get_by_role("button", name="Add the picture").click()
    page.get_by_text("Give a multiple of 8.").wait_for()
    picture("pictures-refused")
    page.get_by_label("Left").fill("16")
    page.get_by_label("Picture", exact=True).set_input_files(tmp_path / "silent.png")
    page.get_by_label("Prompts for it").fill("a fox\na hen")
    page.get_by_role("button", name="Add the picture").click()
    page.get_by_text("The picture is stored, with 2 prompts.").wait_for()
    picture("pictures")
    assert Prompt.objects.filter(conditioning=ConditioningImage.objects.get()).count() == 2
    assert not problems, "\n".join(problems)
