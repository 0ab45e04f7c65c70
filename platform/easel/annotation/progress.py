"""How far people and projects have come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Aggregate, Count, Exists, FloatField, Max, OuterRef
from django.db.models.functions import TruncDate

from easel.accounts.models import User
from easel.annotation.models import Annotation, Assignment, Item, audiences_of
from easel.images.models import Candidate
from easel.projects.models import Project
from easel.prompts.models import Prompt

MANY = 10_000
"""Items: more are not counted, for nobody plans a day by them, and counting a million takes a second."""


class Median(Aggregate):
    """The median of a column (Postgres percentile_cont)."""

    function = "percentile_cont"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


@dataclass(frozen=True)
class Day:
    """An annotator's day in a project."""

    today: int
    median_ms: float | None
    """Median active time of today's annotations, milliseconds."""
    left: int
    """Items that this annotator could still be given."""


def day_of(annotator: User, project: Project, at: datetime) -> Day:
    """Return an annotator's progress since midnight."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    numbers = Annotation.objects.since(project, annotator, midnight).aggregate(n=Count("*"), median=Median("active_ms"))
    return Day(numbers["n"], numbers["median"], left_for(annotator, project))


def left_for(annotator: User, project: Project) -> int:
    """Return how many items an annotator could still be given, counted up to `MANY`."""
    mine = Assignment.objects.filter(item=OuterRef("pk"), annotator=annotator).exclude(state=Assignment.State.OPEN)
    rows = Item.objects.to_rank().filter(
        project=project, state=Item.State.READY, audience__in=audiences_of(annotator.kind)
    )
    return rows.filter(~Exists(mine))[:MANY].count()


@dataclass(frozen=True)
class Person:
    """Who ranked how much."""

    name: str
    kind: str
    annotations: int
    median_ms: float | None
    """Median active time, milliseconds."""
    last: datetime


@dataclass(frozen=True)
class Overview:
    """A project's figures."""

    prompts: int
    prompts_bare: int
    """Prompts that no image was made of; held-out ones wait for evaluations and are not counted."""
    images: int
    items: int
    items_done: int
    annotations: int
    people: Sequence[Person]
    """Most annotations first."""
    days: list[dict[str, Any]]
    """Annotations of each of the last 14 days: day, n."""

    @property
    def items_left(self) -> int:
        """Items that still need somebody."""
        return self.items - self.items_done

    @property
    def most_a_day(self) -> int:
        """The largest of the days' numbers, at least 1: the height of the chart."""
        return max([1, *(int(day["n"]) for day in self.days)])


def next_step(figures: Overview, *, live: bool, failed: bool, writes: bool = False, texts: bool = False) -> str:
    """Return what a project needs next: prompts, images, retry, rankings, export; `wait`: images are on their way.

    live: whether images are being made. Of its form: writes: annotators write the prompts, so that `write` is what it
    needs first; texts: it shows no images.
    """
    if writes and not figures.annotations:
        return "write"
    if not figures.prompts:
        return "prompts"
    if figures.items > figures.items_done:
        return "rankings"
    if writes:
        return "export"
    if texts:
        return "export" if figures.items else "wait"
    if live:
        return "wait"
    if failed:
        return "retry"
    return "export" if figures.items else "images"


def counted_people(project: Project) -> list[Person]:
    """Count who ranked how much, most first."""
    rows = Annotation.objects.collected(project).values_list("annotator")
    counted = rows.annotate(n=Count("*"), median_ms=Median("active_ms"), last=Max("created_at")).order_by("-n")
    users = User.objects.in_bulk([pk for pk, *_ in counted])
    return [Person(users[pk].display_name, users[pk].kind, *rest) for pk, *rest in counted]


def overview_of(project: Project, at: datetime, people: Sequence[Person] | None = None) -> Overview:
    """Return what the overview page shows of prompts, images and rankings.

    people: who ranked how much, where that is known already; else it is counted.
    """
    items = Item.objects.filter(project=project).counting()
    annotations = Annotation.objects.collected(project)
    people = counted_people(project) if people is None else people
    start = (at - timedelta(days=13)).replace(hour=0, minute=0, second=0, microsecond=0)
    per_day = dict(
        annotations.filter(created_at__gte=start)
        .annotate(day=TruncDate("created_at"))
        .values_list("day")
        .annotate(n=Count("*"))
    )
    days = [
        {"day": (start + timedelta(days=offset)).date(), "n": per_day.get((start + timedelta(days=offset)).date(), 0)}
        for offset in range(14)
    ]
    return Overview(
        prompts=project.prompts.count(),
        prompts_bare=Prompt.objects.for_rounds(project).bare().count(),
        images=Candidate.objects.collected().filter(request__project=project).count(),
        items=items.count(),
        items_done=items.filter(state=Item.State.DONE).count(),
        annotations=sum(person.annotations for person in people),
        people=people,
        days=days,
    )
