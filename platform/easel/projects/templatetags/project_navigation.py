"""The navigation of a project's pages."""

from __future__ import annotations

from typing import Any

from django import template

from easel.projects.models import Project
from easel.projects.navigation import sections_for

register = template.Library()


@register.inclusion_tag("projects/_navigation.html", takes_context=True)
def project_navigation(context: dict[str, Any], project: Project) -> dict[str, Any]:
    """Show the sections that the project's role may see, and the pages of the one that is shown."""
    match = context["request"].resolver_match
    sections = sections_for(project.role, match.url_name or "" if match else "")
    here = next((section for section in sections if section.state and len(section.entries) > 1), None)
    return {"project": project, "sections": sections, "here": here}
