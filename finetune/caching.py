"""What never changes in a run, computed once: the latents of the images and the embeddings of the prompts.

The public scripts encode both at every step; for SD 1.5 at 512 pixels that alone costs more than a forward pass of the
UNet. A variational autoencoder gives a distribution, so its moments are kept and a latent is drawn at each step.
In memory, or as safetensors under a folder, where a resumed run finds them again.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from torch import Tensor

from finetune import snapshot
from finetune.errors import SnapshotBrokenError
from finetune.types import SnapshotImage
from generation import prompts
from generation.pipelines import LoadedPipeline

_PIXELS_AT_ONCE = 2**19  # that the autoencoder reads in one call: 128 icons, or two pictures of 512 x 512


@dataclass
class Cache:
    """Latents by image and embeddings by prompt; both come on the device, in the order that they are asked for."""

    loaded: LoadedPipeline
    snapshot: Path
    """The folder of the snapshot, with its images."""
    size: tuple[int, int]
    """Width and height in pixels to which every image is brought."""
    folder: Path | None = None
    """Where to keep what was computed; None: in memory."""
    _kept: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.device: torch.device = self.loaded.pipe.device  # which diffusers looks for in every module each time

    def fill(self, images: Iterable[SnapshotImage], texts: Iterable[str], *, mirrored: bool = False) -> None:
        """Encode all of these that are not there yet.

        Raises SnapshotBrokenError for an image that is missing, changed, or no picture.
        """
        distinct = {image.key: image for image in images}
        with self._encoders():
            for text in dict.fromkeys(["", *texts]):
                self._get(f"text {text}", lambda text=text: self._encode_text(text))  # type: ignore[misc]
            for flip in (False, True) if mirrored else (False,):
                missing = [image for key, image in distinct.items() if not self._has(_place(key, flip))]
                together = max(1, _PIXELS_AT_ONCE // (self.size[0] * self.size[1]))
                for start in range(0, len(missing), together):
                    part = missing[start : start + together]
                    for image, moments in zip(part, self._encode(part, flip), strict=True):
                        self._put(_place(image.key, flip), moments)

    def latents(self, keys: Sequence[str], jitter: Tensor, mirrored: Sequence[bool]) -> Tensor:
        """Draw the latent of each image: mean + deviation * jitter. jitter: (N, C, H, W); returns the same shape."""
        drawn = []
        for key, noise, flip in zip(keys, jitter, mirrored, strict=True):
            moments = self._read(_place(key, flip))
            drawn.append(moments["mean"] + moments["deviation"] * noise if "deviation" in moments else moments["mean"])
        return torch.stack(drawn).to(self.device)

    def shape(self, key: str) -> torch.Size:
        """Return (C, H, W) of an image's latent."""
        return self._read(_place(key, False))["mean"].shape

    def text(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return the embeddings of prompts, by argument, each (N, ...). The empty text is the model's own 'nothing'."""
        each = [self._read(f"text {text}") for text in texts]
        return {name: torch.cat([one[name] for one in each]).to(self.device) for name in each[0]}

    @contextmanager
    def _encoders(self) -> Iterator[None]:
        """Have the encoders on the device, the autoencoder in float32, for a while."""
        pipe = self.loaded.pipe
        dtype = pipe.vae.dtype
        if dtype != torch.float32:
            pipe.vae.to(torch.float32)  # SDXL's overflows in half precision, and once is cheap
        try:
            with torch.inference_mode():
                yield
        finally:
            if dtype != torch.float32:
                pipe.vae.to(dtype)

    def _encode_text(self, text: str) -> dict[str, Tensor]:
        pipe = self.loaded.pipe
        made = prompts.encode(pipe, text, "", guided=text == "")
        assert made is not None, "predictor_of refuses pipelines that encode by themselves"
        # What guidance starts from is not the empty text everywhere: SDXL was trained with zeros.
        nothing = {name.removeprefix("negative_"): part for name, part in made.items() if name.startswith("negative_")}
        wanted = {name: part for name, part in made.items() if not name.startswith("negative_")}
        return wanted | nothing

    def _encode(self, images: Sequence[SnapshotImage], mirrored: bool) -> list[dict[str, Tensor]]:
        pipe = self.loaded.pipe
        pixels = torch.stack([read_image(self.snapshot, image, self.size, mirrored=mirrored) for image in images])
        encoded = pipe.vae.encode(pixels.to(self.device))
        scale, shift = pipe.vae.config.scaling_factor, getattr(pipe.vae.config, "shift_factor", None) or 0.0
        if hasattr(encoded, "latents"):  # AutoencoderTiny says one latent, no distribution
            return [{"mean": (one - shift) * scale} for one in encoded.latents]
        moments = zip(encoded.latent_dist.mean, encoded.latent_dist.std, strict=True)
        return [{"mean": (mean - shift) * scale, "deviation": deviation * scale} for mean, deviation in moments]

    # -- where it is kept ----------------------------------------------------------------------------------------------

    def _file(self, place: str) -> Path | None:
        if self.folder is None:
            return None
        digest = hashlib.sha256(f"{self.loaded.sha256} {self.size} {place}".encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest}.safetensors"

    def _has(self, place: str) -> bool:
        file = self._file(place)
        return place in self._kept if file is None else file.exists()

    def _get(self, place: str, make: Callable[[], dict[str, Tensor]]) -> None:
        if not self._has(place):
            self._put(place, make())

    def _put(self, place: str, tensors: dict[str, Tensor]) -> None:
        # Cloned: tensors of inference mode may not be saved for a backward pass.
        tensors = {name: tensor.float().cpu().contiguous().clone() for name, tensor in tensors.items()}
        file = self._file(place)
        if file is None:
            self._kept[place] = tensors
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        save_file(tensors, unfinished)
        unfinished.replace(file)

    def _read(self, place: str) -> dict[str, Tensor]:
        file = self._file(place)
        return self._kept[place] if file is None else load_file(file)


def _place(key: str, mirrored: bool) -> str:
    return f"image {key}{' mirrored' if mirrored else ''}"


def read_image(folder: Path, image: SnapshotImage, size: tuple[int, int], *, mirrored: bool = False) -> Tensor:
    """Read an image of a snapshot as (3, H, W) in -1..1, scaled to cover `size` and cropped to its middle.

    Raises SnapshotBrokenError when it is missing, changed, or no picture.
    """
    try:
        with Image.open(io.BytesIO(snapshot.image_bytes(folder, image))) as opened:
            pixels = opened.convert("RGB")
    except snapshot.SnapshotError as error:
        raise SnapshotBrokenError(str(error)) from error
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise SnapshotBrokenError(
            f"{snapshot.image_path(folder, image)} is no picture: {error}. Leave its item out and take a new snapshot."
        ) from error
    if pixels.size != size:
        pixels = ImageOps.fit(pixels, size, Image.Resampling.BICUBIC)
    if mirrored:
        pixels = ImageOps.mirror(pixels)
    return torch.from_numpy(np.asarray(pixels).copy()).permute(2, 0, 1).float() / 127.5 - 1


def common_size(sizes: Iterable[tuple[int, int]], step: int) -> tuple[int, int]:
    """Return the size that most images have, rounded down to multiples of `step` pixels: one batch is of one size."""
    counted: dict[tuple[int, int], int] = {}
    for size in sizes:
        counted[size] = counted.get(size, 0) + 1
    width, height = max(counted, key=lambda size: (counted[size], size))
    return max(step, width // step * step), max(step, height // step * step)
