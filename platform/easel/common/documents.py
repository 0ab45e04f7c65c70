"""JSON from outside: what can be kept, and why the rest cannot."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

MAX_DEPTH = 20
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def fault_of(value: Any, max_bytes: int | None = None, *, zeros: bool = False) -> str | None:
    """Say why a JSON value cannot be kept, as "is nested ...", or return None.

    Postgres stores no zero character (`zeros` lets it pass where a row of its own will be refused), half a surrogate
    pair cannot be encoded, infinity is no JSON, and a bottomless value would exhaust the stack of whoever reads it.
    """
    waiting = [(value, 1)]
    while waiting:
        part, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return f"is nested deeper than {MAX_DEPTH} levels"
        if isinstance(part, dict):
            waiting += [(key, depth) for key in part]
            waiting += [(inner, depth + 1) for inner in part.values()]
        elif isinstance(part, list | tuple):
            waiting += [(inner, depth + 1) for inner in part]
        elif isinstance(part, str):
            if "\x00" in part and not zeros:
                return "holds a zero character; remove it"
            if not part.isascii() and _HALF_CHARACTER.search(part):
                return "holds half a character (a lone surrogate); remove it"
        elif isinstance(part, float) and not isfinite(part):
            return "holds a number that is not finite"
    if max_bytes is not None and len(json.dumps(value)) > max_bytes:
        return f"takes more than {max_bytes // 1024} kB; shorten its texts"
    return None
