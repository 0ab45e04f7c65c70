"""Acts on many items at once: asked for, done in steps, and taken back. See models.bulk.BulkAct.

A step is a short transaction about a thousand items at most. People who rank never wait for more than that: one long
UPDATE would lock every item, and the queue, which skips what is locked, would be empty meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from easel.accounts.models import User
from easel.annotation import distribution
from easel.annotation.curate.choosing import Chosen
from easel.annotation.curate.kinds import change_of
from easel.annotation.curate.paging import count_of
from easel.annotation.curate.subsets import subset_of
from easel.annotation.models import Assignment, BulkAct, BulkActItem, Item, Subset
from easel.common.broker import send_on_commit
from easel.common.errors import Conflict, InvalidInput
from easel.common.states import move
from easel.projects.models import Membership, Project

TASK = "easel.annotation.bulk_acts"
STEP = 1_000
"""Items a transaction, and what is done at once, while the page waits."""
MAX_PRIORITY = 100
MAX_DAYS = 60
Kind = BulkAct.Kind


@dataclass(frozen=True)
class Estimate:
    """How many items an act is about, and how many it would change; paging.COUNTED + 1 says that there are more."""

    chosen: int
    changed: int


def value_of(project: Project, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check what an act needs beside its items, and return it. Raises InvalidInput with a line under its name."""
    if kind == Kind.PRIORITY:
        return {"priority": _whole(given, "priority", -MAX_PRIORITY, MAX_PRIORITY)}
    if kind in {Kind.ADD, Kind.REMOVE}:
        return {"subset": str(subset_of(project, str(given.get("subset") or "")).pk)}
    if kind == Kind.ASSIGN:
        days = _whole(given, "days", 1, MAX_DAYS)
        people = Membership.objects.rankers(project).select_related("user")
        chosen = str(given.get("annotator") or "")
        found = [one.user for one in people if chosen in {str(one.user_id), one.user.username}]
        if not found:
            _refuse("annotator", f"{chosen[:60]!r} does not rank in this project. Choose somebody of the list.")
        return {"annotator": str(found[0].pk), "days": days}
    return {}


def _whole(given: Mapping[str, Any], name: str, least: int, most: int) -> int:
    try:
        value = int(str(given.get(name, "")).strip())
    except ValueError:
        value = most + 1
    if not least <= value <= most:
        _refuse(name, f"{str(given.get(name, ''))[:40]!r} is no whole number from {least} to {most}.")
    return value


def _refuse(name: str, message: str) -> None:
    raise InvalidInput(message, fields={name: [message]})


def estimate(project: Project, kind: str, chosen: Chosen, value: Mapping[str, Any], by: User, at: datetime) -> Estimate:
    """Return how many items an act would change, without doing it."""
    rows = chosen.rows(project)
    change = change_of(_act(project, kind, value, by, at), project)
    return Estimate(count_of(rows), count_of(rows.filter(change.applies)))


def _act(project: Project, kind: str, value: Mapping[str, Any], by: User, at: datetime) -> BulkAct:
    return BulkAct(project=project, kind=kind, value=dict(value), by=by, total=0, created_at=at)


def start(project: Project, kind: str, chosen: Chosen, value: Mapping[str, Any], by: User, at: datetime) -> BulkAct:
    """Do something with many items: at once where they are few, in the background where they are many.

    The items are those of this moment: what joins the query later is left alone. Raises InvalidInput for none, and for
    more than can be given to a person by hand.
    """
    rows = chosen.rows(project)
    with transaction.atomic():
        act = _act(project, kind, value, by, at)
        act.save()
        act.total = _keep(act, rows)
        if not act.total:
            raise InvalidInput("No item of this project is among them; nothing was done.")
        if kind == Kind.ASSIGN and act.total > distribution.MAX_BY_HAND:
            raise InvalidInput(
                f"{act.total:,} items are too many to give by hand; choose {distribution.MAX_BY_HAND:,} or fewer."
            )
        act.save(update_fields=["total"])
        if act.total > STEP:
            send_on_commit(TASK)
    if act.total <= STEP:
        _step(act.pk)
        act.refresh_from_db()
    return act


def _keep(act: BulkAct, rows: QuerySet[Item]) -> int:
    """Remember the items of an act; return how many."""
    sql, params = rows.order_by().values("id").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO annotation_bulkactitem (act_id, item_id) "  # noqa: S608 -- Django wrote the query
            f"SELECT %s, chosen.id FROM ({sql}) AS chosen",
            [act.pk, *params],
        )
        return int(cursor.rowcount)


def undo(act: BulkAct) -> BulkAct:
    """Take an act back, where nobody has touched the items since. Raises IllegalTransition while it goes on."""
    with transaction.atomic():
        move(BulkAct.objects.all(), act.pk, BulkAct.State.UNDOING, BulkAct.MOVES, after=None, done=0)
        if act.total > STEP:
            send_on_commit(TASK)
    if act.total <= STEP:
        _step(act.pk)
    act.refresh_from_db()
    return act


def go_on() -> int:
    """Go on with every act that is on its way; return how many steps that took. Idempotent."""
    steps = 0
    for pk in BulkAct.objects.unfinished().values_list("pk", flat=True):
        while _step(pk):
            steps += 1
    return steps


