"""Who sees what in Curate."""

from __future__ import annotations

from easel.accounts.roles import Act
from easel.annotation.curate.filters import Filters
from easel.common.errors import Forbidden
from easel.projects.access import may
from easel.projects.models import Project


def refuse_gold(project: Project, filters: Filters) -> None:
    """Raise Forbidden where somebody asks which items measure annotators, and may be one of them."""
    if filters.purpose != "rank" and not may(project.role, Act.MANAGE):
        raise Forbidden("Only those who manage the project see which items are gold or repeats.")
