"""The only way a request gets a prompt import."""

from __future__ import annotations

from uuid import UUID

from easel.common.errors import NotFound
from easel.projects.models import Project
from easel.prompts.models import PromptImport


def import_for(project: Project, pk: UUID) -> PromptImport:
    """Return an import of a project that came through its own door."""
    found = PromptImport.objects.filter(project=project, pk=pk).first()
    if found is None:
        raise NotFound("import")
    return found