@transaction.atomic
def _step(pk: UUID) -> bool:
    """Do the next items of an act; tell whether there may be more. Who comes while another does this is not needed."""
    rows = BulkAct.objects.unfinished().select_for_update(skip_locked=True, no_key=True, of=("self",))
    act = rows.select_related("project", "by").filter(pk=pk).first()
    if act is None:
        return False
    items = BulkActItem.objects.filter(act=act).order_by("item")
    if act.after is not None:
        items = items.filter(item__gt=act.after)
    ids = list(items.values_list("item", flat=True)[:STEP])
    changed = _do(act, ids) if act.state == BulkAct.State.GOING else -_undo(act, ids)
    now: dict[str, Any] = {"done": F("done") + len(ids), "changed": F("changed") + changed}
    if ids:
        now["after"] = ids[-1]
    if len(ids) < STEP:
        to = BulkAct.State.DONE if act.state == BulkAct.State.GOING else BulkAct.State.UNDONE
        move(BulkAct.objects.all(), act.pk, to, BulkAct.MOVES, **now)
        return False
    BulkAct.objects.filter(pk=act.pk).update(**now)
    return True


# What an item was, for the way back.
_REMEMBER = """
    UPDATE annotation_bulkactitem AS kept SET before = jsonb_build_object(
        'state', item.state, 'wants', item.wants, 'votes', item.votes, 'lead', item.lead, 'priority', item.priority,
        'flagged_at', item.flagged_at, 'assignments', (
            SELECT jsonb_agg(given.id) FROM annotation_assignment AS given
            WHERE given.item_id = item.id AND given.state = 'submitted'
        )
    )
    FROM annotation_item AS item WHERE kept.act_id = %s AND kept.item_id = item.id AND item.id = ANY (%s)
"""
_RESTORE = """
    UPDATE annotation_item AS item SET {undo}
    FROM (SELECT item_id, before AS was FROM annotation_bulkactitem WHERE act_id = %s AND item_id = ANY (%s)) AS kept
    WHERE kept.item_id = item.id AND kept.was IS NOT NULL AND {still}
    RETURNING item.id
"""
_COUNT_AGAIN = """
    UPDATE annotation_assignment SET state = 'submitted' WHERE state = 'surplus' AND id IN (
        SELECT jsonb_array_elements_text(before -> 'assignments')::uuid FROM annotation_bulkactitem
        WHERE act_id = %s AND item_id = ANY (%s) AND jsonb_typeof(before -> 'assignments') = 'array'
    )
"""


def _do(act: BulkAct, ids: Sequence[UUID]) -> int:
    change = change_of(act, act.project)
    rows = Item.objects.filter(pk__in=ids)
    # Locked in one order, so that two acts never wait for each other in a circle.
    locked = list(rows.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
    touched = list(rows.filter(change.applies, pk__in=locked).values_list("pk", flat=True).distinct())
    with connection.cursor() as cursor:
        cursor.execute(_REMEMBER, [act.pk, touched])
    found = Item.objects.filter(pk__in=touched)
    links = Item.subsets.through
    if change.to:
        found.update(**change.to)
    if act.kind == Kind.AFRESH:
        given = Assignment.objects.filter(item__in=touched, state=Assignment.State.SUBMITTED)
        given.update(state=Assignment.State.SURPLUS)
    elif act.kind == Kind.BACK:
        _done_where_enough(act.project, touched)
    elif act.kind == Kind.ASSIGN:
        annotator = User.objects.get(pk=act.value["annotator"])
        due = act.created_at + timedelta(days=act.value["days"])
        return distribution.assign(touched, annotator, act.project, act.by, act.created_at, due)
    elif act.kind == Kind.ADD:
        subset = Subset.objects.get(pk=act.value["subset"])
        links.objects.bulk_create((links(subset=subset, item_id=pk) for pk in touched), ignore_conflicts=True)
    elif act.kind == Kind.REMOVE:
        links.objects.filter(subset=act.value["subset"], item__in=touched).delete()
    return len(touched)


def _done_where_enough(project: Project, items: Sequence[UUID]) -> None:
    """Items that come back are open where they want more annotators, and done where they do not."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE annotation_item SET state = 'done' WHERE id = ANY (%s) AND votes >= coalesce(wants, overlap, %s)",
            [list(items), project.overlap],
        )


def _undo(act: BulkAct, ids: Sequence[UUID]) -> int:
    change = change_of(act, act.project)
    kept = BulkActItem.objects.filter(act=act, item__in=ids, before__isnull=False)
    links = Item.subsets.through
    if act.kind == Kind.ADD:
        mine = links.objects.filter(subset=act.value["subset"], item__in=kept.values("item"))
        return mine.delete()[0]
    if act.kind == Kind.REMOVE:
        subset = Subset.objects.filter(pk=act.value["subset"]).first()
        if subset is None:
            raise Conflict("The subset was deleted in the meantime; its items cannot be put back.")
        found = list(kept.values_list("item", flat=True))
        links.objects.bulk_create((links(subset=subset, item_id=pk) for pk in found), ignore_conflicts=True)
        return len(found)
    with connection.cursor() as cursor:
        cursor.execute(_RESTORE.format(undo=change.undo, still=change.still), [act.pk, list(ids)])
        restored = [pk for (pk,) in cursor.fetchall()]
        if act.kind == Kind.AFRESH:
            cursor.execute(_COUNT_AGAIN, [act.pk, restored])
    if act.kind == Kind.ASSIGN:
        open_ones = Assignment.objects.filter(
            item__in=ids, annotator=act.value["annotator"], assigned_by=act.by, created_at=act.created_at
        )
        return open_ones.filter(state=Assignment.State.OPEN, draft__isnull=True).update(expires_at=timezone.now())
    return len(restored)
