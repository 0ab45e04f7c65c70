"""Items made of other items, to measure annotators: for an annotator they are items like all others."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from random import SystemRandom
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from easel.annotation.models import Annotation, Assignment, Item
from easel.common.ids import uuid7_of
from easel.images.models import GenerationRequest

EVERYBODY = 32_767
"""The overlap of copies: they never have enough answers, so no answer to one is surplus."""
REST = 20
"""Items between an item and its repeat, at least."""
CHOICE = 500
"""Items of an annotator among which the next repeat is drawn."""
_CHANCE = SystemRandom()


def copy_of(item: Item, purpose: str, candidates: Iterable[UUID], at: datetime) -> Item:
    """Make a copy of an item for a purpose, with these images.

    Its id is of the original's moment: were it of this one, the ids that annotators get would tell copies apart.
    """
    copy = Item.objects.create(
        id=uuid7_of(moment_of(item.pk)),
        project_id=item.project_id,
        prompt_id=item.prompt_id,
        request_id=item.request_id,
        template_version_id=item.template_version_id,
        group=item.group,
        audience=item.audience,
        purpose=purpose,
        original=item,
        overlap=EVERYBODY,
        category=item.category,
        flagged_at=item.flagged_at,
        created_at=at,
    )
    Item.candidates.through.objects.bulk_create(
        Item.candidates.through(item_id=copy.pk, candidate_id=candidate) for candidate in candidates
    )
    return copy


def moment_of(pk: UUID) -> datetime:
    """Return the moment that a time-ordered id names: the middle of its millisecond, so that rounding keeps it."""
    return datetime.fromtimestamp(((pk.int >> 80) + 0.5) / 1_000, UTC)


@transaction.atomic
def make_repeat(project: UUID, annotator: UUID, at: datetime) -> Item | None:
    """Make a copy of an item that an annotator ranked some time ago, to be ranked again; None where there is none yet.

    Each item is repeated once for each annotator.
    """
    own = Annotation.objects.filter(project=project, annotator=annotator)
    last = own.order_by("-created_at").values_list("created_at", flat=True)[REST - 1 : REST].first()
    if last is None:
        return None
    repeated = Assignment.objects.filter(
        annotator=annotator, item__purpose=Item.Purpose.REPEAT, item__original=OuterRef("item")
    )
    eligible = own.filter(
        ~Exists(repeated),
        created_at__lte=last,
        purpose=Item.Purpose.RANK,
        assignment__state=Assignment.State.SUBMITTED,
    ).exclude(item__audience=GenerationRequest.Audience.REQUESTER)
    eligible = eligible.exclude(item__state=Item.State.ASIDE)
    items = list(eligible.order_by("-created_at").values_list("item", flat=True)[:CHOICE])
    if not items:
        return None
    original = Item.objects.get(pk=_CHANCE.choice(items))
    copy = copy_of(original, Item.Purpose.REPEAT, original.candidates.values_list("pk", flat=True), at)
    return Item.objects.select_related("prompt__conditioning", "request__conditioning").get(pk=copy.pk)
