"""The only way a request gets a prompt import or a picture that images start from."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import NotFound
from easel.projects.access import row_for
from easel.projects.models import Project
from easel.prompts.models import ConditioningImage, PromptImport


def import_for(project: Project, pk: UUID) -> PromptImport:
    """Return an import of a project that came through its own door."""
    found = PromptImport.objects.filter(project=project, pk=pk).first()
    if found is None:
        raise NotFound("import")
    return found


def picture_for(user: User | AnonymousUser, pk: UUID) -> ConditioningImage:
    """Return a picture that images start from to any member of its project, as with images: forms may show it."""
    return row_for(ConditioningImage.objects.all(), user, pk, Act.SEE, "picture")
