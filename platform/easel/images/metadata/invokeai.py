"""InvokeAI in its three ages: `invokeai_metadata`, before it `sd-metadata`, before it a `Dream` command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from easel.images.metadata.model import (
    BrokenMetadata,
    ImageMetadata,
    load_object,
    number,
    others,
    size,
    text_of,
    whole,
)

_NEGATIVE = re.compile(r"\[([^\[\]]*)\]")
_NEWEST = (
    "positive_prompt", "negative_prompt", "model", "seed", "steps", "cfg_scale", "scheduler", "width", "height",
)  # fmt: skip


def is_invokeai(texts: Mapping[str, str]) -> bool:
    """Tell whether InvokeAI wrote these texts."""
    return bool(texts.keys() & {"invokeai_metadata", "sd-metadata", "Dream"})


def read(texts: Mapping[str, str]) -> ImageMetadata:
    """Read the newest form that is there."""
    if "invokeai_metadata" in texts:
        return _read_newest(load_object(texts["invokeai_metadata"], "InvokeAI's invokeai_metadata"))
    if "sd-metadata" in texts:
        return _read_older(load_object(texts["sd-metadata"], "InvokeAI's sd-metadata"))
    return _read_dream(texts["Dream"])


def _read_newest(values: dict[str, Any]) -> ImageMetadata:
    model = values.get("model")
    named: dict[str, Any] = model if isinstance(model, dict) else {"name": model}
    return ImageMetadata(
        generator="InvokeAI",
        prompt=text_of(values.get("positive_prompt")),
        negative=text_of(values.get("negative_prompt")),
        model_name=text_of(named.get("name")) or text_of(named.get("model_name")),
        model_hash=text_of(named.get("hash")) or text_of(named.get("model_hash")),
        seed=whole(values.get("seed")),
        steps=whole(values.get("steps")),
        guidance=number(values.get("cfg_scale")),
        sampler=text_of(values.get("scheduler")),
        width=size(values.get("width")),
        height=size(values.get("height")),
        extra=others(values, *_NEWEST) | ({"model": others(named)} if isinstance(model, dict) else {}),
    )


def _read_older(values: dict[str, Any]) -> ImageMetadata:
    image = values.get("image")
    if not isinstance(image, dict):
        raise BrokenMetadata("InvokeAI's sd-metadata has no object named 'image'.")
    parts = image.get("prompt")
    if isinstance(parts, list):  # weighted parts
        prompt = " ".join(text_of(part.get("prompt")) for part in parts if isinstance(part, dict))
    else:
        prompt = text_of(parts)
    prompt, negative = _split(prompt)
    return ImageMetadata(
        generator="InvokeAI",
        prompt=prompt,
        negative=negative,
        model_name=text_of(values.get("model_weights")) or text_of(values.get("model")),
        model_hash=text_of(values.get("model_hash")),
        seed=whole(image.get("seed")),
        steps=whole(image.get("steps")),
        guidance=number(image.get("cfg_scale")),
        sampler=text_of(image.get("sampler")),
        width=size(image.get("width")),
        height=size(image.get("height")),
        extra=others(values, "image", "model_weights", "model_hash")
        | others(image, "prompt", "seed", "steps", "cfg_scale", "sampler", "width", "height"),
    )


def _read_dream(text: str) -> ImageMetadata:
    try:
        prompt, *words = shlex.split(text)
    except ValueError as error:
        raise BrokenMetadata(f"InvokeAI's Dream is no command line: {str(error)[:80]}.") from error
    options: dict[str, Any] = {}
    name = ""
    for word in words:
        if re.fullmatch(r"-{1,2}[A-Za-z][\w-]*", word):
            name = word.lstrip("-")
            options[name] = ""
        elif name:
            options[name] = f"{options[name]} {word}".strip()
    prompt, negative = _split(prompt)
    return ImageMetadata(
        generator="InvokeAI",
        prompt=prompt,
        negative=negative,
        seed=whole(options.get("S")),
        steps=whole(options.get("s")),
        guidance=number(options.get("C", "")),
        sampler=text_of(options.get("A")),
        width=size(options.get("W")),
        height=size(options.get("H")),
        extra=others(options, "S", "s", "C", "A", "W", "H"),
    )


def _split(prompt: str) -> tuple[str, str]:
    """Take the parts in square brackets out of a prompt: they are its negative."""
    negative = " ".join(part.strip() for part in _NEGATIVE.findall(prompt))
    return text_of(re.sub(r"\s+", " ", _NEGATIVE.sub("", prompt)) if negative else prompt), text_of(negative)
