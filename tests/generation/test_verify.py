"""Rendering a candidate again from its manifest alone, and comparing."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, PngImagePlugin

from generation import verify
from generation.engine import Engine
from generation.storage import Storage
from generation.types import Conditioning, Manifest, Margins, RenderedImage, RenderRequest, ServiceCall
from tests.generation.conftest import Ask, Render, adapter, reference, weights
from tests.generation.test_conditioning import Picture, _from, picture

__all__ = ["picture"]

Check = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def check(tmp_path: Path, storage: Storage, capsys: pytest.CaptureFixture[str]) -> Check:
    """Return a function that verifies an image by the command, and gives its exit status and answer."""

    def run(image: RenderedImage, **changes: object) -> tuple[int, dict[str, Any]]:
        path = tmp_path / "manifest.json"
        path.write_text(image.manifest.model_copy(update=changes).model_dump_json())
        capsys.readouterr()
        status = verify.main(["--manifest", str(path), "--storage", storage.url, "--key", image.key, "--json"])
        said = capsys.readouterr()
        return status, json.loads(said.out) if said.out else {"refused": said.err}

    return run


SAME = (0, {"same": True, "bitwise": True, "mean_difference": 0.0, "max_difference": 0, "notes": []})


@pytest.mark.parametrize("family", ["tiny", "xl", "sd3", "flux", "pixart"])
def test_an_image_of_any_family_is_bitwise_the_same_on_the_same_cpu(
    family: str, ask: Ask, render: Render, check: Check
) -> None:
    images = render(ask({"red apple": range(3), "bird": [7]}, model=reference(family), guidance_scale=2.5))
    for name in (("red apple", 2), ("bird", 0)):
        assert images[name].manifest.batch == 4
        assert check(images[name]) == SAME


@pytest.mark.parametrize(
    "asked",
    [
        {"scheduler": "euler_a", "steps": 4},
        {"scheduler": "dpmpp_2m", "steps": 5, "width": 24, "height": 32},
        {"scheduler": "lcm", "guidance_scale": 0},
    ],
)
def test_the_settings_come_from_the_manifest(asked: dict[str, Any], ask: Ask, render: Render, check: Check) -> None:
    images = render(ask({"red apple": range(5)}, **asked), Engine(batch=2))
    assert [image.manifest.batch for _, image in sorted(images.items())] == [2, 2, 2, 2, 1]
    for image in images.values():
        assert check(image) == SAME


def test_adapters_negative_prompts_and_the_live_lane_count_too(ask: Ask, render: Render, check: Check) -> None:
    model = reference("tiny").model_copy(update={"adapters": (adapter("tiny-lora", 0.7), adapter("tiny-lora-2", -1))})
    request = ask({"apple": range(3)}, model=model)
    prompt = request.prompts[0].model_copy(update={"negative": "leaf"})
    images = render(request.model_copy(update={"prompts": (prompt,), "lane": "live"}))
    assert [images["apple", at].manifest.batch for at in range(3)] == [1, 2, 2]
    for image in images.values():
        assert check(image) == SAME
    status, answer = check(images["apple", 0], adapters=())
    assert (status, answer["same"]) == (1, False)


def test_pictures_come_from_the_storage(ask: Ask, render: Render, check: Check, picture: Picture) -> None:
    model = reference("tiny").model_copy(update={"controlnet": weights("tiny-control")})
    given = (
        Conditioning(kind="image", image=picture("red")),
        Conditioning(kind="inpaint", image=picture("red"), mask=picture("black", mode="L")),
        Conditioning(kind="outpaint", image=picture("red"), margins=Margins(left=8)),
        Conditioning(kind="control", image=picture("gray")),
    )
    texts = {kind: [1, 2] for kind in ("image", "inpaint", "outpaint", "control")}
    for image in render(_from(ask(texts, model=model, steps=4), *given)).values():
        assert check(image) == SAME


@pytest.mark.parametrize("changes", [{"seed": 2}, {"steps": 9}, {"prompt": "blue bird"}, {"guidance_scale": 20.0}])
def test_an_image_of_something_else_is_different(
    changes: dict[str, Any], ask: Ask, render: Render, check: Check
) -> None:
    (image,) = render(ask({"red apple": [1]})).values()
    status, answer = check(image, **changes)
    assert (status, answer["same"], answer["bitwise"]) == (1, False, False)
    assert answer["max_difference"] > 1
    assert answer["notes"][0].endswith("of 256 pixels differ")


def test_one_level_in_one_pixel_is_different_on_the_same_cpu_and_within_the_tolerance_elsewhere(
    ask: Ask, render: Render, check: Check, storage: Storage
) -> None:
    (image,) = render(ask({"red apple": [1]})).values()
    spoilt = Image.open(io.BytesIO(storage.read(image.key)))
    red, green, blue = spoilt.getpixel((3, 3))  # type: ignore[misc]
    spoilt.putpixel((3, 3), (red, green ^ 1, blue))
    buffer = io.BytesIO()
    spoilt.save(buffer, "PNG")
    other = image.model_copy(update={"key": storage.put(buffer.getvalue(), "png")})
    status, answer = check(other)
    assert (status, answer["same"], answer["max_difference"]) == (1, False, 1)
    assert answer["notes"] == ["1 of 256 pixels differ"]

    versions = image.manifest.versions | {"torch": "1.0"}
    status, answer = check(other, versions=versions, device="Some GPU")
    assert (status, answer["same"], answer["bitwise"]) == (0, True, False)
    assert answer["notes"][:2] == ["device: Some GPU, now cpu", f"torch: 1.0, now {torch.__version__}"]
    assert 0 < answer["mean_difference"] < verify.TOLERANCE


def test_elsewhere_another_image_is_still_different(ask: Ask, render: Render, check: Check) -> None:
    (image,) = render(ask({"red apple": [1]})).values()
    status, answer = check(image, device="Some GPU", seed=2)
    assert (status, answer["same"]) == (1, False)
    assert answer["mean_difference"] > verify.TOLERANCE


def test_what_stands_in_the_file_beside_the_pixels_does_not_matter(
    ask: Ask, render: Render, storage: Storage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (image,) = render(ask({"red apple": [1]})).values()
    (tmp_path / "manifest.json").write_text(image.manifest.model_dump_json())
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "red apple\nSteps: 2")
    Image.open(io.BytesIO(storage.read(image.key))).save(tmp_path / "download.png", pnginfo=text)
    given = ["--manifest", str(tmp_path / "manifest.json"), "--image", str(tmp_path / "download.png")]
    assert verify.main(given) == 0
    assert capsys.readouterr().out == "same: every pixel is the same\n"


def test_what_cannot_be_rendered_again_says_why(
    own_models: Path, ask: Ask, render: Render, check: Check, tmp_path: Path, storage: Storage
) -> None:
    (image,) = render(ask({"red apple": [1]}), Engine()).values()
    service = ServiceCall(service="api:paint", model="paint-1")
    for changes, expected in (
        ({"service": service}, "cannot_verify: api:paint made the image"),
        ({"model_location": ""}, "cannot_verify: the manifest lacks the model's location"),
        ({"model_sha256": "0" * 64}, "weights_changed: "),
        ({"model_location": "folder:absent"}, "model_not_found: "),
        ({"prompt": "a" * 50}, "prompt_too_long: "),
    ):
        status, answer = check(image, **changes)
        assert status == 2
        assert answer["refused"].startswith(expected)
        assert answer["refused"].count("\n") == 1
    shutil.rmtree(own_models / "tiny")
    assert check(image)[0] == 2
    assert check(image.model_copy(update={"key": f"aa/{'a' * 64}.png"}))[1]["refused"].startswith("cannot_verify: aa/")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"model": 7}'])
def test_a_manifest_that_is_none(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_text(text)
    (tmp_path / "image.png").write_bytes(b"")
    given = ["--manifest", str(tmp_path / "manifest.json"), "--image", str(tmp_path / "image.png")]
    assert verify.main(given) == 2
    assert capsys.readouterr().err.startswith(f"cannot_verify: {tmp_path / 'manifest.json'}")


@pytest.mark.processes
def test_the_command_runs_by_itself(ask: Ask, render: Render, storage: Storage, tmp_path: Path) -> None:
    request: RenderRequest = ask({"red apple": range(2)})
    image = render(request)["red apple", 1]
    (tmp_path / "manifest.json").write_text(image.manifest.model_dump_json())
    given = ["--manifest", str(tmp_path / "manifest.json"), "--storage", storage.url, "--key", image.key, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "generation.verify", *given], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["bitwise"], json.loads(done.stdout)["notes"]) == (True, [])


def test_a_manifest_survives_the_way_through_json(ask: Ask, render: Render) -> None:
    (image,) = render(ask({"red apple": [2**40]})).values()
    assert Manifest.model_validate_json(image.manifest.model_dump_json()) == image.manifest
