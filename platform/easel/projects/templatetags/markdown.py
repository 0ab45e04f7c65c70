"""Markdown that admins wrote, in a page."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from easel.projects.text import to_html

register = template.Library()


@register.filter
def markdown(text: str) -> SafeString:
    """Render a Markdown text; HTML in it is shown as text."""
    return to_html(text)
