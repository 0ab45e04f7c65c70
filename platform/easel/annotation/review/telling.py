"""Annotations as pages show them: images in ranked order, the other answers in words, and what was said of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

from easel.accounts.models import User
from easel.annotation.models import Annotation, Item, Record, Review, Revision
from easel.annotation.review.queue import QUICK_MS, said_of
from easel.forms.models import form_of
from easel.images.models import Candidate
from easel.projects.models import Project


@dataclass
class Said:
    """What somebody answered, at one time."""

    groups: list[list[Candidate]]
    """Best first."""
    unranked: list[Candidate]
    words: list[tuple[str, str]]
    """The other answers: label and words."""
    all_bad: bool


@dataclass
class Told:
    """An annotation with all that a reviewer looks at."""

    annotation: Annotation
    now: Said
    former: list[tuple[Revision, Said]] = field(default_factory=list)
    """What it said before, the first answer first."""
    reviews: list[Review] = field(default_factory=list)

    @property
    def quick(self) -> bool:
        """Whether it was very quick."""
        return self.annotation.active_ms < QUICK_MS * len(self.annotation.assignment.shown_order)


def tell(annotations: Sequence[Annotation]) -> list[Told]:
    """Return annotations with their pictures, revisions and reviews, in four queries."""
    images = Candidate.objects.in_bulk({pk for one in annotations for pk in one.assignment.shown_order})
    reviews: dict[UUID, list[Review]] = defaultdict(list)
    for review in Review.objects.of(annotations):
        reviews[review.annotation_id].append(review)
    revisions: dict[UUID, list[Revision]] = defaultdict(list)
    corrected = [one.pk for one in annotations if one.revision]
    for revision in Revision.objects.filter(annotation__in=corrected).select_related("author").order_by("number"):
        revisions[revision.annotation_id].append(revision)
    return [
        Told(
            one,
            _said(one, one, images),
            [(revision, _said(one, revision, images)) for revision in revisions[one.pk]],
            reviews[one.pk],
        )
        for one in annotations
    ]


def _said(annotation: Annotation, said: Annotation | Revision, images: dict[UUID, Candidate]) -> Said:
    shown = [pk for pk in annotation.assignment.shown_order if pk in images]
    ranked = {one for group in said.ranking for one in group}
    letters = {str(pk): chr(65 + at) for at, pk in enumerate(annotation.assignment.shown_order)}
    item = annotation.item
    return Said(
        groups=_groups(said.ranking, images),
        unranked=[images[pk] for pk in shown if str(pk) not in ranked],
        words=form_of(item.template_version_id).words(said.answers, letters, item.prompt.text),
        all_bad=said.all_bad,
    )


def _groups(ranking: list[list[str]], images: dict[UUID, Candidate]) -> list[list[Candidate]]:
    return [[images[UUID(one)] for one in group if UUID(one) in images] for group in ranking]


def gold_of(project: Project, annotator: User) -> tuple[int, int] | None:
    """How many gold items an annotator passed, and of how many; None where there were none."""
    record = Record.objects.filter(project=project, annotator=annotator).first()
    return (record.gold_passed, record.gold) if record and record.gold else None


@dataclass
class Answer:
    """What one annotator or several said of a disputed item."""

    said: Said
    annotations: list[Annotation]

    @property
    def first(self) -> Annotation:
        """The one that stands for them all."""
        return self.annotations[0]


@dataclass
class Dispute:
    """An item whose annotators disagree, with their different answers in an order that tells nothing."""

    item: Item
    answers: list[Answer]
    own: bool
    """Whether the reviewer is one of them."""

    @property
    def disagreement(self) -> float:
        """How far they are from being of one mind, 0 to 1."""
        return 1 - self.item.lead / self.item.votes if self.item.votes else 0.0


def disputes(items: list[Item], by: User) -> list[Dispute]:
    """Return items with the different answers that were given to them; equal ones are told once."""
    given: dict[UUID, list[Annotation]] = defaultdict(list)
    for one in said_of(items):
        given[one.item_id].append(one)
    by_pk = {item.pk: item for item in items}
    for pk, of_item in given.items():
        for one in of_item:
            one.item = by_pk[pk]
    told = {one.annotation.pk: one.now for one in tell([one for answers in given.values() for one in answers])}
    found = []
    for item in items:
        alike: dict[Any, list[Annotation]] = defaultdict(list)
        for one in given[item.pk]:
            alike[_key(one)].append(one)
        answers = [Answer(told[same[0].pk], same) for same in alike.values()]
        answers.sort(key=lambda answer: _shuffled(item.pk, answer.first.pk))
        found.append(Dispute(item, answers, any(one.annotator_id == by.pk for one in given[item.pk])))
    return found


def decision_of(item: Item) -> dict[str, Any] | None:
    """The last word on an item, with its images in order; None where nobody has decided it."""
    adjudication = getattr(item, "adjudication", None)
    if adjudication is None:
        return None
    images = {one.pk: one for one in item.candidates.all()}
    ranked = {UUID(one) for group in adjudication.ranking for one in group}
    unranked = [one for pk, one in images.items() if pk not in ranked]
    said = Said(_groups(adjudication.ranking, images), unranked, [], adjudication.all_bad)
    return {"adjudication": adjudication, "said": said}


def _key(annotation: Annotation) -> Any:
    return (annotation.all_bad, annotation.ties_are_equal, str([sorted(group) for group in annotation.ranking]))


def order_for_adjudicator(item: Item) -> list[UUID]:
    """The images of an item in an order that tells nothing of who made them, the same at every look."""
    return sorted(item.candidates.values_list("pk", flat=True), key=lambda pk: _shuffled(item.pk, pk))


def _shuffled(item: UUID, annotation: UUID) -> bytes:
    return sha256(item.bytes + annotation.bytes).digest()


def people_of(answers: Iterable[Answer]) -> list[str]:
    """The names of those who said something."""
    return [one.annotator.display_name for answer in answers for one in answer.annotations]
