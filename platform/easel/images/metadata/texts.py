"""The texts that a file carries beside its pixels, by name: PNG text chunks, EXIF, and what is hidden in the pixels."""

from __future__ import annotations

import struct

from PIL import ExifTags, Image
from PIL.PngImagePlugin import iTXt

from easel.images.metadata.model import BrokenMetadata
from easel.images.metadata.stealth import hidden_text

MAX_TEXT = 8 * 2**20  # characters of one text
USER_COMMENT, MAKER_NOTE = 0x9286, 0x927C
_NAMED = (ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software)
_DAMAGE = (SyntaxError, struct.error, ValueError, KeyError, TypeError, IndexError, OSError, EOFError)


def texts_of(image: Image.Image) -> dict[str, str]:
    """Return what an opened image says beside its pixels. Texts in EXIF stand under `UserComment` and their tag's name.

    Raises BrokenMetadata for EXIF that cannot be read, texts that are far too long, and hidden text that is damaged.
    """
    found = {}
    for name, value in image.info.items():
        if isinstance(name, str) and isinstance(value, str):
            found[name] = value if isinstance(value, iTXt) else _mended(value)
    found |= _exif_texts(image)
    if not found.keys() & {"parameters", "prompt", "Comment", "UserComment"}:
        hidden = hidden_text(image)
        if hidden is not None:
            found["stealth"] = hidden
    for name, value in found.items():
        if len(value) > MAX_TEXT:
            raise BrokenMetadata(f"Its text {name[:40]!r} is longer than {MAX_TEXT // 2**20} million characters.")
    return found


def _mended(text: str) -> str:
    """Undo what happens to UTF-8 that a program wrote into a chunk which is Latin-1 by its definition."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _exif_texts(image: Image.Image) -> dict[str, str]:
    try:
        exif = image.getexif()
        inner = exif.get_ifd(ExifTags.IFD.Exif) if exif else {}
        values = {tag.name: exif.get(tag) for tag in _NAMED}
        values |= {"UserComment": inner.get(USER_COMMENT), "MakerNote": inner.get(MAKER_NOTE)}
    except _DAMAGE as error:
        raise BrokenMetadata(f"Its EXIF cannot be read: {str(error)[:120] or type(error).__name__}.") from error
    found = {}
    for name, value in values.items():
        text = user_comment(value) if isinstance(value, bytes) else value
        if isinstance(text, str) and text.strip("\x00 "):
            found[name] = text
    return found


def user_comment(value: bytes) -> str:
    """Decode an EXIF UserComment: eight bytes name its characters; programs differ in the order of UTF-16's bytes."""
    head, body = value[:8], value[8:]
    if head.startswith(b"UNICODE"):
        return _utf16(body)
    if head.startswith((b"ASCII", b"\x00" * 8)):
        return body.decode(errors="replace").rstrip("\x00")
    if head.startswith(b"JIS"):
        return body.decode("iso2022_jp", errors="replace").rstrip("\x00")
    return value.decode(errors="replace").rstrip("\x00")


def _utf16(body: bytes) -> str:
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", errors="replace").rstrip("\x00")
    even = body[: len(body) // 2 * 2]
    if b"\x00" not in even:  # some programs say UNICODE and write UTF-8
        try:
            return body.decode()
        except UnicodeDecodeError:
            pass  # two bytes a character after all, none of them plain Latin
    # In the right order of bytes, the settings' blanks, digits and colons are ASCII; in the wrong one they are not.
    readings = [even.decode(order, errors="replace") for order in ("utf-16-be", "utf-16-le")]
    return max(readings, key=lambda text: sum(character.isascii() for character in text)).rstrip("\x00")
