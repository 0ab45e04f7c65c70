"""What is counted for a project's quality, in SQL: a few rows a person come back, whatever there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, F, Max, Q, Sum
from django.db.models.functions import Coalesce, Greatest

from easel.annotation.models import Annotation, Assignment, Item
from easel.images.models import Candidate
from easel.preferences.agreement import levels, on_pairs
from easel.preferences.conduct import FAST_GRID_MS, FAST_PAIR_MS
from easel.projects.models import Project
from easel.registry.models import ModelVersion
from finetune.types import Judgement

PAGE = 500
NEWEST = 20_000
"""Items with several answers that agreement and reliability are measured on: the newest ones."""
REPEATS = 20_000
CATEGORIES = 100

# Ties are a share of the pairs that an answer compares. Usable pairs are ordered ones of answers that count.
_PEOPLE = """
    WITH answer AS (
        SELECT a.annotator_id, a.purpose, a.active_ms, a.all_bad, a.created_at, a.passed, s.state,
            cardinality(s.shown_order) AS shown, gold.training,
            CASE WHEN a.ties_are_equal AND NOT a.all_bad AND said.ranked > 1
                THEN said.tied / (said.ranked * (said.ranked - 1) / 2) END AS ties,
            CASE WHEN NOT a.all_bad AND said.ranked > 1
                THEN said.ranked * (said.ranked - 1) / 2 - said.tied ELSE 0 END AS ordered
        FROM annotation_annotation AS a
        JOIN annotation_assignment AS s ON s.id = a.assignment_id
        LEFT JOIN annotation_gold AS gold ON gold.item_id = a.item_id
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(n), 0)::float AS ranked, coalesce(sum(n * (n - 1) / 2), 0)::float AS tied
            FROM (SELECT jsonb_array_length(place) AS n FROM jsonb_array_elements(a.ranking) AS place) AS places
        ) AS said
        WHERE a.project_id = %(project)s
    )
    SELECT annotator_id, person.kind, person.username,
        count(*) FILTER (WHERE purpose = 'rank') AS annotations,
        sum(active_ms)::bigint AS active_ms,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY active_ms) FILTER (WHERE purpose = 'rank') AS median_ms,
        min(created_at) FILTER (WHERE purpose = 'rank') AS first,
        max(created_at) FILTER (WHERE purpose = 'rank') AS last,
        count(*) FILTER (WHERE purpose = 'rank' AND created_at > %(day)s) AS recent,
        count(*) FILTER (WHERE purpose = 'rank' AND created_at > %(week)s) AS week,
        count(*) FILTER (WHERE purpose = 'rank' AND shown > 1) AS timed,
        count(*) FILTER (WHERE purpose = 'rank' AND (shown = 2 AND active_ms < %(fast_pair)s
            OR shown > 2 AND active_ms < %(fast_grid)s)) AS fast,
        count(*) FILTER (WHERE purpose = 'gold' AND passed IS NOT NULL AND training IS NOT TRUE) AS gold,
        count(*) FILTER (WHERE purpose = 'gold' AND passed AND training IS NOT TRUE) AS gold_passed,
        (array_agg(passed ORDER BY created_at DESC)
            FILTER (WHERE purpose = 'gold' AND passed IS NOT NULL AND training IS NOT TRUE))[1:20] AS gold_recent,
        count(*) FILTER (WHERE purpose = 'rank' AND all_bad) AS all_bad,
        count(ties) FILTER (WHERE purpose = 'rank') AS compared,
        coalesce(avg(ties) FILTER (WHERE purpose = 'rank'), 0) AS ties,
        coalesce(var_samp(ties) FILTER (WHERE purpose = 'rank'), 0) AS ties_variance,
        coalesce(sum(ordered) FILTER (WHERE purpose = 'rank' AND state = 'submitted'), 0)::bigint AS usable_pairs
    FROM answer JOIN accounts_user AS person ON person.id = annotator_id
    GROUP BY annotator_id, person.kind, person.username
"""
_DAYS = """
    SELECT annotator_id, (created_at AT TIME ZONE 'UTC')::date AS day, count(*)
    FROM annotation_annotation
    WHERE project_id = %(project)s AND purpose = 'rank' AND created_at >= %(start)s GROUP BY 1, 2 ORDER BY 2
"""
_PLACES = """
    SELECT a.annotator_id, cardinality(s.shown_order), jsonb_array_length(a.ranking -> 0),
        array_position(s.shown_order, best.image::uuid) - 1, count(*)
    FROM annotation_annotation AS a JOIN annotation_assignment AS s ON s.id = a.assignment_id
    CROSS JOIN LATERAL jsonb_array_elements_text(a.ranking -> 0) AS best(image)
    WHERE a.project_id = %(project)s AND a.purpose = 'rank' AND jsonb_array_length(a.ranking) > 1
    GROUP BY 1, 2, 3, 4
