"""Pictures from outside are pixels and nothing else; what tries to be more, or too much, is refused in one line."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from easel.common.pictures import BadPicture, open_picture, png, upright
from easel.common.storage import storage
from easel.prompts.models import ConditioningImage, Prompt
from PIL import Image
from rest_framework.test import APIClient

from generation.types import Conditioning
from tests.cast import API, Cast, browser_of, client_of
from tests.easel.images.test_metadata import picture, with_chunk

SECRET = b"secret garden"


def camera(orientation: int = 6) -> bytes:
    """Return a photograph as a phone makes it: lying on its side, with its place and a name."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = SECRET.decode()
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    image = Image.new("RGB", (64, 32), "white")
    image.paste("black", (0, 0, 32, 32))  # the left half; upright, it is the upper one
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, quality=95)
    return file.getvalue()


def add(client: APIClient, cast: Cast, image: bytes | None, kind: str = "image", **data: Any) -> Any:
    """Upload a picture that images start from."""
    files = {"image": SimpleUploadedFile("picture.png", image)} if image is not None else {}
    if isinstance(mask := data.pop("mask", None), bytes):
        files["mask"] = SimpleUploadedFile("mask.png", mask)
    return client.post(
        f"{API}/projects/{cast.project.pk}/conditioning/", {"kind": kind, **files, **data}, format="multipart"
    )


def plain(width: int, height: int, colour: Any = "teal", mode: str = "RGB") -> bytes:
    """Return a PNG of one colour."""
    return picture(Image.new(mode, (width, height), colour))


def header(width: int, height: int) -> bytes:
    """Return a PNG that says it is huge and holds next to nothing."""
    head = struct.pack(">II", width, height) + b"\x08\x02\x00\x00\x00"
    start = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    )
    body = zlib.compress(bytes(1000))
    return start + struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))


def test_a_photograph_stands_upright_and_its_place_is_gone(cast: Cast, alice: APIClient) -> None:
    content = camera()
    assert SECRET in content
    answer = add(alice, cast, content)
    assert answer.status_code == 201
    assert (answer.json()["width"], answer.json()["height"]) == (32, 64)
    kept = ConditioningImage.objects.get()
    stored = storage().read(kept.image_key)
    assert SECRET not in stored and b"eXIf" not in stored
    with Image.open(io.BytesIO(stored)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (32, 64))
        assert not image.getexif()
        grey = image.convert("L")
        upper, lower = (grey.crop((0, top, 32, top + 28)).tobytes() for top in (0, 36))
        assert max(upper) < 60 and min(lower) > 200
    Conditioning.model_validate(kept.reference().model_dump())


