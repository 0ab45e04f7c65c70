"""The folder that ships: a plain diffusers pipeline that needs nothing of ours to load."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from diffusers import StableDiffusionPipeline

from generation.builtin.data import HERE

FOLDER = HERE / "easel-icons"


@pytest.fixture(scope="module")
def pipeline() -> Any:
    loaded: Any = StableDiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
        FOLDER, torch_dtype=torch.float32, local_files_only=True
    )
    loaded.set_progress_bar_config(disable=True)
    return loaded


def render(
    pipeline: Any, prompt: str = "a 3d icon of a red apple on a yellow background", seed: int = 0
) -> npt.NDArray[np.uint8]:
    generator = torch.Generator().manual_seed(seed)
    result = pipeline(prompt, num_inference_steps=2, guidance_scale=1.5, generator=generator)
    return np.asarray(result.images[0])


def test_the_same_seed_gives_the_same_pixels(pipeline: Any) -> None:
    np.testing.assert_array_equal(render(pipeline, seed=3), render(pipeline, seed=3))


def test_another_seed_gives_other_pixels(pipeline: Any) -> None:
    assert (render(pipeline, seed=3) != render(pipeline, seed=4)).any()


def test_a_picture_is_64_pixels_square(pipeline: Any) -> None:
    assert render(pipeline).shape == (64, 64, 3)


def test_the_background_is_the_one_asked_for(pipeline: Any) -> None:
    corner = render(pipeline, "a flat icon of a star on a blue background")[:4, :4].mean((0, 1))
    assert corner[2] > corner[0]


@pytest.mark.parametrize("prompt", ["", "a xylophone made of Übermut 🎈", "a red apple " * 40])
def test_any_prompt_renders(pipeline: Any, prompt: str) -> None:
    assert render(pipeline, prompt).shape == (64, 64, 3)


def test_all_weights_are_safetensors_of_at_most_30_megabytes() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json"}
    assert sum(path.stat().st_size for path in files) <= 30_000_000
