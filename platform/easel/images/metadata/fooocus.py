"""Fooocus: `parameters` is JSON, unless it was told to write A1111's form; `fooocus_scheme` says which."""

from __future__ import annotations

import re
from typing import Any

from easel.images.metadata import a1111
from easel.images.metadata.model import ImageMetadata, number, others, size, text_of, whole

_SIZE = re.compile(r"\(?\s*(\d+)\s*[,x×]\s*(\d+)\s*\)?")
_KNOWN = ("prompt", "negative_prompt", "base_model", "base_model_hash", "seed", "steps", "guidance_scale", "sampler")


def is_fooocus(values: dict[str, Any]) -> bool:
    """Tell whether a JSON object is Fooocus's: it names its scheme, or its version."""
    return "metadata_scheme" in values or text_of(values.get("version")).startswith("Fooocus")


def read(values: dict[str, Any]) -> ImageMetadata:
    """Read Fooocus's own scheme. The prompt is what was asked for; how styles grew it stands in `extra`."""
    found = _SIZE.fullmatch(text_of(values.get("resolution")))
    return ImageMetadata(
        generator="Fooocus",
        prompt=text_of(values.get("prompt")),
        negative=text_of(values.get("negative_prompt")),
        model_name=text_of(values.get("base_model")),
        model_hash=text_of(values.get("base_model_hash")),
        seed=whole(values.get("seed")),
        steps=whole(values.get("steps")),
        guidance=number(values.get("guidance_scale")),
        sampler=text_of(values.get("sampler")),
        width=size(found[1]) if found else None,
        height=size(found[2]) if found else None,
        extra=others(values, *_KNOWN),
    )


def read_a1111(text: str) -> ImageMetadata:
    """Read the text that Fooocus writes in A1111's form."""
    return a1111.read(text).model_copy(update={"generator": "Fooocus"})
