"""Whose turn it is in an annotator's queue: an ordinary item, gold, a repeat, or training."""

from __future__ import annotations

from datetime import datetime
from random import SystemRandom
from uuid import UUID

from django.conf import settings

from easel.annotation.desk import Desk
from easel.annotation.gold.copies import make_repeat
from easel.annotation.gold.schedule import key_of, purpose_of
from easel.annotation.gold.services import TRAINING_ITEMS
from easel.annotation.models import Assignment, Item
from easel.annotation.queue import Order, lease_gold, lease_item, lease_wanted

_CHANCE = SystemRandom()


def lease_new(desk: Desk, at: datetime, at_hand: int, request: UUID | None) -> Assignment | None:
    """Lease an item that the annotator never had; None where there is nothing for them.

    at_hand: how many items of the queue they have open. Which of an annotator's items are gold or repeats is settled by
    their number, so that a skipped one is gold again. Where there is no gold left, an ordinary item takes its place.
    """
    order, chance = Order(desk, at, at + settings.LEASE, request), _CHANCE.random()
    if desk.trains:
        # What is fetched ahead belongs to the round: after its last item comes work, or a pause.
        left = TRAINING_ITEMS - desk.training - at_hand
        return lease_gold(order, chance, training=True) if left > 0 else None
    purpose = Item.Purpose.RANK if request or desk.simulated else _purpose(desk, at_hand)
    leased = None
    if purpose == Item.Purpose.GOLD:
        leased = lease_gold(order, chance, training=False)
    elif purpose == Item.Purpose.REPEAT and (again := make_repeat(desk.project, desk.annotator, at)):
        leased = lease_item(order, again)
    return leased or lease_wanted(order, chance)


def _purpose(desk: Desk, at_hand: int) -> str:
    return purpose_of(
        desk.submitted + at_hand,
        key_of(settings.SECRET_KEY, desk.project, desk.annotator),
        desk.gold_share,
        desk.gold_share_first,
        desk.repeat_share,
    )
