"""What each act on many items does with one: to which it applies, what it changes, and how it is taken back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest

from easel.annotation.models import Assignment, BulkAct, Item
from easel.images.models import GenerationRequest
from easel.projects.models import Project

Kind = BulkAct.Kind
State = Item.State


@dataclass(frozen=True)
class Change:
    """An act that changes columns of items."""

    applies: Q
    """The items that it changes; the others are as it would make them, or cannot be changed."""
    to: dict[str, Any] = field(default_factory=dict)
    undo: str = ""
    """SET of the UPDATE that takes it back; `was` is what the item was."""
    still: str = "true"
    """Where it is taken back: items that nobody has touched since."""


# What was made live is for the person who asked for it, and never in the queue.
_QUEUED = ~Q(audience=GenerationRequest.Audience.REQUESTER)
_COUNTS = "wants = (was ->> 'wants')::int, state = was ->> 'state'"


def change_of(act: BulkAct, project: Project) -> Change:
    """Return what an act does with an item."""
    enough = Coalesce(F("wants"), F("overlap"), project.overlap)
    if act.kind == Kind.REQUEUE:
        return Change(
            _QUEUED,
            {"state": State.READY, "wants": Greatest(enough, F("votes")) + 1},
            _COUNTS,
            "item.state = 'ready' AND item.votes = (was ->> 'votes')::int",
        )
    if act.kind == Kind.AFRESH:
        return Change(
            _QUEUED & Q(votes__gt=0),
            {"state": State.READY, "wants": None, "votes": 0, "lead": 0},
            f"{_COUNTS}, votes = (was ->> 'votes')::int, lead = (was ->> 'lead')::float",
            "item.state = 'ready' AND item.votes = 0",
        )
    if act.kind == Kind.ASIDE:
        return Change(~Q(state=State.ASIDE), {"state": State.ASIDE}, "state = was ->> 'state'", "item.state = 'aside'")
    if act.kind == Kind.FLAG:
        undo = "flagged_at = NULL"
        return Change(Q(flagged_at=None), {"flagged_at": act.created_at}, undo, "item.flagged_at IS NOT NULL")
    if act.kind == Kind.UNFLAG:
        undo = "flagged_at = (was ->> 'flagged_at')::timestamptz"
        return Change(Q(flagged_at__isnull=False), {"flagged_at": None}, undo, "item.flagged_at IS NULL")
    if act.kind == Kind.PRIORITY:
        priority = int(act.value["priority"])
        undo = "priority = (was ->> 'priority')::int"
        return Change(~Q(priority=priority), {"priority": priority}, undo, f"item.priority = {priority}")
    if act.kind == Kind.BACK:
        return Change(Q(state=State.ASIDE), {"state": State.READY}, "state = was ->> 'state'", "item.state <> 'aside'")
    if act.kind == Kind.ASSIGN:
        had = Assignment.objects.filter(annotator=act.value["annotator"]).values("item")
        still = "item.votes = (was ->> 'votes')::int"
        return Change(_QUEUED & ~Q(state=State.ASIDE) & ~Q(pk__in=had), {}, _COUNTS, still)
    inside = Q(pk__in=Item.subsets.through.objects.filter(subset=act.value["subset"]).values("item"))
    return Change(~inside if act.kind == Kind.ADD else inside)
