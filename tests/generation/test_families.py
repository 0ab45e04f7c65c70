"""Every family of diffusers pipelines that Easel names, rendered from a folder through the engine."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from generation.engine import Engine
from generation.errors import PromptTooLongError, WrongSchedulerError, WrongSettingError, WrongSizeError
from generation.storage import Storage
from generation.types import RenderedImage
from tests.generation.conftest import Ask, Render, reference
from tests.generation.tiny import diffusers

FAMILIES = {
    "tiny": ("StableDiffusionPipeline", 7.5, 2),
    "xl": ("StableDiffusionXLPipeline", 5.0, 2),
    "sd3": ("StableDiffusion3Pipeline", 7.0, 4),
    "flux": ("FluxPipeline", 3.5, 4),
    "pixart": ("PixArtSigmaPipeline", 4.5, 4),
}
"""Model folder to its class, the guidance of that class, and what its sides are multiples of."""


def _pixels(storage: Storage, image: RenderedImage) -> NDArray[np.int64]:
    return np.asarray(Image.open(io.BytesIO(storage.read(image.key))), dtype=np.int64)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_request_gives_the_pixels_of_a_plain_diffusers_call(
    family: str, ask: Ask, render: Render, storage: Storage, models: Path
) -> None:
    images = render(ask({"red apple": [5, 6], "bird": [7]}, model=reference(family), guidance_scale=3.0))

    pipe: Any = getattr(diffusers, FAMILIES[family][0]).from_pretrained(models / family, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    own = {"use_resolution_binning": False} if family == "pixart" else {}
    plain = pipe(
        ["red apple", "red apple", "bird"],
        num_inference_steps=2,
        guidance_scale=3.0,
        width=16,
        height=16,
        generator=[torch.Generator().manual_seed(seed) for seed in (5, 6, 7)],
        **own,
    ).images
    for name, expected in zip((("red apple", 0), ("red apple", 1), ("bird", 0)), plain, strict=True):
        assert np.abs(_pixels(storage, images[name]) - np.asarray(expected, int)).max() <= 1
    assert len({image.key for image in images.values()}) == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_each_prompt_is_encoded_once_for_all_its_images(family: str, ask: Ask, render: Render) -> None:
    engine = Engine(batch=2)
    pipe = engine.load(reference(family)).pipe
    calls: list[int] = []
    for name, part in pipe.components.items():
        if name.startswith("text_encoder"):
            part.register_forward_pre_hook(lambda *_: calls.append(1))
    render(ask({"apple": [1]}, model=reference(family)), engine)
    once = len(calls)
    render(ask({"apple": range(5)}, model=reference(family)), engine)
    assert len(calls) == 2 * once > 0
    render(ask({"apple": range(3), "bird": range(3)}, model=reference(family)), engine)
    assert len(calls) == 4 * once


@pytest.mark.parametrize("family", FAMILIES)
def test_what_nobody_settles_is_the_familys_own(family: str, ask: Ask, render: Render) -> None:
    (image,) = render(ask({"apple": [1]}, model=reference(family))).values()
    assert image.manifest.guidance_scale == (3.0 if family == "tiny" else FAMILIES[family][1])
    assert (image.width, image.height) == (16, 16)


@pytest.mark.parametrize("family", ["tiny", "xl", "sd3", "pixart"])
def test_a_negative_prompt_and_guidance_change_the_image(family: str, ask: Ask, render: Render) -> None:
    request = ask({"apple": [1]}, model=reference(family))
    (without,) = render(request).values()
    prompt = request.prompts[0].model_copy(update={"negative": "leaf"})
    (unwanted,) = render(request.model_copy(update={"prompts": (prompt,)})).values()
    (stronger,) = render(ask({"apple": [1]}, model=reference(family), guidance_scale=9.0)).values()
    (unguided,) = render(ask({"apple": [1]}, model=reference(family), guidance_scale=1.0)).values()
    assert len({image.key for image in (without, unwanted, stronger, unguided)}) == 4
    assert unwanted.manifest.negative == "leaf"


def test_a_negative_prompt_that_flux_would_not_look_at_is_refused(
    ask: Ask, storage: Storage, shared_engine: Engine
) -> None:
    request = ask({"apple": [1], "bird": [2]}, model=reference("flux"))
    spoilt = request.prompts[0].model_copy(update={"negative": "leaf"})
    kept: list[RenderedImage] = []
    with pytest.raises(WrongSettingError, match="a FluxPipeline reads no negative prompt"):
        shared_engine.render(
            request.model_copy(update={"prompts": (spoilt, request.prompts[1])}), storage, on_images=kept.extend
        )
    assert [image.manifest.prompt for image in kept] == ["bird"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_step_is_heard_of(family: str, ask: Ask, storage: Storage, shared_engine: Engine) -> None:
    steps: list[tuple[int, int]] = []
    request = ask({"apple": [1, 2]}, model=reference(family), steps=3)
    shared_engine.render(
        request, storage, on_images=lambda images: None, on_step=lambda step, of: steps.append((step, of))
    )
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_size_is_a_multiple_of_what_the_family_makes(family: str, models: Path) -> None:
    assert Engine().load(reference(family)).size_factor == FAMILIES[family][2]


def test_a_size_that_the_family_would_quietly_change_is_refused(own_models: Path, ask: Ask, render: Render) -> None:
    (own_models / "tiny" / "defaults.json").write_text('{"steps": 1, "width": 17}')
    with pytest.raises(WrongSizeError, match=r"a width of 17 pixels, and a .* makes multiples of 2. Choose 16."):
        render(ask({"apple": [1]}), Engine())


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_a_flow_model_refuses_a_scheduler_for_noise_schedules(family: str, ask: Ask, render: Render) -> None:
    with pytest.raises(WrongSchedulerError, match="Choose 'default'"):
        render(ask({"apple": [1]}, model=reference(family), scheduler="lcm"))


@pytest.mark.parametrize(("scheduler", "steps"), [("lcm", 1), ("lcm", 4), ("euler_trailing", 1), ("euler_trailing", 4)])
def test_few_step_schedulers_make_an_image_without_guidance(
    scheduler: str, steps: int, ask: Ask, render: Render
) -> None:
    for family in ("tiny", "xl"):
        request = ask({"apple": [1]}, model=reference(family), scheduler=scheduler, steps=steps, guidance_scale=0)
        (image,) = render(request).values()
        assert (image.manifest.requested_scheduler, image.manifest.steps) == (scheduler, steps)


@pytest.mark.parametrize(("family", "limit"), [("tiny", 16), ("xl", 16), ("sd3", 256), ("flux", 512), ("pixart", 300)])
def test_a_prompt_that_no_text_encoder_reads_in_full_is_refused(
    family: str, limit: int, ask: Ask, storage: Storage, shared_engine: Engine
) -> None:
    kept: list[RenderedImage] = []
    request = ask({"a" * 10_000: [1], "apple": [1]}, model=reference(family))
    with pytest.raises(PromptTooLongError, match=rf"has 1000\d tokens and the model reads {limit} "):
        shared_engine.render(request, storage, on_images=kept.extend)
    assert [image.manifest.prompt for image in kept] == ["apple"]


def test_a_text_encoder_that_is_left_out_reads_nothing(models: Path, ask: Ask, storage: Storage) -> None:
    engine = Engine()
    engine.load(reference("sd3")).pipe.text_encoder_3 = None
    with pytest.raises(PromptTooLongError, match="the model reads 16"):
        engine.render(ask({"a" * 40: [1]}, model=reference("sd3")), storage, on_images=lambda images: None)
