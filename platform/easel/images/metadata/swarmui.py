"""SwarmUI: JSON under `sui_image_params`, in the text `parameters` or the EXIF comment."""

from __future__ import annotations

from typing import Any

from easel.images.metadata.model import BrokenMetadata, ImageMetadata, number, others, size, text_of, whole

_KNOWN = ("prompt", "negativeprompt", "model", "seed", "steps", "cfgscale", "sampler", "width", "height")


def is_swarmui(values: dict[str, Any]) -> bool:
    """Tell whether a JSON object is SwarmUI's."""
    return "sui_image_params" in values


def read(values: dict[str, Any]) -> ImageMetadata:
    """Read SwarmUI's settings."""
    found = values["sui_image_params"]
    if not isinstance(found, dict):
        raise BrokenMetadata("SwarmUI's sui_image_params are no object of names and values.")
    models = values.get("sui_models")
    hashes = [
        text_of(one.get("hash"))
        for one in (models if isinstance(models, list) else [])
        if isinstance(one, dict) and one.get("param") == "model"
    ]
    return ImageMetadata(
        generator="SwarmUI",
        prompt=text_of(found.get("prompt")),
        negative=text_of(found.get("negativeprompt")),
        model_name=text_of(found.get("model")),
        model_hash=hashes[0] if hashes else "",
        seed=whole(found.get("seed")),
        steps=whole(found.get("steps")),
        guidance=number(found.get("cfgscale")),
        sampler=text_of(found.get("sampler")),
        width=size(found.get("width")),
        height=size(found.get("height")),
        extra=others(found, *_KNOWN) | others(values, "sui_image_params"),
    )
