"""How an item stands by the annotations that count: its votes, its lead, and how many annotators it wants."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from easel.annotation.models import Item
from easel.annotation.stopping import Rule, Verdict, lead_of

# Surplus answers do not count; what went back to its annotator counts no more until it is corrected.
_SAID = """
    SELECT said.item_id, said.ranking, said.all_bad, said.ties_are_equal
    FROM annotation_annotation AS said JOIN annotation_assignment AS given ON given.id = said.assignment_id
    WHERE said.item_id = ANY (%s) AND given.state = 'submitted'
"""


@dataclass(frozen=True, slots=True)
class Count:
    """How an item stands."""

    votes: int
    lead: float
    wants: int
    state: str


def verdicts_of(items: Collection[UUID]) -> dict[UUID, list[Verdict]]:
    """What annotators said of each of these items, as far as it counts; items of which nobody did are left out."""
    found: dict[UUID, list[Verdict]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SAID, [list(items)])
        for item, ranking, all_bad, equal in cursor.fetchall():
            found.setdefault(item, []).append(Verdict(json.loads(ranking), all_bad, equal))
    return found


def verdicts_on(item: UUID) -> list[Verdict]:
    """What its annotators said of one item, as far as it counts."""
    return verdicts_of([item]).get(item, [])


def count(rule: Rule, verdicts: list[Verdict], state: str) -> Count:
    """Return how an item stands by its verdicts. What is aside stays so.

    A verdict that went back to its annotator is not among them, but its annotator takes part all the same, so that the
    item wants one less of others: `AssignmentQuerySet.taking_part`.
    """
    votes, lead = len(verdicts), lead_of(verdicts)
    wants = rule.wants(votes, lead)
    if state != Item.State.ASIDE:
        state = Item.State.DONE if votes and wants == votes else Item.State.READY
    return Count(votes, lead, wants, state)


def recount(item: Item) -> Count:
    """Count a locked item anew: after a correction, an undo, or another rule."""
    now = count(item.rule, verdicts_on(item.pk), item.state)
    Item.objects.filter(pk=item.pk).update(votes=now.votes, lead=now.lead, wants=now.wants, state=now.state)
    return now


_COUNTS = """
    UPDATE annotation_item AS item SET votes = known.votes, lead = known.lead, wants = known.wants, state = known.state
    FROM unnest(%s::uuid[], %s::int[], %s::float[], %s::int[], %s::text[]) AS known (id, votes, lead, wants, state)
    WHERE item.id = known.id
"""


def store_counts(counts: Mapping[UUID, Count]) -> None:
    """Store how many locked items stand, in one statement."""
    columns = [(pk, now.votes, now.lead, now.wants, now.state) for pk, now in counts.items()]
    if columns:
        with connection.cursor() as cursor:
            cursor.execute(_COUNTS, [list(column) for column in zip(*columns, strict=True)])
