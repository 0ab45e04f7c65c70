"""What people see of a candidate is made of its pixels alone."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from easel.common.errors import NotFound
from easel.common.storage import storage
from easel.images import previews, tasks
from easel.images.metadata import hidden_text
from easel.images.models import Candidate
from easel.images.previews import LARGEST_SIDE, preview_of
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests import cast as stage
from tests.cast import Cast
from tests.easel.images.test_metadata import TEXT, hide, photo, picture


def opened(content: bytes) -> Image.Image:
    """Decode a preview."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def test_no_metadata_and_no_place_comes_through() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)  # GPS latitude
    info = PngInfo()
    info.add_text("parameters", "a cat\nSteps: 5, Model: secret")
    file = io.BytesIO()
    Image.new("RGB", (300, 200), "teal").save(file, "PNG", pnginfo=info, exif=exif, icc_profile=b"x" * 200)
    assert b"secret" in file.getvalue()
    preview = preview_of(file.getvalue())
    image = opened(preview)
    assert (image.format, image.size, image.info.keys() & {"exif", "xmp", "icc_profile", "parameters"}) == (
        "WEBP",
        (300, 200),
        set(),
    )
    assert b"secret" not in preview and not image.getexif()


@pytest.mark.parametrize("alpha", [True, False])
def test_text_hidden_in_the_pixels_is_gone(alpha: bool) -> None:
    original = picture(hide(TEXT, packed=True, alpha=alpha))
    assert hidden_text(opened(original)) == TEXT
    shown = opened(preview_of(original))
    assert shown.mode == "RGB"
    assert hidden_text(shown) is None


def test_small_icons_are_exact_and_large_images_fit_a_screen() -> None:
    noise = Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3))
    assert opened(preview_of(picture(noise))).convert("RGB").tobytes() == noise.tobytes()
    large = Image.new("RGB", (2_000, 1_000), "teal")
    assert opened(preview_of(picture(large))).size == (LARGEST_SIDE, LARGEST_SIDE // 2)


def test_transparency_is_shown_on_white() -> None:
    shown = opened(preview_of(picture(Image.new("RGBA", (8, 8), (255, 0, 0, 0)))))
    assert shown.getpixel((3, 3)) == (255, 255, 255)


def test_its_bytes_depend_on_the_pixels_alone_and_its_length_is_one_of_a_few() -> None:
    noise = Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3))
    flat = Image.new("RGB", (64, 64), "teal")
    assert preview_of(picture(noise)) == preview_of(picture(noise, parameters="Steps: 5" * 500))
    webp = io.BytesIO()
    noise.save(webp, "WEBP", lossless=True)
    assert preview_of(webp.getvalue()) == preview_of(picture(noise))  # another format of the same pixels
    kilobytes = {len(preview_of(content)) / 1024 for content in (picture(noise), picture(flat), photo("JPEG"))}
    assert kilobytes <= {8, 12, 16, 24, 32}
    assert len(preview_of(picture(flat))) == 8 * 1024


def test_recorded_images_get_their_previews_in_the_background_and_the_first_viewer_makes_a_lost_one(
    committed_cast: Cast,
) -> None:
    stage.make_items(committed_cast, 1)
    first, *others = Candidate.objects.of_project(committed_cast.project)
    tasks.preview([str(one.pk) for one in others])
    made = Candidate.objects.exclude(preview_key="")
    assert {one.pk for one in made} == {one.pk for one in others}
    stage.browser_of(committed_cast.bob).get(f"/images/{first.pk}/")
    first.refresh_from_db()
    assert storage().read(first.preview_key).startswith(b"RIFF")
    assert previews.preview_key(first) == first.preview_key


def test_recording_rings_for_previews(cast: Cast, django_capture_on_commit_callbacks: object) -> None:
    with django_capture_on_commit_callbacks() as rung:  # type: ignore[operator]
        stage.make_items(cast, 1, images=6)
    sent = [call.keywords["candidates"] for call in rung if "candidates" in getattr(call, "keywords", {})]
    assert [len(one) for one in sent] == [4, 2]
    assert {pk for one in sent for pk in one} == {
        str(pk) for pk in Candidate.objects.of_project(cast.project).values_list("pk", flat=True)
    }


def test_an_image_whose_file_is_gone_is_not_found(cast: Cast, storage_folder: Path) -> None:
    stage.make_items(cast, 1)
    candidate = Candidate.objects.of_project(cast.project)[0]
    (storage_folder / candidate.key).unlink()
    with pytest.raises(NotFound):
        previews.preview_key(candidate)
    tasks.preview([str(candidate.pk)])  # logs it and goes on
