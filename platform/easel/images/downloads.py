"""A candidate's original file with everything about its making written into it: for those who may know."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.text import slugify

from easel.common.errors import NotFound
from easel.common.storage import storage
from easel.images.metadata import ImageMetadata, a1111, own
from easel.images.metadata.chunks import HEAD, is_png_head, text_chunks
from easel.images.models import Candidate
from generation.storage import StorageError

BLOCK = 64 * 1024  # bytes


def described(candidate: Candidate) -> ImageMetadata:
    """Return what a candidate's file should say: its own manifest, or what the imported file said."""
    known = candidate.metadata.get("image")
    if known:
        return ImageMetadata.model_validate(known)
    manifest = candidate.manifest
    return ImageMetadata(
        generator="Easel",
        prompt=candidate.prompt.text,
        negative=candidate.prompt.negative,
        model_name=candidate.model.name,
        model_hash=(manifest.get("model_sha256") or "")[:10],  # as many digits as A1111 writes
        seed=candidate.seed,
        steps=manifest.get("steps"),
        guidance=manifest.get("guidance_scale"),
        sampler=manifest.get("scheduler") or "",
        width=candidate.width,
        height=candidate.height,
        extra={"Version": "Easel"},
    )


def file_name(candidate: Candidate) -> str:
    """Return a name that says which one it is: model, seed and the end of its id."""
    seed = "" if candidate.seed is None else f"-{candidate.seed}"
    return f"{slugify(candidate.model.name)[:60] or 'image'}{seed}-{candidate.pk.hex[-8:]}.png"


def original_with_texts(candidate: Candidate) -> tuple[Iterator[bytes], int]:
    """Return the stored file with A1111's `parameters` and our manifest in it, block by block; and its bytes in all.

    The pixels are not touched: they are the very bytes that were stored. Raises NotFound where the file is gone.
    """
    said = described(candidate)
    texts = text_chunks({"parameters": a1111.write(said), own.KEYWORD: own.write(said, candidate.manifest)})
    try:
        file = storage().open(candidate.key)
    except StorageError as error:
        raise NotFound("image file") from error
    head = file.read(HEAD)
    if not is_png_head(head):
        file.close()
        raise NotFound("image file that can be read")

    def blocks() -> Iterator[bytes]:
        with file:
            yield head + texts
            while block := file.read(BLOCK):
                yield block

    return blocks(), candidate.size + len(texts)
