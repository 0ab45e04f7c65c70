"""The `parameters` text of A1111's web UI (and Forge, Civitai): prompt, negative prompt, a line of settings."""

from __future__ import annotations

import json
import re
from typing import Any

from easel.images.metadata.model import ImageMetadata, number, others, size, text_of, whole

NEGATIVE = "Negative prompt:"
_SETTINGS = re.compile(r"^\s*Steps: \d+(?:,|\s*$)", re.MULTILINE)
_NAME = re.compile(r"\s*([\w][\w \-/().]*?):\s*")
_KNOWN = ("Steps", "Sampler", "CFG scale", "Seed", "Size", "Model", "Model hash")


def is_a1111(text: str) -> bool:
    """Tell whether a text is of this form: one of its lines begins with the number of steps."""
    return _SETTINGS.search(text) is not None


def read(text: str) -> ImageMetadata:
    """Read a `parameters` text."""
    text = text.replace("\r\n", "\n")
    # The settings are the last such line: a prompt may hold one that looks like them.
    found = list(_SETTINGS.finditer(text))[-1]
    before, after = text[: found.start()], text[found.start() :].strip("\n")
    line, _, rest = after.partition("\n")
    values = settings_of(line)
    if rest.strip():
        values["after"] = rest.strip()  # extensions append their templates
    prompt, negative = _prompts(before)
    width, _, height = str(values.get("Size", "")).partition("x")
    return ImageMetadata(
        generator="A1111",
        prompt=text_of(prompt),
        negative=text_of(negative),
        model_name=text_of(values.get("Model")),
        model_hash=text_of(values.get("Model hash")),
        seed=whole(values.get("Seed")),
        steps=whole(values.get("Steps")),
        guidance=number(values.get("CFG scale")),
        sampler=text_of(values.get("Sampler")),
        width=size(width),
        height=size(height),
        extra=others(values, *_KNOWN),
    )


def _prompts(text: str) -> tuple[str, str]:
    lines = text.split("\n")
    for number_, line in enumerate(lines):
        if line.startswith(NEGATIVE):
            first = line.removeprefix(NEGATIVE)
            return "\n".join(lines[:number_]), "\n".join([first, *lines[number_ + 1 :]])
    return text, ""


def settings_of(line: str) -> dict[str, Any]:
    """Read "Steps: 20, Sampler: Euler, Lora hashes: "a: 1, b: 2"": values may be quoted, or be JSON."""
    values: dict[str, Any] = {}
    position = 0
    while found := _NAME.match(line, position):
        start = found.end()
        value: Any = None
        if line[start : start + 1] in {'"', "[", "{"}:
            try:
                value, end = json.JSONDecoder().raw_decode(line, start)
            except (ValueError, RecursionError):
                value = None  # not JSON after all: read like any other value
        if value is None or (end < len(line) and line[end] != ","):
            end = line.find(",", start)
            end = len(line) if end < 0 else end
            value = line[start:end].strip()
        values[found[1]] = value
        position = end + 1
    return values


def write(metadata: ImageMetadata) -> str:
    """Return the `parameters` text, which other programs read. Reading it again gives the same values.

    Only a prompt with a line that begins with "Negative prompt:" is read differently: the form has no way to say it.
    """
    values: dict[str, Any] = {
        # Others know this line by its beginning.
        "Steps": metadata.steps if metadata.steps is not None else 0,
        "Sampler": metadata.sampler,
        "CFG scale": metadata.guidance,
        "Seed": metadata.seed,
        "Size": f"{metadata.width}x{metadata.height}" if metadata.width and metadata.height else None,
        "Model hash": metadata.model_hash,
        "Model": metadata.model_name,
        **metadata.extra,
    }
    line = ", ".join(f"{name}: {_quoted(value)}" for name, value in values.items() if value not in (None, ""))
    parts = [metadata.prompt, f"{NEGATIVE} {metadata.negative}" if metadata.negative else "", line]
    return "\n".join(part for part in parts if part)


def _quoted(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) and value == float(f"{value:g}") else str(value)
    if text != text.strip() or set(text) & set(',:\n\r"') or text[:1] in {"[", "{"}:
        return json.dumps(text, ensure_ascii=False)
    return text
