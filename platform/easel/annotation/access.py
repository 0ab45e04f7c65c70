"""The only way a request gets an assignment or an annotation."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.desk import COLUMNS, JOINS, desk_on
from easel.annotation.models import Assignment, Item
from easel.common.errors import NotFound
from easel.projects.access import require
from easel.projects.models import Project
from easel.prompts.models import Prompt

M = TypeVar("M", bound=Model)


# In SQL, and with no more columns than are used: this stands on the path of every submission, see queue.py.
_DESK = ", ".join(f"{source} AS desk_{name}" for source, name in COLUMNS)
_OF_ITEM = [
    f"item_{name}"
    for name in (
        "prompt_id", "template_version_id", "purpose", "state", "priority", "audience", "votes", "overlap",
        "overlap_lead", "overlap_cap", "wants", "category", "flagged_at",
    )
]  # fmt: skip
_ITEM = ", ".join(f"item.{name.removeprefix('item_')} AS {name}" for name in _OF_ITEM)
_OWN = f"""
    SELECT assignment.*, {_ITEM}, prompt.text AS prompt_text, coalesce(gold.training, false) AS in_training,
        member.role, {_DESK}
    FROM annotation_assignment AS assignment
    JOIN annotation_item AS item ON item.id = assignment.item_id
    LEFT JOIN annotation_gold AS gold ON gold.item_id = item.id
    JOIN prompts_prompt AS prompt ON prompt.id = item.prompt_id
    JOIN projects_project AS project ON project.id = item.project_id
    {JOINS}
    WHERE assignment.id = %s AND assignment.annotator_id = %s AND member.user_id = assignment.annotator_id
"""  # noqa: S608 -- made of our own texts only
_OWN_LOCKED = f"{_OWN} FOR NO KEY UPDATE OF assignment, item"


def assignment_for(user: User | AnonymousUser, pk: UUID, *, lock: bool = False) -> Assignment:
    """Return an annotator's own assignment, with its `desk`; somebody else's does not exist, not even for an owner.

    With `lock`, it and its item stay locked for the rest of the transaction. Raises NotFound for one who is no longer
    in the project.
    """
    rows = Assignment.objects.raw(_OWN_LOCKED if lock else _OWN, [pk, user.pk]) if isinstance(user, User) else []
    for found in rows:
        require(found.role, Act.RANK)
        desk, row = desk_on(found), vars(found)
        found.desk = desk
        found.item = _partly(
            Item,
            id=found.item_id,
            project_id=desk.project,
            **{name.removeprefix("item_"): value for name, value in row.items() if name in _OF_ITEM},
        )
        found.item.prompt = _partly(Prompt, id=found.item.prompt_id, text=row["prompt_text"])
        found.item.project = _partly(
            Project,
            id=desk.project,
            overlap=desk.overlap,
            overlap_lead=desk.overlap_lead,
            overlap_cap=desk.overlap_cap,
            sensitive_categories=desk.sensitive,
        )
        return found
    raise NotFound("assignment")


def _partly(model: type[M], **columns: Any) -> M:
    """Return a stored row of which some columns are known; the others are read when they are asked for."""
    known = [field.attname for field in model._meta.concrete_fields if field.attname in columns]
    return model.from_db(None, known, [columns[name] for name in known])