def test_what_hangs_on_a_picture_does_not_come_in() -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("run.html", "<script>alert(1)</script>" + SECRET.decode())
    tail = plain(16, 16) + zipped.getvalue()  # a picture for one program, an archive for another
    assert zipfile.is_zipfile(io.BytesIO(tail))
    script = with_chunk(plain(16, 16), b"tEXt", b"Comment\x00<script>" + SECRET)
    odd = with_chunk(plain(16, 16), b"prVt", SECRET)
    gif = b"GIF89a" + plain(16, 16)
    for polyglot in (tail, script, odd):
        clean = png(upright(open_picture("a.png", polyglot)))
        assert SECRET not in clean and b"script" not in clean
        assert not zipfile.is_zipfile(io.BytesIO(clean))
    with pytest.raises(BadPicture, match="is no PNG, JPEG or WebP picture"):
        open_picture("a.png", gif)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (header(50_000, 50_000), "million"),
        (header(8_000, 8_000), "at most 40 million"),
        (header(3, 2**31 - 1), "million|is damaged"),
        (plain(64, 64)[:-30], "is damaged"),
        (with_chunk(plain(16, 16), b"tEXt", b"a\x00b", crc=5), "is damaged"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is no PNG, JPEG or WebP"),
        (b"%PDF-1.4", "is no PNG, JPEG or WebP"),
        (b"\x89PNG\r\n\x1a\n", "is damaged"),
        (b"II*\x00" + bytes(100), "is no PNG, JPEG or WebP"),
        (b"\x00" * (32 * 2**20 + 1), "is larger than 32 MB"),
    ],
)
def test_what_is_no_sound_picture_is_refused_in_one_line(content: bytes, says: str) -> None:
    tracemalloc.start()
    with pytest.raises(BadPicture, match=says) as refusal:
        open_picture("file.png", content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refusal.value.detail.startswith("file.png ")
    assert "\n" not in refusal.value.detail
    assert peak < 8 * 2**20  # nothing was unpacked


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_a_wrong_ending_does_not_matter(format_: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, format_)
    for name in ("a.png", "a.gif", "a.exe", "a"):
        assert open_picture(name, file.getvalue()).format == format_


def test_animations_are_refused_and_a_phones_second_picture_is_left_out() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    for format_ in ("PNG", "WEBP"):
        file = io.BytesIO()
        frames[0].save(file, format_, save_all=True, append_images=frames[1:])
        with pytest.raises(BadPicture, match="is animated"):
            open_picture("a", file.getvalue())
    file = io.BytesIO()
    frames[0].save(file, "MPO", save_all=True, append_images=frames[1:])
    assert upright(open_picture("a.jpg", file.getvalue())).getpixel((8, 8))[0] > 200  # type: ignore[index]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, "L"), ("L", 128, "L"), ("P", 3, "RGB"), ("RGBA", (1, 2, 3, 4), "RGBA"), ("LA", (9, 9), "RGBA"),
        ("I;16", 65_535, "L"), ("CMYK", (0, 0, 0, 0), "RGB"),
    ],
)  # fmt: skip
def test_every_kind_of_pixels_becomes_one_of_three(mode: str, colour: Any, expected: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (16, 16), colour).save(file, "JPEG" if mode == "CMYK" else "PNG")
    image = upright(open_picture("a", file.getvalue()))
    assert (image.mode, image.size, image.info) == (expected, (16, 16), {})
    if mode == "I;16":
        assert image.getpixel((0, 0)) == 255


def test_sides_are_cut_to_multiples_of_8_around_the_middle_and_the_answer_says_so(cast: Cast, alice: APIClient) -> None:
    image = Image.new("RGB", (70, 33), "red")
    image.paste("blue", (3, 0, 67, 32))
    body = add(alice, cast, picture(image)).json()
    assert (body["width"], body["height"]) == (64, 32)
    assert body["notes"] == [
        "picture.png was 70 x 33 pixels and is cut to 64 x 32 around its middle: sides must be multiples of 8."
    ]
    with Image.open(io.BytesIO(storage().read(ConditioningImage.objects.get().image_key))) as kept:
        assert kept.getcolors() == [(64 * 32, (0, 0, 255))]
    assert add(alice, cast, plain(64, 64)).json()["notes"] == []


def test_a_mask_has_one_channel_and_the_size_of_its_picture(cast: Cast, alice: APIClient) -> None:
    mask = Image.new("RGB", (64, 48), "black")
    mask.paste("white", (8, 8, 24, 24))
    body = add(alice, cast, plain(64, 48), "inpaint", mask=picture(mask))
    assert body.status_code == 201
    kept = ConditioningImage.objects.get()
    with Image.open(io.BytesIO(storage().read(kept.mask_key))) as stored:
        assert (stored.mode, stored.size, stored.getpixel((10, 10)), stored.getpixel((0, 0))) == ("L", (64, 48), 255, 0)
    assert kept.reference().mask == kept.mask_key


@pytest.mark.parametrize(
    ("image", "kind", "data", "says"),
    [
        (plain(64, 64), "inpaint", {}, "Inpainting needs a mask"),
        (plain(64, 64), "inpaint", {"mask": plain(32, 64)}, "mask.png is 32 x 64 pixels and picture.png is 64 x 64"),
        (plain(64, 64), "inpaint", {"mask": plain(64, 64, "black")}, "black everywhere"),
        (plain(64, 64), "image", {"mask": plain(64, 64)}, "Only inpainting takes a mask"),
        (plain(64, 64), "outpaint", {}, "Outpainting needs a margin"),
        (plain(64, 64), "image", {"left": 8}, "Only outpainting takes margins"),
        (plain(64, 64), "outpaint", {"left": 9}, "9 is no multiple of 8; give 8 or 16."),
        (plain(1_600, 16), "outpaint", {"right": 512}, "grows to 2,112 x 16 pixels"),
        (plain(4_000, 3_000), "image", {}, "Make it 2048 x 1536."),
        (plain(15, 64), "image", {}, "each side needs 16 at least"),
        (plain(64, 64), "sculpture", {}, "kind"),
        (None, "image", {}, "The picture is missing"),
        (b"no picture", "image", {}, "picture.png is no PNG, JPEG or WebP picture"),
    ],
)
def test_a_picture_that_does_not_fit_is_refused_in_one_line(
    cast: Cast, alice: APIClient, image: bytes | None, kind: str, data: dict[str, Any], says: str
) -> None:
    answer = add(alice, cast, image, kind, **data)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]
    assert not ConditioningImage.objects.exists()


