"""Items as Curate shows them: their images best first, and what was said of them in a few words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Q

from easel.annotation.models import Adjudication, Alike, Annotation, Assignment, Item, Twins
from easel.annotation.models.annotations import FLAGS_AN_IMAGE
from easel.images.models import Candidate


@dataclass
class Card:
    """An item with its images."""

    item: Item
    images: list[Candidate]
    """Best first by the votes that count; as they were made where there are none."""
    all_bad: int = 0
    """How many annotators found all of them bad."""
    flags: Counter[str] = field(default_factory=Counter)
    """What annotators flagged images for, and how many did."""
    twins: Twins | None = None
    """Two of its images that look the same."""
    alike: int = 0
    """How many of its images look like another one of the project."""

    @property
    def look_alike_within(self) -> bool:
        """Whether two of its images look the same."""
        return self.twins is not None

    @property
    def flagged_for(self) -> list[tuple[str, int]]:
        """What annotators flagged images for, by name."""
        return sorted(self.flags.items())


def cards_of(items: Sequence[Item]) -> list[Card]:
    """The items with all that is shown of them, in five statements however many they are."""
    pks = [item.pk for item in items]
    links = Item.candidates.through.objects.filter(item__in=pks).select_related("candidate__model")
    images: defaultdict[UUID, list[Candidate]] = defaultdict(list)
    for link in links.order_by("candidate__position", "candidate"):
        images[link.item_id].append(link.candidate)
    cards = {item.pk: Card(item, images[item.pk]) for item in items}
    orders = _orders(pks)
    for pk, card in cards.items():
        places = orders.get(pk, {})
        card.images.sort(key=lambda one: (places.get(str(one.pk), 1e9), one.position))
    _count_complaints(cards)
    for twins in Twins.objects.filter(item__in=pks):
        cards[twins.item_id].twins = twins
    for pk in Alike.objects.filter(item__in=pks).values_list("item", flat=True):
        cards[pk].alike += 1
    return list(cards.values())


def _orders(items: Sequence[UUID]) -> dict[UUID, dict[str, float]]:
    """The mean place of each image of each item, from 0 (best): an adjudication's where there is one."""
    said = Annotation.objects.filter(item__in=items, assignment__state=Assignment.State.SUBMITTED)
    rankings: defaultdict[UUID, list[list[list[str]]]] = defaultdict(list)
    for item, ranking in said.values_list("item", "ranking"):
        rankings[item].append(ranking)
    for item, ranking in Adjudication.objects.filter(item__in=items).values_list("item", "ranking"):
        rankings[item] = [ranking]
    return {item: _places(found) for item, found in rankings.items()}


def _places(rankings: Sequence[Sequence[Sequence[str]]]) -> dict[str, float]:
    places: defaultdict[str, list[float]] = defaultdict(list)
    for groups in rankings:
        before = 0
        for group in groups:
            for image in group:
                places[image].append(before + (len(group) - 1) / 2)
            before += len(group)
    return {image: sum(found) / len(found) for image, found in places.items()}


def _count_complaints(cards: dict[UUID, Card]) -> None:
    said = Annotation.objects.filter(Q(all_bad=True) | Q(FLAGS_AN_IMAGE), item__in=list(cards))
    for item, all_bad, answers in said.values_list("item", "all_bad", "answers"):
        card = cards[item]
        card.all_bad += all_bad
        card.flags.update(flags_in(answers))


def flags_in(answers: object) -> set[str]:
    """The flags that an annotation sets on images: see FLAGS_AN_IMAGE."""
    found: set[str] = set()
    by_name = answers.values() if isinstance(answers, dict) else ()
    for answer in (one for one in by_name if isinstance(one, dict)):
        for flags in answer.values():
            if isinstance(flags, list):
                found |= {flag for flag in flags if isinstance(flag, str)}
    return found
