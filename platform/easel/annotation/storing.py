"""Storing a submission: the assignment's move, the annotation, the item's count and the annotator's, in one statement.

It stands on the path of every submission. One exchange with Postgres in place of four is what makes room there.
"""

from __future__ import annotations

import json
from typing import Any

from django.db import connection

from easel.annotation.counting import Count
from easel.annotation.models import Annotation, Assignment, Item
from easel.common.errors import IllegalTransition
from easel.common.ids import uuid7

# Behind the one that was answered furthest on: of a lower priority, or of the same and made later.
_FURTHER = """
    excluded.after IS NOT NULL AND (
        record.after IS NULL OR excluded.after_priority < record.after_priority
        OR (excluded.after_priority = record.after_priority AND excluded.after > record.after)
    )
"""
# All parts see the same snapshot; who is first to move the assignment has the others wait, and finds it moved.
_STORE = f"""
    WITH moved AS (
        UPDATE annotation_assignment SET state = %(to)s, draft = NULL
        WHERE id = %(assignment)s AND state = ANY (%(from)s) RETURNING id
    ), counted AS (
        UPDATE annotation_item SET votes = %(votes)s, lead = %(lead)s, wants = %(wants)s, state = %(item_state)s
        WHERE id = %(item)s AND %(counts)s AND EXISTS (SELECT FROM moved)
    ), said AS (
        INSERT INTO annotation_annotation (
            id, assignment_id, project_id, item_id, annotator_id, answers, ranking, ties_are_equal, all_bad, active_ms,
            body_hash, purpose, review_state, revision, created_at
        )
        SELECT %(id)s, %(assignment)s, %(project)s, %(item)s, %(annotator)s, %(answers)s::jsonb, %(ranking)s::jsonb,
            %(ties_are_equal)s, %(all_bad)s, %(active_ms)s, %(body_hash)s, %(purpose)s, %(review_state)s, 0, %(at)s
        FROM moved
    )
    INSERT INTO annotation_record AS record
        (id, project_id, annotator_id, submitted, day, submitted_on_day, after, after_priority)
    SELECT %(record)s, %(project)s, %(annotator)s, %(more)s, %(day)s, %(more)s, %(after)s, %(after_priority)s FROM moved
    ON CONFLICT (project_id, annotator_id) DO UPDATE SET
        submitted = record.submitted + %(more)s,
        submitted_on_day = CASE WHEN record.day = %(day)s THEN record.submitted_on_day ELSE 0 END + %(more)s,
        day = %(day)s,
        after = CASE WHEN {_FURTHER} THEN excluded.after ELSE record.after END,
        after_priority = CASE WHEN {_FURTHER} THEN excluded.after_priority ELSE record.after_priority END
    RETURNING record.submitted, record.day, record.submitted_on_day, record.after, record.after_priority
"""  # noqa: S608 -- made of our own texts only


def store(assignment: Assignment, annotation: Annotation, to: str, now: Count | None) -> None:
    """Store an annotation, and bring the assignment's desk up to date.

    to: the assignment's new state. now: how the item stands with it; None where it does not count. Raises
    IllegalTransition where somebody was first.
    """
    off_the_queue = annotation.purpose == Item.Purpose.RANK and assignment.assigned_by_id is None
    parameters: dict[str, Any] = {
        "to": to,
        "assignment": assignment.pk,
        "from": list(Assignment.MOVES[to] - {Assignment.State.RETURNED}),
        "counts": now is not None,
        "votes": now.votes if now else 0,
        "lead": now.lead if now else 0.0,
        "wants": now.wants if now else None,
        "item_state": now.state if now else "",
        "id": annotation.pk,
        "project": annotation.project_id,
        "item": annotation.item_id,
        "annotator": annotation.annotator_id,
        "answers": json.dumps(annotation.answers),
        "ranking": json.dumps(annotation.ranking),
        "ties_are_equal": annotation.ties_are_equal,
        "all_bad": annotation.all_bad,
        "active_ms": annotation.active_ms,
        "body_hash": annotation.body_hash,
        "purpose": annotation.purpose,
        "review_state": annotation.review_state,
        "at": annotation.created_at,
        "record": uuid7(),
        "more": 0 if assignment.in_training else 1,
        "day": annotation.created_at.date(),
        "after": annotation.item_id if off_the_queue else None,
        "after_priority": assignment.item.priority if off_the_queue else None,
    }
    with connection.cursor() as cursor:
        cursor.execute(_STORE, parameters)
        row = cursor.fetchone()
    if row is None:
        raise IllegalTransition("This item can no longer be submitted: it changed in the meantime. Load it again.")
    names = ("submitted", "day", "submitted_on_day", "after", "after_priority")
    assignment.desk = assignment.desk.with_counts(**dict(zip(names, row, strict=True)))
    annotation._state.adding = False
