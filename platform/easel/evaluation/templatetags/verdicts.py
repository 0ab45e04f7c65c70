"""Shares, intervals and figures of two models as pages show them."""

from __future__ import annotations

from django import template

from easel.evaluation.figures import Beside
from easel.evaluation.results import percent

register = template.Library()


@register.filter
def share(value: float | None) -> str:
    """Write a share as a whole number of per cent: "71%"; a dash for None."""
    return "–" if value is None else f"{percent(value)}%"


@register.filter
def at(value: float | None) -> str:
    """Where a share of 0..1 stands on a line of 100."""
    return f"{100 * min(1.0, max(0.0, value or 0.0)):.2f}"


@register.filter
def mark(value: float | None) -> str:
    """Where a mark of 0.8 begins that stands at a share of 0..1 on a line of 100."""
    return f"{min(99.2, max(0.0, 100 * (value or 0.0) - 0.4)):.2f}"


@register.filter
def until(low: float | None, high: float | None) -> str:
    """How long the part of a line of 100 between two shares is, and never nothing."""
    return f"{max(0.6, 100 * ((high or 0.0) - (low or 0.0))):.2f}"


@register.filter
def figure(one: Beside, which: str) -> str:
    """Write a figure of model a or b: a share as "97.5%", anything else with three digits; a dash for None."""
    value = one.a if which == "a" else one.b
    if value is None:
        return "–"
    return f"{100 * value:.1f}%" if one.is_share else f"{value:.3g}"


@register.filter
def signed(value: float) -> str:
    """Write a strength with its sign: "+0.41"."""
    return f"{value:+.2f}"


@register.filter
def place_of(value: float, reach: float) -> str:
    """Where a strength of -reach..reach stands on a line of 100."""
    return f"{50 + 50 * value / reach:.2f}" if reach else "50"


@register.filter
def scaled(width: float, reach: float) -> str:
    """How long a stretch of strength is on a line of 100 that shows -reach..reach."""
    return f"{max(0.6, 50 * width / reach):.2f}" if reach else "0.6"


@register.filter
def minus(one: float, other: float) -> float:
    """The difference of two numbers."""
    return one - other
