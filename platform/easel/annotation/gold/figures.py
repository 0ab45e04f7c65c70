"""How gold does: how often it is answered as expected, and which of it may itself be wrong."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, F, FloatField, Q
from django.db.models.functions import Cast

from easel.annotation.models import Annotation, Gold, Item, Record
from easel.projects.models import Project

GOOD = 0.8
"""The share of gold that a good annotator answers as expected, of at least `SEEN` gold items."""
SEEN = 6
LEAST_GOOD = 3
"""Good annotators who must have answered before gold is doubted."""


@dataclass(frozen=True)
class Rate:
    """How often gold was answered, and as expected."""

    scored: int = 0
    passed: int = 0
    good: int = 0
    """Answers of good annotators."""
    good_passed: int = 0

    @property
    def share(self) -> float | None:
        """Of the answers that could be scored."""
        return self.passed / self.scored if self.scored else None

    @property
    def doubtful(self) -> bool:
        """Whether most good annotators answer otherwise: the gold may be wrong, not they."""
        return self.good >= LEAST_GOOD and 2 * self.good_passed < self.good


def rates_of(project: Project, golds: Collection[UUID]) -> dict[UUID, Rate]:
    """Return how gold of a project does, by its item; what nobody has answered yet is absent."""
    good = Q(annotator__in=list(_good_annotators(project)))
    rows = Annotation.objects.filter(item__in=golds, passed__isnull=False).order_by().values("item")
    counted = rows.annotate(
        scored=Count("*"),
        passed_=Count("pk", filter=Q(passed=True)),
        good=Count("pk", filter=good),
        good_passed=Count("pk", filter=good & Q(passed=True)),
    )
    return {row["item"]: Rate(row["scored"], row["passed_"], row["good"], row["good_passed"]) for row in counted}


def doubtful(project: Project) -> list[UUID]:
    """Return gold in use that most good annotators answer otherwise."""
    rates = rates_of(project, list(Gold.objects.in_use().filter(project=project).values_list("pk", flat=True)))
    return [pk for pk, rate in rates.items() if rate.doubtful]


def _good_annotators(project: Project) -> list[UUID]:
    share = Cast("gold_passed", FloatField()) / F("gold")
    found = Record.objects.filter(project=project, gold__gte=SEEN).annotate(share=share).filter(share__gte=GOOD)
    return list(found.values_list("annotator", flat=True))


@dataclass(frozen=True)
class Counts:
    """How much gold there is, by where it stands."""

    in_use: int
    training: int
    """In use, for training rounds."""
    waiting: int
    retired: int


def counts_of(project: Project) -> Counts:
    """Count a project's gold."""
    is_waiting = Q(retired_at=F("created_at"))
    rows = Gold.objects.filter(project=project).aggregate(
        in_use=Count("pk", filter=Q(retired_at=None, training=False)),
        training=Count("pk", filter=Q(retired_at=None, training=True)),
        waiting=Count("pk", filter=is_waiting),
        retired=Count("pk", filter=~is_waiting & Q(retired_at__isnull=False)),
    )
    return Counts(**rows)


def answered_most(project: Project) -> int:
    """Return how much gold in use the annotator who had most of it has had: what is left for them runs out first."""
    golds = Gold.objects.in_use().filter(project=project, training=False)
    rows = Annotation.objects.filter(item__in=golds.values("pk"), purpose=Item.Purpose.GOLD).order_by()
    counted = rows.values("annotator").annotate(n=Count("*")).order_by("-n").values_list("n", flat=True)
    return counted.first() or 0
