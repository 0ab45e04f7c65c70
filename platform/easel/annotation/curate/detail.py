"""One item large, and the images that look like its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from easel.annotation.curate.cards import Card, cards_of
from easel.annotation.models import Alike, Item
from easel.images.models import Candidate

MOST_ALIKE = 24


@dataclass(frozen=True)
class Lookalikes:
    """An image of the item, and images elsewhere in the project that look the same."""

    image: Candidate
    others: list[Alike]


def detail_of(item: Item) -> dict[str, Any]:
    """What is shown of one item; everything that was said of it has a page of its own."""
    (card,) = cards_of([item])
    twins = {card.twins.first_id, card.twins.second_id} if card.twins else set()
    return {
        "item": item,
        "card": card,
        "lookalikes": _lookalikes(card),
        "twins": [one for one in card.images if one.pk in twins],
        "subsets": item.subsets.order_by("name"),
    }


def _lookalikes(card: Card) -> list[Lookalikes]:
    images = {one.pk: one for one in card.images}
    groups = dict(Alike.objects.filter(candidate__in=list(images)).values_list("group", "candidate"))
    others = Alike.objects.filter(group__in=list(groups)).exclude(item=card.item)
    found: dict[Any, list[Alike]] = {}
    for one in others.select_related("candidate__model", "item__prompt").order_by("candidate")[:MOST_ALIKE]:
        found.setdefault(one.group, []).append(one)
    return [Lookalikes(images[groups[group]], those) for group, those in found.items()]
