"""How images were made, for templates."""

from __future__ import annotations

from collections.abc import ItemsView, Mapping
from typing import Any

from django import template

from easel.images.browsing import said_of
from easel.images.forms import SCHEDULERS
from easel.images.models import Candidate, GenerationRequest

register = template.Library()


@register.filter
def said(candidate: Candidate) -> ItemsView[str, str]:
    """The settings of an image, each with its name, without the prompt that stands above them."""
    return {name: value for name, value in said_of(candidate).items() if name != "Prompt"}.items()


@register.filter
def settings_in_words(request: GenerationRequest) -> str:
    """What a request set differently from its model: "8 steps · guidance 2 · 64 × 64 pixels"."""
    chosen = request.settings
    words = [
        f"{chosen['steps']} steps" if chosen.get("steps") else "",
        f"guidance {chosen['guidance_scale']:g}" if chosen.get("guidance_scale") is not None else "",
        _size(chosen.get("width"), chosen.get("height")),
        SCHEDULERS.get(name, name) if (name := chosen.get("scheduler") or "default") != "default" else "",
        f"strength {chosen['strength']:g}" if chosen.get("strength") is not None else "",
        f"control strength {chosen['control_scale']:g}" if chosen.get("control_scale") is not None else "",
        "from a picture" if request.conditioning_id else "",
    ]
    return " · ".join(filter(None, words)) or "the model's own settings"


def _size(width: int | None, height: int | None) -> str:
    if width and height:
        return f"{width} × {height} pixels"
    return f"{width} pixels wide" if width else f"{height} pixels high" if height else ""


@register.filter
def of(things: Mapping[Any, Any], key: Any) -> Any:
    """What a mapping has for a key, or None."""
    return things.get(key)
