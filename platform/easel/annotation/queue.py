"""What an annotator ranks next: something begun, else an item that still needs somebody.

The statements stand on the path of every submission, so they are SQL: Django took longer to write them than Postgres to
run them. They agree with `AssignmentQuerySet.taking_part` on what counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from easel.annotation.desk import Desk
from easel.annotation.models import Assignment, Item
from easel.common.ids import uuid7
from easel.projects.models import Project
from easel.prompts.models import Prompt

# Returned work comes first, then what is oldest. What was returned is answered whatever the item's state is by now.
_BEGUN = """
    SELECT begun.id, begun.state, begun.expires_at, begun.assigned_by_id IS NULL AS queued
    FROM annotation_assignment AS begun JOIN annotation_item AS item ON item.id = begun.item_id
    WHERE begun.annotator_id = %(annotator)s AND begun.state IN ('open', 'returned')
    AND item.project_id = %(project)s AND (item.state = 'ready' OR begun.state = 'returned')
    AND item.audience = ANY (%(audiences)s) AND (%(request)s::uuid IS NULL OR item.request_id = %(request)s)
    ORDER BY begun.state = 'open', begun.id
"""
# Items that this annotator never had, and may be given.
_NEW = """
    item.project_id = %(project)s AND item.state = 'ready' AND item.category <> ALL (%(declined)s)
    AND NOT EXISTS (
        SELECT FROM annotation_assignment AS mine WHERE mine.item_id = item.id AND mine.annotator_id = %(annotator)s
    )
"""
# Of these, what still needs somebody.
_WANTED = f"""
    {_NEW} AND item.purpose = 'rank' AND item.audience = ANY (%(audiences)s)
    AND (%(request)s::uuid IS NULL OR item.request_id = %(request)s)
    AND coalesce(item.wants, item.overlap, %(overlap)s) > (
        SELECT count(*) FROM annotation_assignment AS taken WHERE taken.item_id = item.id
        AND (taken.state IN ('submitted', 'returned') OR (taken.state = 'open' AND taken.expires_at > %(at)s))
    )
"""  # noqa: S608 -- made of our own texts only
_ITEM = """
    SELECT item.*, prompt.text AS prompt_text, prompt.negative AS prompt_negative,
        prompt.metadata -> 'messages' AS prompt_messages,
        picture.id AS picture, picture.width AS picture_width, picture.height AS picture_height
"""
_FROM = """
    FROM annotation_item AS item JOIN prompts_prompt AS prompt ON prompt.id = item.prompt_id
    LEFT JOIN images_generationrequest AS request ON request.id = item.request_id
    LEFT JOIN prompts_conditioningimage AS picture
        ON picture.id = coalesce(prompt.conditioning_id, request.conditioning_id)
"""
# The queue in its order. What lies before the item that the annotator answered furthest on is mostly their own: who is
# ten thousand items ahead of the others would have all of them looked through each time. So what is urgent comes first,
# then what lies behind that item, and only when all that is done the rest. A part that is not needed does not run.
_NEXT = f"""
    SELECT item.id FROM annotation_item AS item WHERE {_WANTED} AND item.id <> ALL (%(gone)s) AND {{where}}
    ORDER BY item.priority DESC, item.id LIMIT 1 FOR NO KEY UPDATE OF item SKIP LOCKED
"""  # noqa: S608 -- made of our own texts only
_URGENT = _NEXT.format(where="item.priority > %(after_priority)s")
_BEHIND = _NEXT.format(
    where="item.priority = %(after_priority)s AND item.id > %(after)s::uuid AND NOT EXISTS (SELECT FROM urgent)"
)
_REST = _NEXT.format(where="NOT EXISTS (SELECT FROM urgent) AND NOT EXISTS (SELECT FROM behind)")
_SEARCH = f"""
    WITH urgent AS ({_URGENT}), behind AS ({_BEHIND}), rest AS ({_REST})
    {_ITEM}, NULL::float AS probability {_FROM}
    WHERE item.id = (SELECT id FROM urgent UNION ALL SELECT id FROM behind UNION ALL SELECT id FROM rest)
"""  # noqa: S608
# Two models are drawn by their probability (the first of exponential waiting times), then one of their items by chance.
_DRAW = f"""
    WITH drawn AS (
        SELECT key, probability FROM annotation_matchup WHERE project_id = %(project)s AND probability > 0
        ORDER BY -ln(1 - random()) / probability LIMIT 1
    )
    {_ITEM}, drawn.probability {_FROM} JOIN drawn ON drawn.key = item.matchup
    WHERE {_WANTED} AND item.id <> ALL (%(gone)s) AND item.matchup <> ''
    ORDER BY item.spot < %(chance)s, item.spot LIMIT 1
    FOR NO KEY UPDATE OF item SKIP LOCKED
"""  # noqa: S608
_GOLD = f"""
    {_ITEM}, NULL::float AS probability {_FROM} JOIN annotation_gold AS gold ON gold.item_id = item.id
    WHERE {_NEW} AND item.purpose = 'gold' AND gold.retired_at IS NULL AND gold.training = %(training)s
    AND NOT EXISTS (
        SELECT FROM annotation_assignment AS seen
        WHERE seen.item_id = item.original_id AND seen.annotator_id = %(annotator)s
    )
    ORDER BY item.spot < %(chance)s, item.spot LIMIT 1
    FOR NO KEY UPDATE OF item SKIP LOCKED
