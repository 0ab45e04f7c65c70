"""Which images of a project look the same: across its items, and within one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations
from uuid import UUID

from django.db import transaction

from easel.annotation.models import Alike, Item, Twins
from easel.images.likeness import NEAR, distance, groups_of
from easel.images.models import Candidate

PAGE = 2_000
HASHED = Candidate.Likeness.HASHED
COMPARED = Candidate.Likeness.COMPARED
Row = tuple[UUID, UUID, int]
"""A candidate, its item, and what it looks like."""


def compare_new() -> int:
    """Compare images that were hashed since the last time with all others of their project; return how many.

    Only images of items that are ranked are compared: those of gold were made of others, and of course look like them.
    """
    projects = Item.objects.to_rank().filter(candidates__likeness=HASHED).order_by().values_list("project", flat=True)
    return sum(_compare(project) for project in set(projects.distinct()))


def _compare(project: UUID) -> int:
    links = Item.candidates.through.objects.filter(item__project=project, item__purpose=Item.Purpose.RANK)
    found = links.filter(candidate__likeness__in=[HASHED, COMPARED]).order_by("candidate")
    rows = list(found.values_list("candidate", "item", "candidate__phash", "candidate__likeness"))
    fresh = [candidate for candidate, _, _, likeness in rows if likeness == HASHED]
    seen = [(candidate, item, phash) for candidate, item, phash, _ in rows if phash is not None]
    alike = _groups(seen)
    new_items = {item for _, item, _, likeness in rows if likeness == HASHED}
    twins = _twins(project, (row for row in seen if row[1] in new_items))
    with transaction.atomic():
        _store(project, alike)
        Twins.objects.bulk_create(twins, batch_size=PAGE, ignore_conflicts=True)
        for start in range(0, len(fresh), PAGE):
            Candidate.objects.filter(pk__in=fresh[start : start + PAGE]).update(likeness=COMPARED)
    return len(fresh)


def _groups(rows: list[Row]) -> dict[UUID, tuple[UUID, UUID]]:
    """The item and the group of each image that is like another."""
    firsts = groups_of([phash for _, _, phash in rows])
    sizes = Counter(firsts)
    return {
        candidate: (item, rows[first][0])
        for (candidate, item, _), first in zip(rows, firsts, strict=True)
        if sizes[first] > 1
    }


def _twins(project: UUID, rows: Iterable[Row]) -> list[Twins]:
    """The most equal two images of each item of which two look the same."""
    images: defaultdict[UUID, list[tuple[UUID, int]]] = defaultdict(list)
    for candidate, item, phash in rows:
        images[item].append((candidate, phash))
    found = []
    for item, seen in images.items():
        pairs = [(distance(one[1], other[1]), one[0], other[0]) for one, other in combinations(seen, 2)]
        if pairs and (best := min(pairs))[0] <= NEAR:
            found.append(Twins(project_id=project, item_id=item, first_id=best[1], second_id=best[2], distance=best[0]))
    return found


def _store(project: UUID, alike: Mapping[UUID, tuple[UUID, UUID]]) -> None:
    """Make the rows of a project say this, and touch only those that say something else."""
    known = dict(Alike.objects.filter(project=project).values_list("candidate", "group"))
    gone = [candidate for candidate in known if candidate not in alike]
    for start in range(0, len(gone), PAGE):
        Alike.objects.filter(pk__in=gone[start : start + PAGE]).delete()
    rows = [
        Alike(candidate_id=candidate, project_id=project, item_id=item, group=group)
        for candidate, (item, group) in alike.items()
        if known.get(candidate) != group
    ]
    Alike.objects.bulk_create(
        rows, batch_size=PAGE, update_conflicts=True, unique_fields=["candidate"], update_fields=["item", "group"]
    )
