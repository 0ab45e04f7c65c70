"""Text that is hidden in the lowest bits of an image's pixels (stealth PNG info: NovelAI, A1111's extension).

The bits run down the columns, from left to right: 15 characters that name the form, 32 bits with the number of bits
that follow, then UTF-8 text, plain or gzipped. They stand in alpha, or in red, green and blue in turn.
"""

from __future__ import annotations

import zlib

from PIL import Image

from easel.images.metadata.model import BrokenMetadata

MAX_TEXT = 2 * 2**20  # bytes, unpacked
_FORMS = {b"stealth_pnginfo": False, b"stealth_pngcomp": True, b"stealth_rgbinfo": False, b"stealth_rgbcomp": True}
_HEAD = 15 + 4  # bytes
_LOWEST_BIT = [255 * (value & 1) for value in range(256)]


def hidden_text(image: Image.Image) -> str | None:
    """Return the text hidden in an image's pixels, or None. Raises BrokenMetadata for one that is cut off."""
    channels = [image.getchannel("A")] if image.mode == "RGBA" else []
    if image.mode in {"RGB", "RGBA"}:
        channels.append(image.convert("RGB"))
    for pixels in channels:
        head = _bits(pixels, _HEAD)
        packed = _FORMS.get(head[:15])
        if packed is None:
            continue
        bits = int.from_bytes(head[15:], "big")
        length = bits // 8
        if bits % 8 or length > pixels.width * pixels.height * len(pixels.getbands()) // 8 - _HEAD:
            raise BrokenMetadata("The text hidden in its pixels is cut off: the image was cropped or edited.")
        content = _bits(pixels, _HEAD + length)[_HEAD:]
        return _unpacked(content) if packed else _decoded(content)
    return None


def _bits(pixels: Image.Image, count: int) -> bytes:
    """Return the first `count` bytes that the lowest bits of an image form, column by column."""
    columns = -(-count * 8 // (pixels.height * len(pixels.getbands())))
    part = pixels.crop((0, 0, min(columns, pixels.width), pixels.height)).transpose(Image.Transpose.TRANSPOSE)
    values = part.tobytes()
    row = Image.frombytes("L", (len(values), 1), values)  # one row: its bits are packed without a gap
    return row.point(_LOWEST_BIT, "1").tobytes()[:count]


def _unpacked(content: bytes) -> str:
    unpacker = zlib.decompressobj(31)  # gzip
    try:
        plain = unpacker.decompress(content, MAX_TEXT)
    except zlib.error as error:
        raise BrokenMetadata("The text hidden in its pixels is damaged: the image was edited.") from error
    if unpacker.unconsumed_tail:
        raise BrokenMetadata(f"The text hidden in its pixels is longer than {MAX_TEXT // 2**20} MB.")
    return _decoded(plain)


def _decoded(content: bytes) -> str:
    try:
        return content[:MAX_TEXT].decode()
    except UnicodeDecodeError as error:
        raise BrokenMetadata("The text hidden in its pixels is damaged: the image was edited.") from error
