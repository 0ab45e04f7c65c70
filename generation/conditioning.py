"""The pictures that images start from: read from storage, checked, and made ready for a pipeline."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from generation.errors import WrongConditioningError
from generation.storage import Storage, StorageError
from generation.types import Conditioning, Margins

Kind = Literal["text", "image", "inpaint", "control"]
"""How a pipeline is called; `text` is without a picture."""

MAX_SIDE = 4096  # pixels; a bigger canvas is a mistake, or an attempt on the memory
_WHITE = 128  # mask levels from here on are made anew, as the pipelines of diffusers have it


@dataclass(frozen=True, eq=False)
class Source:
    """A picture that an image starts from, as its pipeline takes it."""

    kind: Kind
    image: Image.Image
    """RGB; an outpainted one is on its new canvas already, its edges drawn out."""
    mask: NDArray[np.bool_] | None = None
    """(height, width); true is made anew. Only for `inpaint`."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, of the picture and of what is made from it."""
        return self.image.size

    def keep(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a made image, (height, width, 3), with the picture itself wherever the mask is black.

        A decoder never gives a picture back exactly: without this, everything outside of the mask changes a little.
        """
        if self.mask is None:
            return pixels
        return np.where(self.mask[..., None], pixels, np.asarray(self.image))


def read(conditioning: Conditioning, storage: Storage) -> Source:
    """Return a prompt's picture. Raises WrongConditioningError."""
    image = _open(conditioning.image, storage, "picture", "RGB")
    if conditioning.mask is not None:
        mask = _open(conditioning.mask, storage, "mask", "L")
        if mask.size != image.size:
            raise WrongConditioningError(
                f"the mask is {_in_words(mask.size)} and its picture {_in_words(image.size)}. Make them the same size."
            )
        anew = np.asarray(mask) >= _WHITE
        if not anew.any():
            raise WrongConditioningError("the mask is black all over. Paint white what is to be made anew.")
        return Source("inpaint", image, anew)
    if conditioning.margins is not None:
        return _on_a_bigger_canvas(image, conditioning.margins)
    return Source("control" if conditioning.kind == "control" else "image", image)


def _open(key: str, storage: Storage, what: str, mode: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(storage.read(key)), formats=("PNG", "JPEG", "WEBP"))
        if max(image.size) > MAX_SIDE:  # known from the header, before anything is unpacked
            raise WrongConditioningError(f"the {what} is {_in_words(image.size)}; at most {MAX_SIDE} a side are read.")
        return image.convert(mode)
    except StorageError as error:
        raise WrongConditioningError(f"the {what} cannot be read: {error}. Upload it again.") from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise WrongConditioningError(
            f"the {what} {key} is no whole PNG, JPEG or WebP file. Upload it again."
        ) from error


def _on_a_bigger_canvas(image: Image.Image, margins: Margins) -> Source:
    sides = ((margins.top, margins.bottom), (margins.left, margins.right))
    if not any(map(any, sides)):
        raise WrongConditioningError("all margins are 0, so there is nothing to outpaint. Give one side a margin.")
    canvas = np.pad(np.asarray(image), (*sides, (0, 0)), mode="edge")
    if max(canvas.shape) > MAX_SIDE:
        raise WrongConditioningError(
            f"with its margins the picture is {_in_words((canvas.shape[1], canvas.shape[0]))}; "
            f"at most {MAX_SIDE} a side are made."
        )
    anew = np.pad(np.zeros(image.size[::-1], dtype=bool), sides, constant_values=True)
    return Source("inpaint", Image.fromarray(canvas), anew)


def _in_words(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} pixels"
