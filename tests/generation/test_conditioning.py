"""Images that start from a picture: within all of it, within a mask, beyond its edges, or under a ControlNet."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file

from generation.engine import Engine
from generation.errors import (
    ModelBrokenError,
    ModelNotFoundError,
    RenderError,
    WeightsChangedError,
    WrongAdapterError,
    WrongConditioningError,
)
from generation.storage import Storage, weights_hash
from generation.types import Conditioning, Margins, ModelReference, RenderedImage, RenderRequest
from tests.generation.conftest import Ask, Render, adapter, reference, weights
from tests.generation.test_models import Canary
from tests.generation.tiny import diffusers

Picture = Callable[..., str]
CONTROLNET = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def picture(storage: Storage) -> Picture:
    """Return a maker of uploaded pictures: a disc on a ground, drawn with a colour; gives the storage key."""

    def make(colour: str = "red", size: tuple[int, int] = (16, 16), mode: str = "RGB", disc: str = "white") -> str:
        image = Image.new(mode, size, colour)
        ImageDraw.Draw(image).ellipse((4, 4, size[0] // 2 + 4, size[1] // 2 + 4), fill=disc)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return storage.put(buffer.getvalue(), "png")

    return make


def _from(request: RenderRequest, *conditionings: Conditioning | None) -> RenderRequest:
    """Return the request with a picture for each of its prompts."""
    prompts = (
        prompt.model_copy(update={"conditioning": each})
        for prompt, each in zip(request.prompts, conditionings, strict=True)
    )
    return request.model_copy(update={"prompts": tuple(prompts)})


def _under_control(base: str, controlnet: str | None = None) -> ModelReference:
    return reference(base).model_copy(update={"controlnet": weights(controlnet or f"{base}-control")})


def _pixels(storage: Storage, key: str) -> NDArray[np.int64]:
    return np.asarray(Image.open(io.BytesIO(storage.read(key))), dtype=np.int64)


def _refusal(kind: type[RenderError], request: RenderRequest, storage: Storage, engine: Engine) -> str:
    """Return why a request was refused: for its first prompt, while the others were rendered."""
    kept: list[RenderedImage] = []
    with pytest.raises(kind) as refused:
        engine.render(request, storage, on_images=kept.extend)
    assert [image.manifest.prompt for image in kept] == [prompt.text for prompt in request.prompts[1:]]
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("family", ["tiny", "xl", "sd3", "flux"])
def test_an_image_starts_from_a_picture_as_much_as_the_strength_says(
    family: str, ask: Ask, render: Render, storage: Storage, picture: Picture
) -> None:
    red, blue = (Conditioning(kind="image", image=picture(colour)) for colour in ("red", "blue"))
    changes = []
    for strength in (0.2, 0.9):
        request = ask({"apple": [1], "bird": [1]}, model=reference(family), steps=10, strength=strength)
        images = render(_from(request, red, blue))
        assert images["apple", 0].manifest.conditioning == red
        assert images["apple", 0].manifest.strength == strength
        assert images["apple", 0].key != images["bird", 0].key
        alone = render(_from(ask({"apple": [1]}, model=reference(family), steps=10, strength=strength), red))
        difference = _pixels(storage, alone["apple", 0].key) - _pixels(storage, images["apple", 0].key)
        assert np.abs(difference).max() <= 1  # its neighbour's picture does not shine through
        changes.append(images["apple", 0].key)
    assert len(set(changes)) == 2
    (own,) = render(_from(ask({"apple": [1]}, model=reference(family)), red)).values()
    assert own.manifest.strength == 0.8


def test_an_image_from_a_picture_is_that_of_a_plain_diffusers_call(
    ask: Ask, render: Render, storage: Storage, picture: Picture, models: Path
) -> None:
    key = picture("green")
    request = _from(ask({"apple": [7]}, steps=4, strength=0.5), Conditioning(kind="image", image=key))
    pipe = diffusers.StableDiffusionImg2ImgPipeline.from_pretrained(models / "tiny", dtype=torch.float32)
    plain = pipe(
        "apple",
        image=Image.open(io.BytesIO(storage.read(key))),
        strength=0.5,
        num_inference_steps=4,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(7),
    ).images[0]
    assert np.abs(_pixels(storage, render(request)["apple", 0].key) - np.asarray(plain, int)).max() <= 1


@pytest.mark.parametrize("family", ["tiny", "xl", "sd3", "flux"])
def test_only_what_is_white_in_the_mask_is_made_anew(
    family: str, ask: Ask, render: Render, storage: Storage, picture: Picture
) -> None:
    image, mask = picture("red"), picture("black", mode="L")
    given = Conditioning(kind="inpaint", image=image, mask=mask)
    made = render(_from(ask({"apple": [1, 2]}, model=reference(family)), given))
    anew = _pixels(storage, mask) >= 128
    assert 0 < anew.sum() < anew.size
    for each in made.values():
        changed = (_pixels(storage, each.key) != _pixels(storage, image)).any(axis=-1)
        assert not changed[~anew].any()
        assert changed[anew].mean() > 0.9
        assert (each.manifest.strength, each.manifest.conditioning) == (1.0, given)
    assert made["apple", 0].key != made["apple", 1].key


@pytest.mark.parametrize("family", ["tiny", "xl", "sd3", "flux"])
def test_outpainting_makes_the_margins_and_keeps_the_picture(
    family: str, ask: Ask, render: Render, storage: Storage, picture: Picture
) -> None:
    image = picture("red")
    margins = Margins(left=8, right=16, bottom=8)
    given = Conditioning(kind="outpaint", image=image, margins=margins)
    (made,) = render(_from(ask({"apple": [1]}, model=reference(family)), given)).values()
    assert (made.width, made.height) == (made.manifest.width, made.manifest.height) == (40, 24)
    pixels = _pixels(storage, made.key)
    assert (pixels[:16, 8:24] == _pixels(storage, image)).all()
    assert pixels[16:].std() > 0
    assert made.manifest.conditioning == given


@pytest.mark.parametrize("family", ["tiny", "xl", "sd3", "flux"])
def test_a_controlnet_steers_by_its_picture_and_its_scale(
    family: str, ask: Ask, render: Render, storage: Storage, picture: Picture
) -> None:
    model = _under_control(family)
    one, other = (Conditioning(kind="control", image=picture(colour)) for colour in ("black", "gray"))
    images = render(_from(ask({"apple": [1], "bird": [1]}, model=model), one, other))
    assert images["apple", 0].manifest.controlnet == model.controlnet
    assert images["apple", 0].manifest.control_scale == 1.0
    keys = {
        render(_from(ask({"apple": [1]}, model=model, control_scale=scale), given))["apple", 0].key
        for given, scale in ((one, 1.0), (other, 1.0), (one, 0.5))
    }
    assert len(keys) == 3
    off = render(_from(ask({"apple": [1]}, model=model, control_scale=0), one))["apple", 0]
    plain = render(ask({"apple": [1]}, model=model, width=16, height=16))["apple", 0]
    if family != "flux":  # which encodes the picture with the image's own noise first
        assert np.abs(_pixels(storage, off.key) - _pixels(storage, plain.key)).max() <= 1
    assert (plain.manifest.controlnet, plain.manifest.control_scale) == (None, None)


def test_prompts_with_and_without_pictures_share_a_request(
    ask: Ask, render: Render, storage: Storage, picture: Picture
) -> None:
    texts = {"apple": [1, 2], "bird": [1], "cat": [1], "dog": [1], "eel": [1]}
    given = (
        None,
        Conditioning(kind="image", image=picture("red")),
        Conditioning(kind="image", image=picture("red", (24, 16))),
        Conditioning(kind="inpaint", image=picture("red"), mask=picture("black", mode="L")),
        None,
    )
    images = render(_from(ask(texts, steps=4), *given))
    sizes = {text: (image.width, image.height) for (text, _), image in images.items()}
    assert sizes == {"apple": (16, 16), "bird": (16, 16), "cat": (24, 16), "dog": (16, 16), "eel": (16, 16)}
    assert [images[text, 0].manifest.batch for text in texts] == [3, 1, 1, 1, 3]
    plain = render(ask({"apple": [1, 2], "eel": [1]}, steps=4))
    for name, image in plain.items():
        assert image.key == images[name].key  # as if the others were not there


def test_pictures_change_nothing_for_later_requests(ask: Ask, render: Render, picture: Picture) -> None:
    engine = Engine()
    before = render(ask({"apple": [1]}), engine)
    given = Conditioning(kind="inpaint", image=picture("red"), mask=picture("black", mode="L"))
    first = render(_from(ask({"apple": [1]}, scheduler="dpmpp_2m", steps=4), given), engine)
    render(
        _from(ask({"apple": [1]}, model=_under_control("tiny")), Conditioning(kind="control", image=picture())), engine
    )
    assert render(ask({"apple": [1]}), engine) == before
    assert render(_from(ask({"apple": [1]}, scheduler="dpmpp_2m", steps=4), given), engine) == first


def test_the_weights_are_in_memory_once(ask: Ask, render: Render, picture: Picture) -> None:
    engine = Engine()
    loaded = engine.load(reference("tiny"))
    for given in (
        Conditioning(kind="image", image=picture()),
        Conditioning(kind="inpaint", image=picture(), mask=picture("black", mode="L")),
    ):
        render(_from(ask({"apple": [1]}, strength=1.0), given), engine)
    assert set(loaded.variants) == {"image", "inpaint"}
    assert all(each.unet is loaded.pipe.unet and each.vae is loaded.pipe.vae for each in loaded.variants.values())


def test_an_adapter_works_on_a_picture_too(ask: Ask, render: Render, picture: Picture) -> None:
    given = Conditioning(kind="image", image=picture())
    adapted = reference("tiny").model_copy(update={"adapters": (adapter("tiny-lora"),)})
    keys = [
        render(_from(ask({"apple": [1]}, model=model, steps=4), given))["apple", 0].key
        for model in (reference("tiny"), adapted, reference("tiny"))
    ]
    assert keys[0] == keys[2] != keys[1]


def test_steps_are_counted_as_they_are_done(
    ask: Ask, storage: Storage, shared_engine: Engine, picture: Picture
) -> None:
    steps: list[tuple[int, int]] = []
    shared_engine.render(
        _from(ask({"apple": [1]}, steps=6, strength=0.5), Conditioning(kind="image", image=picture())),
        storage,
        on_images=lambda images: None,
        on_step=lambda step, of: steps.append((step, of)),
    )
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_mask_of_another_size(ask: Ask, storage: Storage, shared_engine: Engine, picture: Picture) -> None:
    mask = picture("black", (24, 16), "L")
    request = _from(ask({"apple": [1], "bird": [1]}), Conditioning(kind="inpaint", image=picture(), mask=mask), None)
    reason = _refusal(WrongConditioningError, request, storage, shared_engine)
    assert "the mask is 24 x 16 pixels and its picture 16 x 16 pixels. Make them the same size." in reason


def test_a_mask_with_nothing_to_make(ask: Ask, storage: Storage, shared_engine: Engine, picture: Picture) -> None:
    mask = picture("black", mode="L", disc="black")
    request = _from(ask({"apple": [1], "bird": [1]}), Conditioning(kind="inpaint", image=picture(), mask=mask), None)
    assert "black all over" in _refusal(WrongConditioningError, request, storage, shared_engine)


@pytest.mark.parametrize(("family", "size", "factor"), [("tiny", (17, 16), 2), ("flux", (18, 16), 4)])
def test_a_picture_whose_sides_the_model_cannot_make(
    family: str, size: tuple[int, int], factor: int, ask: Ask, storage: Storage, shared_engine: Engine, picture: Picture
) -> None:
    given = Conditioning(kind="image", image=picture("red", size))
    request = _from(ask({"apple": [1], "bird": [1]}, model=reference(family)), given, None)
    reason = _refusal(WrongConditioningError, request, storage, shared_engine)
    assert f"the picture has a width of {size[0]} pixels" in reason
    assert f"makes multiples of {factor}. Choose 16." in reason


def test_a_size_other_than_the_pictures(ask: Ask, storage: Storage, shared_engine: Engine, picture: Picture) -> None:
    given = Conditioning(kind="image", image=picture())
    request = _from(ask({"apple": [1], "bird": [1]}, width=32), given, None)
    reason = _refusal(WrongConditioningError, request, storage, shared_engine)
    assert "ask for a width of 32 pixels, and what the picture makes has 16" in reason


def test_a_strength_that_leaves_no_step(ask: Ask, storage: Storage, shared_engine: Engine, picture: Picture) -> None:
    given = Conditioning(kind="image", image=picture())
    request = _from(ask({"apple": [1], "bird": [1]}, steps=4, strength=0.2), given, None)
    assert "a strength of 0.2 leaves none of 4 steps" in _refusal(
        WrongConditioningError, request, storage, shared_engine
    )


def test_margins_that_are_all_nothing_or_too_much(
    ask: Ask, storage: Storage, shared_engine: Engine, picture: Picture
) -> None:
    for margins, size, expected in (
        (Margins(), (16, 16), "all margins are 0"),
        (Margins(left=1024, right=1024), (2056, 16), "with its margins the picture is 4104 x 16 pixels"),
    ):
        given = Conditioning(kind="outpaint", image=picture("red", size), margins=margins)
        request = _from(ask({"apple": [1], "bird": [1]}), given, None)
        assert expected in _refusal(WrongConditioningError, request, storage, shared_engine)


def _not_stored(storage: Storage) -> str:
    return f"aa/aa{'0' * 62}.png"


def _cut_off(storage: Storage) -> str:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(buffer, "PNG")
    return storage.put(buffer.getvalue()[:-2000], "png")


def _an_svg(storage: Storage) -> str:
    return storage.put(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "png")


def _too_wide(storage: Storage) -> str:
    buffer = io.BytesIO()
    Image.new("1", (60_000, 8)).save(buffer, "PNG")
    return storage.put(buffer.getvalue(), "png")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [(_not_stored, "is missing"), (_cut_off, "no whole PNG"), (_an_svg, "no whole PNG"), (_too_wide, "60000 x 8")],
)
def test_a_picture_that_cannot_be_used(
    spoil: Callable[[Storage], str], expected: str, ask: Ask, storage: Storage, shared_engine: Engine
) -> None:
    given = Conditioning(kind="image", image=spoil(storage))
    request = _from(ask({"apple": [1], "bird": [1]}), given, None)
    assert expected in _refusal(WrongConditioningError, request, storage, shared_engine)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("image", "no PixArtSigmaPipeline that starts from a picture"),
        ("inpaint", "no PixArtSigmaPipeline that fills in a mask"),
        ("control", "a control picture needs a ControlNet"),
    ],
)
def test_a_family_that_cannot_start_from_a_picture(
    kind: Any, expected: str, ask: Ask, storage: Storage, shared_engine: Engine, picture: Picture
) -> None:
    mask = picture("black", mode="L") if kind == "inpaint" else None
    given = Conditioning(kind=kind, image=picture(), mask=mask)
    request = _from(ask({"apple": [1], "bird": [1]}, model=reference("pixart")), given, None)
    assert expected in _refusal(WrongConditioningError, request, storage, shared_engine)


@pytest.fixture
def own_controlnet(own_models: Path, tiny_models: Path) -> Path:
    """The ControlNet `folder:tiny-control`, in a model folder that this test may spoil."""
    return Path(shutil.copytree(tiny_models / "tiny-control", own_models / "tiny-control"))


def _controlled(ask: Ask, picture: Picture, model: ModelReference) -> RenderRequest:
    return _from(ask({"apple": [1]}, model=model), Conditioning(kind="control", image=picture()))


@pytest.mark.parametrize("name", ["flux-control", "sd3-control", "xl-control"])
def test_a_controlnet_of_another_family(name: str, ask: Ask, render: Render, picture: Picture) -> None:
    with pytest.raises(WrongAdapterError, match=r"Choose one that was made for this base model\."):
        render(_controlled(ask, picture, _under_control("tiny", name)))


def test_a_family_without_a_controlnet(ask: Ask, render: Render, picture: Picture) -> None:
    with pytest.raises(WrongAdapterError, match="diffusers has no ControlNet for a PixArtSigmaPipeline"):
        render(_controlled(ask, picture, _under_control("pixart", "tiny-control")))


def test_a_controlnet_that_is_not_there(ask: Ask, render: Render, picture: Picture) -> None:
    with pytest.raises(ModelNotFoundError, match=r"'absent': no folder with a config\.json"):
        render(_controlled(ask, picture, _under_control("tiny", "absent")))


def test_a_controlnet_other_than_the_registered_one(
    own_controlnet: Path, ask: Ask, render: Render, picture: Picture
) -> None:
    engine = Engine()
    model = reference("tiny").model_copy(update={"controlnet": weights("tiny-control", weights_hash(own_controlnet))})
    render(_controlled(ask, picture, model), engine)
    stored = load_file(own_controlnet / CONTROLNET)
    stored["conv_in.bias"] += 1
    save_file(stored, own_controlnet / CONTROLNET)
    with pytest.raises(WeightsChangedError):
        render(_controlled(ask, picture, model), engine)


def test_a_controlnet_with_a_gap_or_an_end_that_comes_too_soon(
    own_controlnet: Path, ask: Ask, render: Render, picture: Picture
) -> None:
    path = own_controlnet / CONTROLNET
    stored = load_file(path)
    del stored["conv_in.weight"]
    save_file(stored, path, metadata={"format": "pt"})
    with pytest.raises(ModelBrokenError, match="Copy it again"):
        render(_controlled(ask, picture, _under_control("tiny")), Engine())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelBrokenError, match="cannot be loaded"):
        render(_controlled(ask, picture, _under_control("tiny")), Engine())


@pytest.mark.parametrize("name", ["os.system", "UNet2DConditionModel", "DiffusionPipeline", None, ["os", "system"]])
def test_a_controlnet_of_a_class_that_is_none(
    name: object, own_controlnet: Path, ask: Ask, render: Render, picture: Picture
) -> None:
    path = own_controlnet / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"_class_name": name}))
    with pytest.raises(WrongAdapterError, match="takes a ControlNetModel"):
        render(_controlled(ask, picture, _under_control("tiny")), Engine())


def test_a_pickled_controlnet_runs_nothing(
    own_controlnet: Path, tmp_path: Path, ask: Ask, render: Render, picture: Picture
) -> None:
    (own_controlnet / CONTROLNET).unlink()
    with (own_controlnet / "diffusion_pytorch_model.bin").open("wb") as file:
        pickle.dump(Canary(tmp_path / "trace"), file)
    with pytest.raises(ModelBrokenError, match="is pickled"):
        render(_controlled(ask, picture, _under_control("tiny")), Engine())
    assert not (tmp_path / "trace").exists()
