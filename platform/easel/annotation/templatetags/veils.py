"""Which pictures stay blurred until somebody asks for them."""

from __future__ import annotations

from django import template

from easel.accounts.models import User
from easel.annotation.models import Item
from easel.projects.models import Project

register = template.Library()


@register.simple_tag
def veils(item: Item, project: Project, user: User) -> bool:
    """Tell whether this person sees an item's images blurred at first."""
    return user.blur and item.is_sensitive(project.sensitive_categories)
