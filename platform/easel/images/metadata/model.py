"""What an image's file says about how it was made, whichever program wrote it."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from easel.common.errors import InvalidInput

Generator = Literal["Easel", "A1111", "ComfyUI", "InvokeAI", "NovelAI", "Fooocus", "SwarmUI"]
MAX_DEPTH = 12
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class BrokenMetadata(InvalidInput):
    """A file names a known program, but what stands there cannot be read. Its pixels may be sound."""

    code = "broken_metadata"


class ImageMetadata(BaseModel):
    """One image's making. What the file does not say is empty or None."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    generator: Generator
    prompt: str = ""
    negative: str = ""
    model_name: str = ""
    model_hash: str = ""
    """As the program writes it: often the first 8 or 10 digits only."""
    seed: int | None = None
    """May exceed 64 bits; then a candidate cannot hold it and it is kept here only."""
    steps: int | None = None
    guidance: float | None = None
    sampler: str = ""
    width: int | None = None  # pixels, as generated; the file may have been cropped or enlarged since
    height: int | None = None  # pixels
    extra: dict[str, Any] = Field(default_factory=dict)
    """All else, under the program's own names."""


def load(text: str, where: str) -> Any:
    """Parse JSON that a file carries. Raises BrokenMetadata."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise BrokenMetadata(f"{where} is nested too deeply to be read.") from error
    except ValueError as error:
        raise BrokenMetadata(f"{where} is no JSON: {str(error)[:120]}. It was cut off or edited.") from error


def load_object(text: str, where: str) -> dict[str, Any]:
    """Parse a JSON object that a file carries. Raises BrokenMetadata."""
    value = load(text, where)
    if not isinstance(value, dict):
        raise BrokenMetadata(f"{where} is a {type(value).__name__}, not an object of names and values.")
    return value


def text_of(value: Any) -> str:
    """Return a text that can be stored: no zero characters, no halves of characters, no blanks around it."""
    if value is None or isinstance(value, dict | list | bool):
        return ""
    return _HALF_CHARACTER.sub("\ufffd", str(value).replace("\x00", "")).strip()


def whole(value: Any) -> int | None:
    """Return a whole number, whether it was written as 7, 7.0 or "7"; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if isfinite(value) and value == int(value) else None
    found = re.fullmatch(r"\s*([+-]?\d{1,40})(?:\.0*)?\s*", value) if isinstance(value, str) else None
    return int(found[1]) if found else None


def size(value: Any) -> int | None:
    """Return a length in pixels, or None where there is no sensible one."""
    found = whole(value)
    return found if found is not None and 0 < found < 2**31 else None


def number(value: Any) -> float | None:
    """Return a finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if isfinite(found) else None


def storable(value: Any, depth: int = 0) -> Any:
    """Return JSON that Postgres keeps: texts mended, infinities as texts, what is too deep as text."""
    if isinstance(value, str):
        return _HALF_CHARACTER.sub("\ufffd", value.replace("\x00", ""))
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, dict | list) and depth >= MAX_DEPTH:
        return storable(json.dumps(value))
    if isinstance(value, dict):
        return {storable(str(key)): storable(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner, depth + 1) for inner in value]
    return value


def others(values: dict[str, Any], *known: str) -> dict[str, Any]:
    """Return the values that have no field of their own."""
    return {name: value for name, value in values.items() if name not in known and value not in (None, "", [], {})}