"""


@dataclass(frozen=True)
class Person:
    """What was counted of one annotator."""

    annotator_id: UUID
    kind: str
    username: str
    annotations: int
    active_ms: int
    median_ms: float | None
    first: datetime | None
    last: datetime | None
    recent: int
    week: int
    timed: int
    fast: int
    gold: int
    gold_passed: int
    gold_recent: list[bool] | None
    """Newest first."""
    all_bad: int
    compared: int
    ties: float
    ties_variance: float
    usable_pairs: int


def people_of(project: Project, at: datetime) -> list[Person]:
    """Count what each annotator of a project did."""
    parameters = {
        "project": project.pk,
        "day": at - timedelta(days=1),
        "week": at - timedelta(days=7),
        "fast_pair": FAST_PAIR_MS,
        "fast_grid": FAST_GRID_MS,
    }
    return [Person(*row) for row in _rows(_PEOPLE, parameters)]


def days_of(project: Project, start: datetime) -> dict[UUID, dict[date, int]]:
    """Return how many annotations each annotator gave on each day since a moment."""
    found: dict[UUID, dict[date, int]] = defaultdict(dict)
    for annotator, day, count in _rows(_DAYS, {"project": project.pk, "start": start}):
        found[annotator][day] = count
    return found


def places_of(project: Project) -> dict[UUID, dict[tuple[int, int, int], int]]:
    """Return where the images were shown that each annotator ranked first: see `conduct.position_bias`."""
    found: dict[UUID, dict[tuple[int, int, int], int]] = defaultdict(dict)
    for annotator, shown, tied, place, count in _rows(_PLACES, {"project": project.pk}):
        if place is not None:
            found[annotator][shown, tied, place] = count
    return found


def _rows(sql: str, parameters: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found: list[Any] = cursor.fetchall()
        return found


def repeats_of(project: Project) -> dict[UUID, tuple[list[float], list[int]]]:
    """Return for each annotator, repeat by repeat, on which share of pairs they agree with themselves, and of how many.

    Of the newest repeats; one whose ranking compares nothing says nothing.
    """
    again = Annotation.objects.filter(
        project=project, purpose=Item.Purpose.REPEAT, item__original__annotations__annotator=F("annotator")
    ).order_by("-id")
    columns = ("ranking", "ties_are_equal", "all_bad")
    earlier = [f"item__original__annotations__{name}" for name in columns]
    found: dict[UUID, tuple[list[float], list[int]]] = defaultdict(lambda: ([], []))
    rows = again.values_list("annotator", *columns, *earlier)[:REPEATS]
    for annotator, ranking, equal, bad, first_ranking, first_equal, first_bad in rows:
        names: dict[str, int] = {}
        here = levels(_judgement("", ranking, equal, bad, names))
        there = levels(_judgement("", first_ranking, first_equal, first_bad, names))
        images, share = on_pairs(here, there)
        if images:
            found[annotator][0].append(share)
            found[annotator][1].append(images * (images - 1) // 2)
    return found


def shared_of(project: Project, kind: str) -> Iterator[tuple[date, str, list[Judgement]]]:
    """Yield the newest items that several annotators of a kind answered: day, category and what each said."""
    counting = Annotation.objects.collected(project).filter(
        annotator__kind=kind, assignment__state=Assignment.State.SUBMITTED
    )
    several = counting.order_by().values("item").annotate(n=Count("*"), newest=Max("created_at")).filter(n__gt=1)
    newest = several.order_by("-newest").values("item")[:NEWEST]
    rows = (
        counting.filter(item__in=newest)
        .order_by("item", "id")
        .values_list("item", "item__category", "created_at", "annotator", "ranking", "ties_are_equal", "all_bad")
    )
    for _, of_item in groupby(rows.iterator(chunk_size=PAGE), key=itemgetter(0)):
        said, names = list(of_item), dict[str, int]()
        judgements = [
            _judgement(str(annotator), ranking, equal, bad, names) for *_, annotator, ranking, equal, bad in said
        ]
        yield max(row[2] for row in said).date(), said[0][1], judgements


def _judgement(
    annotator: str, ranking: list[list[str]], equal: bool, all_bad: bool, names: dict[str, int]
) -> Judgement:
    """Stored answers as a judgement; not validated again, which would take half of the time."""
    groups = tuple(tuple(names.setdefault(image, len(names)) for image in group) for group in ranking)
    return Judgement.model_construct(annotator=annotator, groups=groups, ties_are_equal=equal, all_bad=all_bad)


@dataclass(frozen=True)
class Work:
    """The items of a category."""

    items: int
    done: int
    remaining: int
    """Annotations that are wanted still."""


def work_of(project: Project) -> dict[str, Work]:
    """Count the items of each category, and what they still want."""
    rows = Item.objects.filter(project=project).counting().exclude(state=Item.State.ASIDE).order_by()
    wanted = Coalesce(F("wants"), F("overlap"), project.overlap)
    counted = rows.values("category").annotate(
        n=Count("*"),
        done=Count("pk", filter=Q(state=Item.State.DONE)),
        remaining=Sum(Greatest(wanted - F("votes"), 0), filter=Q(state=Item.State.READY)),
    )
    return {row["category"]: Work(row["n"], row["done"], row["remaining"] or 0) for row in counted}


def answers_by_category(project: Project, kind: str) -> dict[str, tuple[int, int]]:
    """Return for each category how many annotations there are, and how many of them call all images bad."""
    rows = Annotation.objects.collected(project).filter(annotator__kind=kind).order_by()
    counted = rows.values("item__category").annotate(n=Count("*"), bad=Count("pk", filter=Q(all_bad=True)))
    return {row["item__category"]: (row["n"], row["bad"]) for row in counted}


def images_cost_of(project: Project) -> float | None:
    """Return what a project's images cost, by the services that made them and say so; None where none does."""
    services = list(ModelVersion.objects.filter(kind=ModelVersion.Kind.API).values_list("pk", flat=True))
    if not services:
        return None
    rows = Candidate.objects.filter(request__project=project, model__in=services)
    costs = rows.filter(manifest__cost__isnull=False).values_list("manifest__cost", flat=True)
    total, some = 0.0, False
    for cost in costs.iterator(chunk_size=2_000):
        if cost is not None:
            total, some = total + float(cost), True
    return total if some else None
