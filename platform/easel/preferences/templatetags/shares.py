"""Shares and intervals as the quality pages show them."""

from __future__ import annotations

from django import template

from easel.preferences.figures import Flag, Share

register = template.Library()


@register.filter
def percent(value: float | None) -> str:
    """Write a share as a whole number of per cent: "71%"; a dash for None."""
    return "–" if value is None else f"{100 * value:.0f}%"


@register.filter
def between(share: Share) -> str:
    """Write an interval of per cent: "66% to 75%"; nothing where there is none."""
    return "" if share.low is None or share.high is None else f"{100 * share.low:.0f}% to {100 * share.high:.0f}%"


@register.filter
def span(share: Share) -> str:
    """Write an interval of a coefficient: "0.41 to 0.52"; nothing where there is none."""
    return "" if share.low is None or share.high is None else f"{share.low:.2f} to {share.high:.2f}"


@register.filter
def hundredth(value: float | None) -> float:
    """Where a share stands on a line of 100."""
    return round(100 * (value or 0.0), 1)


@register.filter
def short(flag: Flag) -> str:
    """Write a flag in a word and its number: "gold 40%"."""
    words = {
        "gold": "gold",
        "position": f"image {chr(64 + int(flag.numbers.get('place', 1)))} first",
        "consistency": "with self",
        "agreement": "with others",
        "ties": "ties",
        "all_bad": "all bad",
        "speed": "too fast",
    }
    return f"{words.get(flag.code, flag.code)} {percent(flag.numbers.get('share', flag.numbers.get('rate')))}"


@register.simple_tag
def order_link(column: str, order: str) -> str:
    """The order that a click on a column's head asks for: the most first, then the other way round."""
    return column if order == f"-{column}" else f"-{column}"


@register.simple_tag
def sorted_as(column: str, order: str) -> str:
    """How a column is sorted, for aria-sort."""
    return {column: "ascending", f"-{column}": "descending"}.get(order, "none")
