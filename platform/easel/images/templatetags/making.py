"""How images were made, for templates."""

from __future__ import annotations

from collections.abc import ItemsView

from django import template

from easel.images.browsing import said_of
from easel.images.models import Candidate

register = template.Library()


@register.filter
def said(candidate: Candidate) -> ItemsView[str, str]:
    """The settings of an image, each with its name, without the prompt that stands above them."""
    return {name: value for name, value in said_of(candidate).items() if name != "Prompt"}.items()
