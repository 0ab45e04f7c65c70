"""Reading a picture for a network that looks at it."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from finetune.errors import ImageUnreadableError


def open_picture(content: bytes, name: str) -> Image.Image:
    """Decode a picture as RGB. Raises ImageUnreadableError, with the picture's name."""
    try:
        with Image.open(io.BytesIO(content)) as opened:
            return opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:  # Pillow's own error is an OSError
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ImageUnreadableError(
            f"{name} is no picture that can be read ({reason}). Restore it from a backup, or leave it out."
        ) from error


def square(picture: Image.Image, size: int) -> Tensor:
    """Bring a picture to size x size pixels, cut to its middle; returns (3, size, size) uint8."""
    if picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
