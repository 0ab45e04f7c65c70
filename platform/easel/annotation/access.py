"""The only way a request gets an assignment or an annotation."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.models import Assignment, Item
from easel.common.errors import NotFound
from easel.projects.access import require
from easel.projects.models import Project
from easel.prompts.models import Prompt

M = TypeVar("M", bound=Model)


# In SQL, and with no more columns than are used: this stands on the path of every submission, see queue.py.
_OWN = """
    SELECT assignment.*, item.prompt_id, item.project_id, item.template_version_id, item.overlap AS item_overlap,
        item.audience AS item_audience, prompt.text AS prompt_text, project.overlap, member.role
    FROM annotation_assignment AS assignment
    JOIN annotation_item AS item ON item.id = assignment.item_id
    JOIN prompts_prompt AS prompt ON prompt.id = item.prompt_id
    JOIN projects_project AS project ON project.id = item.project_id
    JOIN projects_membership AS member ON member.project_id = project.id AND member.user_id = assignment.annotator_id
    WHERE assignment.id = %s AND assignment.annotator_id = %s
"""
_OWN_LOCKED = f"{_OWN} FOR NO KEY UPDATE OF assignment, item"


def assignment_for(user: User | AnonymousUser, pk: UUID, *, lock: bool = False) -> Assignment:
    """Return an annotator's own assignment; somebody else's does not exist, not even for an owner.

    With `lock`, it and its item stay locked for the rest of the transaction. Raises NotFound for one who is no longer
    in the project.
    """
    rows = Assignment.objects.raw(_OWN_LOCKED if lock else _OWN, [pk, user.pk]) if isinstance(user, User) else []
    for found in rows:
        require(found.role, Act.RANK)
        found.item = _partly(
            Item,
            id=found.item_id,
            prompt_id=found.prompt_id,
            project_id=found.project_id,
            template_version_id=found.template_version_id,
            overlap=found.item_overlap,
            audience=found.item_audience,
        )
        found.item.prompt = _partly(Prompt, id=found.prompt_id, text=found.prompt_text)
        found.item.project = _partly(Project, id=found.project_id, overlap=found.overlap)
        return found
    raise NotFound("assignment")


def _partly(model: type[M], **columns: Any) -> M:
    """Return a stored row of which some columns are known; the others are read when they are asked for."""
    known = [field.attname for field in model._meta.concrete_fields if field.attname in columns]
    return model.from_db(None, known, [columns[name] for name in known])
