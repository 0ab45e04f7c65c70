"""Easel's own manifest in a PNG: JSON in the text `easel`, exact where A1111's form is not."""

from __future__ import annotations

import json
from typing import Any

from easel.images.metadata.model import BrokenMetadata, ImageMetadata, load_object

KEYWORD = "easel"
VERSION = 1


def write(metadata: ImageMetadata, manifest: dict[str, Any]) -> str:
    """Return the text: what any program's file says, and the manifest that Easel renders the image again from."""
    body = {"easel": VERSION, "image": metadata.model_dump(mode="json"), "manifest": manifest}
    return json.dumps(body, ensure_ascii=False)


def read(text: str) -> ImageMetadata:
    """Read what `write` wrote."""
    body = load_object(text, "Easel's own text")
    if body.get("easel") != VERSION:
        raise BrokenMetadata(f"Easel's own text is of version {str(body.get('easel'))[:20]!r}; {VERSION} is read.")
    try:
        found = ImageMetadata.model_validate(body.get("image"))
    except ValueError as error:
        raise BrokenMetadata("Easel's own text was edited: its part 'image' does not hold.") from error
    manifest = body.get("manifest")
    return found.model_copy(update={"extra": {**found.extra, "manifest": manifest}} if manifest else {})
