"""Texts put into a PNG file without touching its pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

HEAD = 8 + 25  # bytes: the signature, and the header chunk, which stands first in every PNG
_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def is_png_head(head: bytes) -> bool:
    """Tell whether these are the first bytes of a PNG file, up to where texts may stand."""
    return len(head) == HEAD and head.startswith(_START)


def text_chunks(texts: Mapping[str, str]) -> bytes:
    """Return texts as chunks, to stand right behind the head: Latin ones in the plain form, which all programs read."""
    return b"".join(
        # tEXt is Latin-1 by its definition and UTF-8 by habit: only ASCII is the same in both.
        _chunk(b"tEXt", name.encode() + b"\x00" + text.encode())
        if text.isascii()
        else _chunk(b"iTXt", name.encode() + b"\x00\x00\x00\x00\x00" + text.encode())
        for name, text in texts.items()
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
