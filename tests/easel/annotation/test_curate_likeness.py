"""Images that look the same are found across a project's items, and within one."""

from __future__ import annotations

from easel.annotation.curate import likeness
from easel.annotation.curate.filters import Filters, items_of
from easel.annotation.models import Alike, Item, Twins
from easel.images.models import Candidate

from tests.cast import Cast, make_items

FAR = [0, 0x0F0F0F0F0F0F0F0F, 0x00FF00FF00FF00FF, 0x3333333333333333, 0x5555555555555555, -1]


def hashed(items: list[Item], hashes: list[list[int]]) -> None:
    """Say what the images of items look like."""
    for item, those in zip(items, hashes, strict=True):
        for candidate, phash in zip(item.candidates.order_by("position"), those, strict=True):
            Candidate.objects.filter(pk=candidate.pk).update(phash=phash, likeness=Candidate.Likeness.HASHED)


def test_items_with_images_that_look_the_same_are_found(cast: Cast) -> None:
    first, second, third = make_items(cast, 3, images=2)
    hashed([first, second, third], [[FAR[0], FAR[1]], [FAR[2], FAR[0] ^ 0b111], [FAR[3], FAR[3] ^ 1]])
    assert likeness.compare_new() == 6
    assert set(items_of(cast.project, Filters(near="any"))) == {first, second, third}
    assert list(items_of(cast.project, Filters(near="inside"))) == [third]
    groups = dict(Alike.objects.filter(item__in=[first, second]).values_list("item", "group"))
    assert groups[first.pk] == groups[second.pk]
    twins = Twins.objects.get()
    assert (twins.item, twins.distance) == (third, 1)
    assert likeness.compare_new() == 0


def test_new_images_are_compared_with_old_ones_and_groups_grow_together(cast: Cast) -> None:
    one, two = make_items(cast, 2, images=2)
    hashed([one, two], [[0, FAR[1]], [0b11111111, FAR[2]]])
    likeness.compare_new()
    assert not Alike.objects.exists()
    (between,) = make_items(cast, 1, images=2)
    hashed([between], [[0b1111, FAR[4]]])  # near to both, which are not near to each other
    assert likeness.compare_new() == 2
    assert set(Alike.objects.values_list("item", flat=True)) == {one.pk, two.pk, between.pk}
    assert Alike.objects.values("group").distinct().count() == 1


def test_gold_and_other_projects_are_not_compared(cast: Cast) -> None:
    one, gold = make_items(cast, 2, images=2)
    (foreign,) = make_items(cast, 1, images=2, project=cast.foreign)
    Item.objects.filter(pk=gold.pk).update(purpose=Item.Purpose.GOLD)
    hashed([one, gold, foreign], [[0, FAR[1]], [0, FAR[1]], [0, FAR[1]]])
    likeness.compare_new()
    assert not Alike.objects.exists()
    assert not Twins.objects.exists()
