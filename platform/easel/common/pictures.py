"""Pictures from outside: opened with care, and encoded again before anything is kept.

Only formats that are named here are tried, whatever a file is called; the size is checked before a pixel is decoded;
and what is stored was written by us from the pixels alone, so that nothing else of a file (EXIF with its GPS position,
a script behind the last chunk, another file inside) lives on. SVG is no picture here: it is a program.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageOps, UnidentifiedImageError

from easel.common.errors import InvalidInput

FORMATS = ("PNG", "JPEG", "WEBP")
_BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")
MAX_BYTES = 32 * 2**20
MAX_PIXELS = 40_000_000  # decoded, about 160 MB
_DAMAGE = (OSError, SyntaxError, ValueError, struct.error, zlib.error, EOFError, IndexError, KeyError, TypeError)
"""What Pillow's decoders raise on broken files; all of it comes from the file, so all of it is the sender's to mend."""


class BadPicture(InvalidInput):
    """A file that is no picture that can be taken."""

    code = "bad_picture"


@contextmanager
def _damage_told(name: str) -> Iterator[None]:
    """Turn what a decoder trips over into one line."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadPicture(f"{name} holds more than {MAX_PIXELS / 1e6:.0f} million pixels. Make it smaller.") from error
    except UnidentifiedImageError as error:
        raise BadPicture(f"{name} is no PNG, JPEG or WebP picture. Save it as one of these.") from error
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
        raise BadPicture(f"{name} is damaged: {reason}. Copy or save it again.") from error


def open_picture(name: str, content: bytes) -> Image.Image:
    """Decode a PNG, JPEG or WebP file as it is. `name` is only for the messages.

    Raises BadPicture for what is empty, too large, of another format, animated, cut off or broken.
    """
    if not content:
        raise BadPicture(f"{name} is empty. Copy it again.")
    if len(content) > MAX_BYTES:
        raise BadPicture(f"{name} is larger than {MAX_BYTES / 2**20:.0f} MB, the most that is taken. Make it smaller.")
    with _damage_told(name):
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        except UnidentifiedImageError as error:
            if content.startswith(_BEGINNINGS):
                raise SyntaxError("its first part cannot be read") from error  # told as any other damage
            raise
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadPicture(
            f"{name} is {width:,} x {height:,} pixels; at most {MAX_PIXELS / 1e6:.0f} million are taken. "
            "Make it smaller."
        )
    # A phone's JPEG may carry more pictures behind the first (format MPO); of an animation no one image is *the* image.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise BadPicture(f"{name} is animated. Save one of its pictures.")
    with _damage_told(name):
        image.load()
    return image


def upright(image: Image.Image) -> Image.Image:
    """Return the pixels in 8 bits (L, RGB or RGBA), turned as the camera was held, and nothing else of the file.

    The image itself is turned too.
    """
    with _damage_told("the picture"):
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits and more: the upper 8 are what a screen shows
        plain = image.convert("I").point(lambda value: value / 257).convert("L")
    elif "transparency" in image.info or image.mode in {"LA", "PA", "RGBa", "La", "RGBA"}:
        plain = image.convert("RGBA")
    elif image.mode in {"1", "L"}:
        plain = image.convert("L")
    else:
        plain = image.convert("RGB")
    plain.info.clear()  # a copy of the pixels by now; one more would cost 160 MB for the largest
    return plain


def png(image: Image.Image) -> bytes:
    """Encode pixels as a PNG file without any text. The same pixels give the same bytes."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=3)
    return file.getvalue()