def test_the_same_picture_again_is_the_one_that_is_there(cast: Cast, alice: APIClient) -> None:
    first, again = (add(alice, cast, plain(64, 64)).json()["id"] for _ in range(2))
    other = add(alice, cast, plain(64, 64), "outpaint", left=8).json()
    assert first == again != other["id"]
    assert other["margins"] == {"left": 8, "top": 0, "right": 0, "bottom": 0}
    listed = alice.get(f"{API}/projects/{cast.project.pk}/conditioning/").json()["results"]
    assert [one["id"] for one in listed] == [other["id"], first]


def test_the_same_text_may_stand_with_two_pictures(cast: Cast, alice: APIClient) -> None:
    one, two = (add(alice, cast, plain(64, 64, colour)).json()["id"] for colour in ("red", "blue"))
    address = f"{API}/projects/{cast.project.pk}/prompts/"
    prompts: list[Any] = ["a fox", {"text": "a fox", "conditioning": one}, {"text": "a fox", "conditioning": two}]
    assert alice.post(address, {"prompts": prompts}).json() == {"created": 3, "rejected": []}
    assert alice.post(address, {"prompts": prompts}).json()["created"] == 0
    assert {str(prompt.conditioning_id) for prompt in Prompt.objects.all()} == {"None", one, two}
    rejected = alice.post(address, {"prompts": [{"text": "a hen", "conditioning": str(cast.project.pk)}]}).json()
    assert rejected["rejected"] == [{"row": 1, "reason": "conditioning is no picture of this project; upload it first"}]


def test_another_projects_picture_does_not_exist(cast: Cast, alice: APIClient) -> None:
    theirs = add(alice, cast, plain(64, 64)).json()["id"]
    charlie = client_of(cast.charlie)
    prompts = [{"text": "a fox", "conditioning": theirs}]
    answer = charlie.post(f"{API}/projects/{cast.foreign.pk}/prompts/", {"prompts": prompts}).json()
    assert answer["created"] == 0
    assert charlie.get(f"/conditioning/{theirs}/").status_code == 404
    annotator = client_of(cast.bob).get(f"/conditioning/{theirs}/")
    assert annotator.status_code == 200  # people see what the images that they judge start from
    shown = client_of(cast.dave).get(f"/conditioning/{theirs}/")
    assert (shown.status_code, shown["Content-Type"]) == (200, "image/png")


def test_the_page_takes_a_picture_with_prompts_for_it(cast: Cast) -> None:
    browser = browser_of(cast.alice)
    address = f"/projects/{cast.project.pk}/conditioning/"
    data = {"kind": "outpaint", "image": SimpleUploadedFile("a.png", plain(65, 64)), "right": "16"}
    answer = browser.post(address, {**data, "prompts": "a fox\na hen\na fox"}, format="multipart", follow=True)
    page = answer.content.decode()
    assert "is cut to 64 x 64" in page and "Line 3 is the same prompt as row 1." in page
    kept = ConditioningImage.objects.get()
    assert kept.margins == {"left": 0, "top": 0, "right": 16, "bottom": 0}
    assert {(one.text, one.conditioning_id) for one in Prompt.objects.all()} == {("a fox", kept.pk), ("a hen", kept.pk)}
    wrong = {"kind": "outpaint", "image": SimpleUploadedFile("a.png", plain(64, 64)), "right": "9"}
    answer = browser.post(address, wrong, format="multipart")
    assert answer.status_code == 400 and "Give a multiple of 8." in answer.content.decode()
    assert browser_of(cast.dave).get(address).status_code == 200
