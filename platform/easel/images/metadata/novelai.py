"""NovelAI: the prompt is the Description, the settings are JSON in the Comment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from easel.images.metadata.model import ImageMetadata, load_object, number, others, size, text_of, whole

_SOURCE = re.compile(r"(.+?)\s+([0-9A-F]{8})")


def is_novelai(texts: Mapping[str, str]) -> bool:
    """Tell whether NovelAI wrote these texts."""
    return texts.get("Software") == "NovelAI" and "Comment" in texts


def read(texts: Mapping[str, str]) -> ImageMetadata:
    """Read NovelAI's texts."""
    values = load_object(texts["Comment"], "NovelAI's Comment")
    source = text_of(texts.get("Source"))
    named = _SOURCE.fullmatch(source)
    return ImageMetadata(
        generator="NovelAI",
        prompt=text_of(texts.get("Description")) or text_of(values.get("prompt")) or _caption(values.get("v4_prompt")),
        negative=text_of(values.get("uc")) or _caption(values.get("v4_negative_prompt")),
        model_name=named[1] if named else source,
        model_hash=named[2] if named else "",
        seed=whole(values.get("seed")),
        steps=whole(values.get("steps")),
        guidance=number(values.get("scale")),
        sampler=text_of(values.get("sampler")),
        width=size(values.get("width")),
        height=size(values.get("height")),
        extra=others(values, "prompt", "uc", "seed", "steps", "scale", "sampler", "width", "height"),
    )


def _caption(value: Any) -> str:
    caption = value.get("caption") if isinstance(value, dict) else None
    return text_of(caption.get("base_caption")) if isinstance(caption, dict) else ""