"""
# The order is drawn here, by Postgres's strong source of chance, and the images come back in it.
_LEASE = """
    WITH leased AS (
        INSERT INTO annotation_assignment
            (id, item_id, annotator_id, state, shown_order, expires_at, draft_version, skip_reason, probability,
            created_at)
        SELECT %(id)s, item.id, %(annotator)s, 'open', ARRAY(
            SELECT link.candidate_id FROM annotation_item_candidates AS link WHERE link.item_id = item.id
            ORDER BY gen_random_uuid()
        ), %(expires_at)s, 0, '', %(probability)s, %(at)s
        FROM annotation_item AS item WHERE item.id = %(item)s AND {wanted}
        RETURNING shown_order
    )
    SELECT candidate.id, candidate.width, candidate.height
    FROM leased LEFT JOIN LATERAL unnest(leased.shown_order) WITH ORDINALITY AS shown (id, place) ON true
    LEFT JOIN images_candidate AS candidate ON candidate.id = shown.id
    ORDER BY shown.place
"""
_LEASE_WANTED = _LEASE.format(wanted=_WANTED)
_LEASE_NEW = _LEASE.format(wanted=_NEW)


class Shown(NamedTuple):
    """What an annotator is told of an image."""

    pk: UUID
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Begun:
    """Something that an annotator has begun and could finish."""

    pk: UUID
    state: str
    expires_at: datetime
    queued: bool
    """Whether it came from the queue; else somebody gave it by hand."""


def begun(desk: Desk, request: UUID | None = None) -> list[Begun]:
    """What an annotator has begun and could finish: what was returned, then leases, lapsed ones too, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGUN, _whose(desk, request))
        return [Begun(*row) for row in cursor.fetchall()]


def _whose(desk: Desk, request: UUID | None) -> dict[str, Any]:
    return {
        "project": desk.project,
        "annotator": desk.annotator,
        "audiences": desk.audiences(sent=request is not None),
        "request": request,
    }


@dataclass(frozen=True, slots=True)
class Order:
    """Which item is asked for."""

    desk: Desk
    at: datetime
    until: datetime
    """When the lease ends."""
    request: UUID | None = None

    def parameters(self, **more: Any) -> dict[str, Any]:
        """For the statements above."""
        desk = self.desk
        return {
            **_whose(desk, self.request),
            "overlap": desk.overlap,
            "declined": desk.declined,
            "at": self.at,
            "after": None if self.request else desk.after,
            "after_priority": None if self.request else desk.after_priority,
            **more,
        }


def lease_wanted(order: Order, chance: float) -> Assignment | None:
    """Lease an item that still needs somebody; None when nothing is left.

    chance: a number drawn from 0 to 1. The search locks an item without waiting, so that two who ask at the same moment
    get different ones. It looked before it locked, though, so the lease looks again, under the lock.
    """
    gone: list[UUID] = []
    searches = [_DRAW, _SEARCH] if order.desk.selection == Project.Selection.ACTIVE else [_SEARCH]
    for search in searches:
        while (item := _found(search, order.parameters(gone=gone, chance=chance))) is not None:
            if leased := _lease(_LEASE_WANTED, order, item):
                return leased
            gone.append(item.pk)
    return None


def lease_gold(order: Order, chance: float, *, training: bool) -> Assignment | None:
    """Lease gold that the annotator never had; None when there is no more."""
    item = _found(_GOLD, order.parameters(chance=chance, training=training))
    return _lease(_LEASE_NEW, order, item) if item is not None else None


def lease_item(order: Order, item: Item) -> Assignment | None:
    """Lease one item, whose prompt is at hand, if the annotator never had it."""
    return _lease(_LEASE_NEW, order, item)


def _found(search: str, parameters: dict[str, Any]) -> Item | None:
    for item in Item.objects.raw(search, parameters):
        item.prompt = Prompt(
            pk=item.prompt_id,
            text=item.prompt_text,
            negative=item.prompt_negative,
            metadata={"messages": json.loads(item.prompt_messages)} if item.prompt_messages else {},
        )
        return item
    return None


def _lease(statement: str, order: Order, item: Item) -> Assignment | None:
    assignment = Assignment(
        id=uuid7(),
        item=item,
        annotator_id=order.desk.annotator,
        expires_at=order.until,
        probability=getattr(item, "probability", None),
        created_at=order.at,
    )
    own = {"id": assignment.pk, "item": item.pk, "expires_at": order.until, "probability": assignment.probability}
    with connection.cursor() as cursor:
        cursor.execute(statement, order.parameters(**own))
        rows = cursor.fetchall()
    if not rows:
        return None
    # A text has no candidates: one row without any.
    assignment.shown = [Shown(*row) for row in rows if row[0] is not None]
    assignment.shown_order = [one.pk for one in assignment.shown]
    assignment._state.adding = False
    return assignment
