"""Numbers as people read them: always with their unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

register = template.Library()


@register.filter
def duration(seconds: float | None) -> str:
    """Write a number of seconds: "13 s", "1 min 30 s", "2 h 5 min"; a dash for None."""
    if seconds is None:
        return "–"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"


@register.filter
def milliseconds(value: float | None) -> str:
    """Write a number of milliseconds as `duration` does, and below a minute with its tenths: "12.4 s"."""
    if value is not None and value < 59_950:
        return f"{value / 1000:.1f} s"
    return duration(None if value is None else value / 1000)


@register.filter
def pace(per_second: float) -> str:
    """Write how many images come: "3.1 images/s", or by the minute where they are slower."""
    if per_second >= 1:
        return f"{per_second:.1f} images/s"
    if per_second * 60 >= 1:
        return f"{per_second * 60:.0f} images/min"
    return f"{per_second * 3600:.0f} images/h"


@register.filter
def pairs(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The keys and values of data that users named: `values.items` would find their own key "items" first.

    Of a conversation its length is told.
    """
    return [(key, len(one) if key == "messages" and isinstance(one, list) else one) for key, one in values.items()]
