"""What people see of a candidate: a WebP copy that is made of its pixels alone.

No metadata, no alpha (bits can hide there), a side of at most 1,024 pixels. The bytes are a function of the pixels, and
they are padded to a few sizes, so neither they nor their number say who painted them or with which seed.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from uuid import UUID

from PIL import Image

from easel.common.broker import send_on_commit
from easel.common.errors import NotFound
from easel.common.pictures import BadPicture, open_picture
from easel.common.storage import storage
from easel.images.metadata import BrokenMetadata, hidden_text
from easel.images.models import Candidate
from generation.storage import StorageError

PREVIEWS = "easel.images.preview"
LARGEST_SIDE = 1_024  # pixels
LOSSLESS_SIDE = 128  # pixels: small icons stay crisp, and cost little
SMALLEST_FILE = 8 * 1024  # bytes: larger than nearly every small icon
AT_ONCE = 4  # images a task: those who wait behind it on the queue wait 0.3 s, not a chunk's time


def ring(candidates: Sequence[UUID]) -> None:
    """Have previews made once the transaction is committed. A lost message costs the first viewer 5 to 100 ms."""
    for start in range(0, len(candidates), AT_ONCE):
        send_on_commit(PREVIEWS, candidates=[str(pk) for pk in candidates[start : start + AT_ONCE]])


def preview_key(candidate: Candidate) -> str:
    """Return where a candidate's preview lies, and make it where there is none yet.

    Raises NotFound where the image's own file is gone, StorageError where the preview cannot be written.
    """
    if candidate.preview_key:
        return candidate.preview_key
    files = storage()
    try:
        original = files.read(candidate.key)
    except StorageError as error:
        raise NotFound("image file") from error
    try:
        key = files.put(preview_of(original), "webp")
    except BadPicture as error:
        raise NotFound("image file that can be read") from error
    # Two who come at the same moment write the same file under the same name.
    Candidate.objects.filter(pk=candidate.pk).update(preview_key=key)
    return key


def preview_of(original: bytes) -> bytes:
    """Return the WebP copy of an image file. The same pixels give the same bytes."""
    image = open_picture("the image", original)
    if image.mode != "RGB":
        clear = image.convert("RGBA")
        image = Image.new("RGB", clear.size, "white")
        image.paste(clear, mask=clear.getchannel("A"))
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    if max(image.size) <= LOSSLESS_SIDE and not _hides_text(image):
        image.save(file, "WEBP", lossless=True, method=1, exif=b"", xmp=b"", icc_profile=b"")
    else:
        image.save(file, "WEBP", quality=90, method=2, exif=b"", xmp=b"", icc_profile=b"")
    return _padded(file.getvalue())


def _hides_text(image: Image.Image) -> bool:
    try:
        return hidden_text(image) is not None
    except BrokenMetadata:
        return True


def _padded(webp: bytes) -> bytes:
    """Fill a file up to the next of the sizes 8, 12, 16, 24, 32 ... kB with a chunk that every reader leaves out."""
    size = SMALLEST_FILE
    while size < len(webp) + 8:
        size = size * 3 // 2 if size & (size - 1) == 0 else size // 3 * 4
    filling = size - len(webp) - 8
    body = webp[8:] + b"JUNK" + filling.to_bytes(4, "little") + bytes(filling)
    return b"RIFF" + len(body).to_bytes(4, "little") + body
