"""What is computed once is what would have been computed at each step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from finetune import opening
from finetune.caching import Cache, common_size, read_image
from finetune.errors import SnapshotBrokenError
from finetune.types import Preference
from tests.finetune.conftest import Freeze

CPU = torch.device("cpu")


def _rows(folder: Path) -> list[Preference]:
    return list(opening.read_rows(folder, "train"))


@pytest.mark.parametrize("family", ["v", "epsilon", "flux"])
@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
def test_a_cached_latent_and_embedding_are_those_that_the_model_computes(
    family: str, on_disk: bool, bases: Path, ranked: Path, tmp_path: Path
) -> None:
    loaded = opening.load_base(bases / family, [], CPU)
    pipe: Any = loaded.pipe
    (row, *_) = _rows(ranked)
    keys = [image.key for image in row.images]
    cache = Cache(loaded, ranked, (16, 16), tmp_path / "cache" if on_disk else None)
    cache.fill(row.images, [row.prompt])
    jitter = torch.randn(3, *cache.shape(keys[0]), generator=torch.Generator().manual_seed(0))
    pixels = torch.stack([pipe.image_processor.preprocess(Image.open(ranked / "images" / key))[0] for key in keys])
    with torch.no_grad():
        encoded = pipe.vae.encode(pixels)
        drawn = (
            encoded.latents if family == "v" else encoded.latent_dist.mean + encoded.latent_dist.std * jitter
        ) * pipe.vae.config.scaling_factor
        words = pipe.encode_prompt(row.prompt, *(() if family == "flux" else (CPU, 1, False)))[0]
        nothing = pipe.encode_prompt("", *(() if family == "flux" else (CPU, 1, False)))[0]
    assert torch.allclose(cache.latents(keys, jitter, [False] * 3), drawn, atol=1e-5)
    assert torch.allclose(cache.text([row.prompt, ""])["prompt_embeds"], torch.cat([words, nothing]), atol=1e-6)


def test_nothing_is_what_guidance_starts_from(bases: Path, ranked: Path) -> None:
    """SDXL was trained with zeros where it is told nothing, not with the embedding of an empty text."""
    cache = Cache(opening.load_base(bases / "xl", [], CPU), ranked, (16, 16))
    cache.fill([], ["apple"])
    embedded = cache.text(["", "apple"])
    assert not embedded["prompt_embeds"][0].any()
    assert not embedded["pooled_prompt_embeds"][0].any()
    assert embedded["prompt_embeds"][1].any()


def test_a_cache_on_disk_is_found_again_and_is_of_one_model_and_size(bases: Path, ranked: Path, tmp_path: Path) -> None:
    (row, *_) = _rows(ranked)
    loaded = opening.load_base(bases / "v", [], CPU)
    Cache(loaded, ranked, (16, 16), tmp_path).fill(row.images, ["apple"])
    written = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")}
    assert len(written) == 3 + 2
    Cache(loaded, ranked, (16, 16), tmp_path).fill(row.images, ["apple"])
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.safetensors")} == written
    other = Cache(loaded, ranked, (8, 8), tmp_path)
    other.fill(row.images, [])
    assert other.shape(row.images[0].key) == (4, 4, 4)
    epsilon = Cache(opening.load_base(bases / "epsilon", [], CPU), ranked, (16, 16), tmp_path)
    epsilon.fill(row.images, [])
    assert "deviation" in epsilon._read(f"image {row.images[0].key}")


def test_a_mirrored_picture_is_encoded_as_such(bases: Path, ranked: Path) -> None:
    (row, *_) = _rows(ranked)
    image = row.images[0]
    plain, mirrored = (read_image(ranked, image, (16, 16), mirrored=flip) for flip in (False, True))
    assert torch.equal(plain.flip(2), mirrored)
    cache = Cache(opening.load_base(bases / "v", [], CPU), ranked, (16, 16))
    cache.fill([image], [], mirrored=True)
    latents = cache.latents([image.key] * 2, torch.zeros(2, 4, 8, 8), [False, True])
    assert not torch.allclose(latents[0], latents[1])


def test_an_image_that_is_missing_or_changed_is_named(bases: Path, freeze: Freeze) -> None:
    folder = freeze()
    loaded = opening.load_base(bases / "v", [], CPU)
    rows = _rows(folder)
    changed, missing = rows[0].images[0], rows[1].images[0]
    (folder / "images" / changed.key).write_bytes(b"something else")
    (folder / "images" / missing.key).unlink()
    with pytest.raises(SnapshotBrokenError, match=rf"{changed.key} has changed: .* Fetch the snapshot again\.$"):
        Cache(loaded, folder, (16, 16)).fill([changed], [])
    with pytest.raises(SnapshotBrokenError, match=rf"{missing.key} cannot be read: No such file .*again\.$"):
        Cache(loaded, folder, (16, 16)).fill([missing], [])


def test_images_are_brought_to_the_size_that_most_have(ranked: Path) -> None:
    assert common_size([(64, 64), (100, 50), (100, 50)], 16) == (96, 48)
    assert common_size([(5, 5)], 8) == (8, 8)
    (row, *_) = _rows(ranked)
    assert read_image(ranked, row.images[0], (24, 8)).shape == (3, 8, 24)
