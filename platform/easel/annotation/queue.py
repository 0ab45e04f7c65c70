"""What an annotator ranks next: something begun, else an item that still needs somebody.

Three statements that stand on the path of every submission, in SQL: Django took longer to write them than Postgres to
run them. They agree with `AssignmentQuerySet.taking_part` on what counts.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from easel.accounts.models import User
from easel.annotation.models import Assignment, Item, audiences_of
from easel.images.models import Candidate
from easel.projects.models import Project
from easel.prompts.models import Prompt

_BEGUN = """
    SELECT begun.* FROM annotation_assignment AS begun JOIN annotation_item AS item ON item.id = begun.item_id
    WHERE begun.annotator_id = %(annotator)s AND begun.state = 'open'
    AND item.project_id = %(project)s AND item.state = 'ready' AND item.audience = ANY (%(audiences)s)
    AND (%(request)s::uuid IS NULL OR item.request_id = %(request)s)
    ORDER BY begun.id
"""
# Items that still need somebody and that this annotator never had.
_WANTED = """
    item.project_id = %(project)s AND item.state = 'ready' AND item.audience = ANY (%(audiences)s)
    AND (%(request)s::uuid IS NULL OR item.request_id = %(request)s)
    AND NOT EXISTS (
        SELECT FROM annotation_assignment AS mine WHERE mine.item_id = item.id AND mine.annotator_id = %(annotator)s
    )
    AND coalesce(item.overlap, %(overlap)s) > (
        SELECT count(*) FROM annotation_assignment AS taken WHERE taken.item_id = item.id
        AND (taken.state = 'submitted' OR (taken.state = 'open' AND taken.expires_at > %(at)s))
    )
"""
_SEARCH = f"""
    SELECT item.*, prompt.text AS prompt_text, prompt.negative AS prompt_negative,
        prompt.metadata -> 'messages' AS prompt_messages,
        picture.id AS picture, picture.width AS picture_width, picture.height AS picture_height
    FROM annotation_item AS item JOIN prompts_prompt AS prompt ON prompt.id = item.prompt_id
    LEFT JOIN images_generationrequest AS request ON request.id = item.request_id
    LEFT JOIN prompts_conditioningimage AS picture
        ON picture.id = coalesce(prompt.conditioning_id, request.conditioning_id)
    WHERE {_WANTED} AND item.id <> ALL (%(gone)s)
    ORDER BY item.priority DESC, item.id LIMIT 1
    FOR NO KEY UPDATE OF item SKIP LOCKED
"""  # noqa: S608 -- made of our own texts only
_CANDIDATES = f"""
    SELECT candidate.id, candidate.width, candidate.height
    FROM annotation_item AS item
    LEFT JOIN annotation_item_candidates AS link ON link.item_id = item.id
    LEFT JOIN images_candidate AS candidate ON candidate.id = link.candidate_id
    WHERE item.id = %(item)s AND {_WANTED}
    ORDER BY candidate.id
"""  # noqa: S608 -- made of our own texts only


def begun(project: Project, annotator: User, request: UUID | None = None) -> list[Assignment]:
    """What an annotator has begun and could finish, live leases and lapsed ones, oldest first."""
    audiences = audiences_of(annotator, sent=request is not None)
    wanted = {"project": project.pk, "annotator": annotator.pk, "audiences": audiences, "request": request}
    return list(Assignment.objects.raw(_BEGUN, wanted))


def next_item(
    project: Project, annotator: User, at: datetime, gone: Collection[UUID], request: UUID | None = None
) -> tuple[Item, list[Candidate] | None] | None:
    """Lock the next item that is not among `gone`, and return it with its candidates; None when nothing is left.

    The lock is taken without waiting, so that two who ask at the same moment get different items. The candidates are
    read under it, and only where the item is still to be had: the search looked before, and what it found may be gone.
    Then they are None; a text has no candidates, which is an empty list.
    """
    wanted = {
        "project": project.pk,
        "overlap": project.overlap,
        "annotator": annotator.pk,
        "at": at,
        "audiences": audiences_of(annotator, sent=request is not None),
        "request": request,
    }
    found = list(Item.objects.raw(_SEARCH, {**wanted, "gone": list(gone)}))
    if not found:
        return None
    (item,) = found
    item.prompt = Prompt(
        pk=item.prompt_id,
        text=item.prompt_text,
        negative=item.prompt_negative,
        metadata={"messages": json.loads(item.prompt_messages)} if item.prompt_messages else {},
    )
    rows = list(Candidate.objects.raw(_CANDIDATES, {**wanted, "item": item.pk}))
    return item, [row for row in rows if row.pk is not None] if rows else None
