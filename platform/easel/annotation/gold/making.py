"""Gold is made: by hand from an item, of an annotation, of what everybody agreed on; it is used and retired."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from easel.accounts.models import User
from easel.annotation.gold.copies import copy_of
from easel.annotation.gold.scoring import fault_of
from easel.annotation.models import Annotation, Assignment, Gold, Item
from easel.common.errors import Conflict, InvalidInput
from easel.forms.models import form_of
from easel.images.browsing import containing
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project

UNANIMOUS = 3
"""Annotators who must agree."""
SCANNED = 2_000
"""Items that one page of proposals looks through."""
MAX_NOTE = 500
LEAST_TRAINING = 10
"""Training items without which a round cannot be held."""


def answer_of(ranking: Sequence[Sequence[str]], *, all_bad: bool | None = None) -> dict[str, Any]:
    """Return the known answer that a ranking is: every image before all on later places; ties and absent ones open."""
    pairs = [
        [better, worse]
        for place, group in enumerate(ranking)
        for better in group
        for later in ranking[place + 1 :]
        for worse in later
    ]
    return {"pairs": pairs, "all_bad": all_bad}


@transaction.atomic
def make(
    item: Item,
    answer: Mapping[str, Any],
    by: User | None,
    at: datetime,
    *,
    source: str = Gold.Source.HAND,
    note: str = "",
    training: bool = False,
    candidates: Sequence[UUID] | None = None,
    looked_at: bool = True,
) -> Gold:
    """Make gold of an item: a copy of it whose right answer is known. The item itself stays as it is.

    candidates: the copy's images where they are not the item's. looked_at: whether somebody has seen it; else it waits
    for that. Raises InvalidInput for an answer that is none, and for an item that cannot measure anybody.
    """
    refuse_item(item)
    shown = list(item.candidates.order_by("pk").values_list("pk", flat=True)) if candidates is None else candidates
    if fault := fault_of(answer, [str(pk) for pk in shown]):
        raise InvalidInput(fault, fields={"answer": [fault]})
    copy = copy_of(item, Item.Purpose.GOLD, shown, at)
    return Gold.objects.create(
        item=copy,
        project_id=item.project_id,
        source=source,
        answer={"pairs": answer["pairs"], "all_bad": answer.get("all_bad")},
        note=checked_note(note),
        training=training,
        made_by=by,
        created_at=at,
        retired_at=None if looked_at else at,
    )


def refuse_item(item: Item) -> None:
    """Raise InvalidInput for an item that cannot become gold."""
    problem = ""
    if item.purpose != Item.Purpose.RANK:
        problem = "This item measures annotators already. Choose an ordinary one."
    elif item.audience == GenerationRequest.Audience.REQUESTER:
        problem = "This item was made live for one person, and nobody else may see it. Choose another one."
    elif not form_of(item.template_version_id).orders:
        problem = "The form of this item orders no images, so no answer to it can be compared with a known one."
    elif item.candidates.count() < 2:
        problem = "An item of fewer than two images has no order that could be known."
    if problem:
        raise InvalidInput(problem, fields={"item": [problem]})


def checked_note(note: str) -> str:
    """Return a note without needless space. Raises InvalidInput for one that is too long."""
    note = " ".join(note.split())
    if len(note) > MAX_NOTE:
        problem = f"The note has {len(note)} characters; it may have {MAX_NOTE}."
        raise InvalidInput(problem, fields={"note": [problem]})
    return note


@transaction.atomic
def make_of_annotation(
    annotation: Annotation, by: User, at: datetime, *, note: str = "", training: bool = False
) -> Gold:
    """Make gold of an annotation: what it says is the known answer. Raises InvalidInput where it says nothing."""
    answer = answer_of(annotation.ranking, all_bad=True if annotation.all_bad else None)
    return make(annotation.item, answer, by, at, note=note, training=training)


def choosable(project: Project, words: str) -> QuerySet[Item]:
    """Items of a project that gold can be made of by hand, newest first; every word must stand in their prompt."""
    rows = Item.objects.to_rank().filter(project=project, request__isnull=False)
    rows = rows.exclude(audience=GenerationRequest.Audience.REQUESTER)
    found: QuerySet[Item] = containing(rows, "prompt__text", words)
    return found.select_related("prompt").prefetch_related("candidates").order_by("-pk")


@transaction.atomic
def retire(gold: Gold, at: datetime) -> None:
    """Give gold to nobody any more. Raises Conflict where a training round could not be held without it."""
    _keep_rounds(gold.project, Gold.objects.for_training().filter(project=gold.project, pk=gold.pk).count())
    Gold.objects.in_use().filter(pk=gold.pk).update(retired_at=at)


def use(project: Project, golds: Collection[UUID]) -> int:
    """Have gold used: what waited to be looked at, or was retired. Return how many."""
    return Gold.objects.filter(project=project, pk__in=golds).exclude(retired_at=None).update(retired_at=None)


@transaction.atomic
def change(gold: Gold, *, note: str | None = None, training: bool | None = None) -> None:
    """Change a note, or what gold is for. Raises Conflict where a training round could not be held without it."""
    changes: dict[str, Any] = {}
    if note is not None:
        changes["note"] = checked_note(note)
    if training is not None and training != gold.training:
        if not training and gold.retired_at is None:
            _keep_rounds(gold.project, 1)
        changes["training"] = training
    if changes:
        Gold.objects.filter(pk=gold.pk).update(**changes)


def _keep_rounds(project: Project, fewer: int) -> None:
    """Raise Conflict where a project whose annotators are trained would have too few training items left."""
    required = Project.objects.select_for_update(no_key=True).filter(pk=project.pk, training_required=True).exists()
    left = Gold.objects.for_training().filter(project=project).count() - fewer
    if required and fewer and left < LEAST_TRAINING:
        raise Conflict(
            f"Training needs {LEAST_TRAINING} items, and {left} would be left. Make another training item first, or "
            "switch training off."
        )


@transaction.atomic
def discard(project: Project, items: Collection[UUID]) -> int:
    """Delete gold that waits to be looked at, with the images that were made for it; return how many."""
    waiting = Gold.objects.waiting().filter(project=project, pk__in=items)
    found = list(waiting.values_list("pk", flat=True))
    spoilt = Candidate.objects.filter(items__in=found, request__kind=GenerationRequest.Kind.GOLD)
    pictures = list(spoilt.values_list("pk", flat=True))
    Item.objects.filter(pk__in=found, purpose=Item.Purpose.GOLD).delete()
    Candidate.objects.filter(pk__in=pictures).delete()
    return len(found)


@dataclass(frozen=True)
class Proposal:
    """An item that everybody answered alike, at least at one end."""

    item: Item
    answer: dict[str, Any]
    people: int


def proposals(project: Project, after: UUID | None, size: int) -> tuple[list[Proposal], UUID | None]:
    """Return items that could be gold because everybody agrees on their best or their worst image, and where the next
    ones begin (None at the end).
    """
    found: list[Proposal] = []
    scanned = 0
    while scanned < SCANNED:
        rows = _agreeable(project)
        if after is not None:
            rows = rows.filter(pk__lt=after)
        some = list(rows.select_related("prompt").prefetch_related("candidates").order_by("-pk")[:200])
        if not some:
            return found, None
        said = _said_of([one.pk for one in some])
        for item in some:
            after = item.pk
            scanned += 1
            if answer := common_answer(said.get(item.pk, []), [str(one.pk) for one in item.candidates.all()]):
                found.append(Proposal(item, answer, len(said[item.pk])))
                if len(found) == size:
                    return found, after
    return found, after


def _agreeable(project: Project) -> QuerySet[Item]:
    """Items of a project that enough people ranked and that no gold was made of."""
    made = Item.objects.filter(original=OuterRef("pk"), purpose=Item.Purpose.GOLD)
    rows = Item.objects.to_rank().filter(~Exists(made), project=project, votes__gte=UNANIMOUS, request__isnull=False)
    return rows.exclude(audience=GenerationRequest.Audience.REQUESTER)


Said = tuple[list[list[str]], bool]


def _said_of(items: Collection[UUID]) -> dict[UUID, list[Said]]:
    found: dict[UUID, list[Said]] = {}
    rows = Annotation.objects.filter(
        item__in=items, assignment__state=Assignment.State.SUBMITTED, annotator__kind=User.Kind.HUMAN
    )
    for item, ranking, all_bad in rows.values_list("item", "ranking", "all_bad"):
        found.setdefault(item, []).append((ranking, all_bad))
    return found


def common_answer(said: Sequence[Said], images: Collection[str]) -> dict[str, Any] | None:
    """Return what three people or more all say of the best and the worst of these images, or that all are bad.

    An end counts where everybody puts the same one image there, alone, and has ranked all the others.
    """
    if len(said) < UNANIMOUS or len(images) < 2:
        return None
    if all(all_bad for _, all_bad in said):
        return {"pairs": [], "all_bad": True}
    if any(all_bad for _, all_bad in said):
        return None
    if any({one for group in ranking for one in group} != set(images) or len(ranking) < 2 for ranking, _ in said):
        return None
    best = {tuple(ranking[0]) for ranking, _ in said}
    worst = {tuple(ranking[-1]) for ranking, _ in said}
    ends = []
    for end, last in ((best, False), (worst, True)):
        if len(end) == 1 and len(group := next(iter(end))) == 1:
            ends += [[other, group[0]] if last else [group[0], other] for other in sorted(images) if other != group[0]]
    pairs = [list(pair) for pair in dict.fromkeys(map(tuple, ends))]
    return {"pairs": pairs, "all_bad": None} if pairs else None


@transaction.atomic
def accept(project: Project, items: Collection[UUID], by: User, at: datetime, *, training: bool = False) -> list[Gold]:
    """Make gold of items that everybody answered alike; what no longer is so, or was accepted before, is left out."""
    rows = _agreeable(project).filter(pk__in=items).select_for_update(no_key=True, of=("self",))
    found = list(rows.prefetch_related("candidates"))
    said = _said_of([one.pk for one in found])
    made = []
    for item in found:
        answer = common_answer(said.get(item.pk, []), [str(one.pk) for one in item.candidates.all()])
        if answer and form_of(item.template_version_id).orders:
            note = f"All {len(said[item.pk])} annotators answered so."
            made.append(make(item, answer, by, at, source=Gold.Source.UNANIMOUS, note=note, training=training))
    return made
