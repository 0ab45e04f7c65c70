"""Measuring a project's quality: by the clock, where there is something new, and never for long.

What is counted is counted by Postgres over everything; agreement and reliability are measured on the newest 20,000
items that several people answered. A project that takes t seconds to measure rests for 20 t, so that measuring takes
at most a twentieth of a worker whatever the project's size.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.db.models import OuterRef, Subquery

from easel.accounts.models import User
from easel.annotation.models import Annotation, Item
from easel.preferences.figures import AnnotatorFigures, Category, Flag, ProjectFigures, Share
from easel.preferences.models import AnnotatorQuality, ProjectQuality, QualityDay
from easel.projects.models import Project
from easel.projects.notices import notify

if TYPE_CHECKING:  # they need numpy, which web processes do without
    from easel.preferences.counts import Person
    from easel.preferences.together import Together

DAYS = 60
"""Days of which the numbers of each are kept."""
ANEW = timedelta(hours=1)
"""After so long a project that was worked on lately is measured anew: days pass, and answers are corrected."""
LATELY = timedelta(days=8)
TELLING = {"position", "consistency", "agreement"}
"""Flags that admins are told of by themselves; gold has notices of its own, and habits are none."""
LEAST_SHARED = 30
"""Items with several answers below which a low agreement is no alarm."""


def measure_due(at: datetime) -> int:
    """Measure every project in which something is new since its last measurement; return how many were."""
    newest = Annotation.objects.filter(project=OuterRef("pk"), purpose=Item.Purpose.RANK).order_by("-id")
    rows = Project.objects.annotate(
        newest_pk=Subquery(newest.values("pk")[:1]), newest_at=Subquery(newest.values("created_at")[:1])
    ).select_related("quality")
    due = [
        project
        for project in rows.filter(newest_pk__isnull=False).order_by("pk")
        if _is_due(_stored_of(project), project.newest_pk, project.newest_at, at)  # type: ignore[attr-defined]
    ]
    return sum(measure(project, at) for project in due)


@transaction.atomic
def measure(project: Project, at: datetime, *, anyway: bool = False) -> bool:
    """Measure a project where it is due, and tell its admins of alarms that begin; return whether it was.

    Of two who try at the same moment one does it. anyway: also where nothing is new.
    """
    ProjectQuality.objects.get_or_create(project=project)
    stored = ProjectQuality.objects.select_for_update(skip_locked=True, no_key=True).filter(project=project).first()
    rows = Annotation.objects.collected(project).order_by("-id")
    newest, newest_at = rows.values_list("pk", "created_at").first() or (None, None)
    if stored is None or not (anyway or _is_due(stored, newest, newest_at, at)):
        return False
    began = time.monotonic()
    _measure(project, stored, at)
    stored.measured_at, stored.watermark = at, newest
    stored.seconds = round(time.monotonic() - began, 3)
    stored.save()
    return True


def _stored_of(project: Project) -> ProjectQuality | None:
    try:
        return project.quality
    except ProjectQuality.DoesNotExist:
        return None


def _is_due(stored: ProjectQuality | None, newest: UUID | None, newest_at: datetime | None, at: datetime) -> bool:
    if stored is None or stored.measured_at is None:
        return newest is not None
    since = at - stored.measured_at
    if since < timedelta(seconds=stored.rest):
        return False
    return newest != stored.watermark or (since >= ANEW and newest_at is not None and at - newest_at < LATELY)


def _measure(project: Project, stored: ProjectQuality, at: datetime) -> None:
    from easel.preferences import counts
    from easel.preferences.together import Together

    people = counts.people_of(project, at)
    start = (at - timedelta(days=DAYS - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    counted = _Counted(people, counts.days_of(project, start), counts.places_of(project), counts.repeats_of(project))
    kinds = [kind for kind in User.Kind.values if any(one.kind == kind and one.annotations for one in people)]
    headline = kinds[0] if kinds else User.Kind.HUMAN.value  # human comes first
    for kind in kinds or [headline]:
        together, reached = Together(), False
        for day, category, judgements in counts.shared_of(project, kind):
            together.take(day, category, judgements)
        reached = together.items >= counts.NEWEST
        _keep_days(project, kind, together, at, partial=reached)
        _keep_people(project, kind, counted, together, at)
        if kind == headline:
            found = _project_figures(project, kind, counted, together)
            stored.figures = found.model_dump(mode="json")
            stored.told = _tell_of_project(project, found, stored.told, at)
    AnnotatorQuality.objects.filter(project=project).exclude(
        annotator__in=[one.annotator_id for one in people]
    ).delete()


@dataclass(frozen=True)
class _Counted:
    """What was counted of a project's people."""

    people: Sequence[Person]
    days: Mapping[UUID, Mapping[date, int]]
    places: Mapping[UUID, Mapping[tuple[int, int, int], int]]
    repeats: Mapping[UUID, tuple[list[float], list[int]]]

    def of_kind(self, kind: str) -> list[Person]:
        return [one for one in self.people if one.kind == kind]


def _keep_days(project: Project, kind: str, together: Together, at: datetime, *, partial: bool) -> None:
    """Keep the agreement of each day that was measured; older days keep what they have.

    partial: whether older items were left out, so that of the oldest day only a part was seen.
    """
    found = together.days()
    if partial and len(found) > 1:
        found.pop(min(found))
    rows = [
        QualityDay(project=project, day=day, kind=kind, figures=figures.model_dump(mode="json"))
        for day, figures in found.items()
    ]
    QualityDay.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["project", "day", "kind"], update_fields=["figures"]
    )
    gone = QualityDay.objects.filter(project=project, kind=kind).exclude(day__in=list(found))
    (gone.filter(day__gte=min(found)) if partial and found else gone).delete()


def _keep_people(project: Project, kind: str, counted: _Counted, together: Together, at: datetime) -> None:
    """Keep each annotator's figures and flags, and tell admins of alarms that begin."""
    from easel.preferences.conduct import flags_of, verdict_of

    known = {one.annotator_id: one for one in AnnotatorQuality.objects.filter(project=project)}
    rows = []
    for person_id, figures in annotators_of(kind, counted, together).items():
        flags = flags_of(figures)
        row = known.get(person_id) or AnnotatorQuality(project=project, annotator_id=person_id)
        row.measured_at, row.figures = at, figures.model_dump(mode="json")
        row.flags = [flag.model_dump(mode="json") for flag in flags]
        row.verdict = verdict_of(flags)
        if kind == User.Kind.HUMAN:  # nobody talks to a simulated annotator
            row.told = _tell_of_person(project, row, flags, at)
        rows.append(row)
    AnnotatorQuality.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["project", "annotator"],
        update_fields=["measured_at", "figures", "flags", "verdict", "told"],
    )


def annotators_of(kind: str, counted: _Counted, together: Together) -> dict[UUID, AnnotatorFigures]:
    """Return the figures of each annotator of a kind, beside the others of that kind."""
    from easel.preferences import conduct

    people = counted.of_kind(kind)
    agreements, reliabilities = together.people(), together.reliabilities()
    ties = {one.annotator_id: conduct.Mean(one.compared, one.ties, one.ties_variance) for one in people}
    bad = {one.annotator_id: conduct.mean_of(one.all_bad, one.annotations) for one in people}
    found = {}
    for one in people:
        pk, name = one.annotator_id, str(one.annotator_id)
        known = reliabilities.get(name)
        shared = known is not None and known.overlaps > 0
        found[pk] = AnnotatorFigures(
            kind=kind,
            annotations=one.annotations,
            active_ms=one.active_ms,
            median_ms=one.median_ms,
            first=one.first,
            last=one.last,
            days=dict(counted.days.get(pk, {})),
            gold=conduct.counted(one.gold_passed, one.gold),
            gold_recent=tuple(reversed(one.gold_recent or [])),
            consistency=conduct.consistency(*counted.repeats.get(pk, ([], []))),
            agreement=agreements.get(name, Share()),
            others_agreement=together.others_of(name),
            agreement_days=together.days_of(name),
            reliability=known.reliability if known and shared else None,
            overlaps=known.overlaps if known else 0,
            position=conduct.position_bias(counted.places.get(pk, {})),
            ties=conduct.habit(ties[pk], [mean for other, mean in ties.items() if other != pk]),
            all_bad=conduct.habit(bad[pk], [mean for other, mean in bad.items() if other != pk]),
            fast=conduct.counted(one.fast, one.timed),
        )
    return found


def _project_figures(project: Project, kind: str, counted: _Counted, together: Together) -> ProjectFigures:
    from easel.preferences import counts
    from easel.preferences.conduct import counted as share
    from easel.preferences.together import figures_of

    people = counted.of_kind(kind)
    days: dict[date, int] = {}
    for one in people:
        for day, count in counted.days.get(one.annotator_id, {}).items():
            days[day] = days.get(day, 0) + count
    work, answers = counts.work_of(project), counts.answers_by_category(project, kind)
    agreed, agreement = together.categories(), figures_of(together.agreement())
    nothing = counts.Work(0, 0, 0)
    categories = [
        Category(
            name=name,
            items=work.get(name, nothing).items,
            done=work.get(name, nothing).done,
            annotations=answers.get(name, (0, 0))[0],
            agreement=agreed.get(name, Share()),
            all_bad=share(answers.get(name, (0, 0))[1], answers.get(name, (0, 0))[0]),
        )
        for name in {*work, *answers}
    ]
    categories.sort(key=lambda one: (-one.items, one.name))
    firsts, lasts = [one.first for one in people if one.first], [one.last for one in people if one.last]
    return ProjectFigures(
        kind=kind,
        annotations=sum(one.annotations for one in people),
        simulated=sum(one.annotations for one in counted.of_kind(User.Kind.SIMULATED)),
        annotators=sum(one.annotations > 0 for one in people),
        days=dict(sorted(days.items())),
        first=min(firsts, default=None),
        last=max(lasts, default=None),
        recent=sum(one.recent for one in people),
        recent_annotators=sum(one.recent > 0 for one in people),
        week=sum(one.week for one in people),
        items=sum(one.items for one in work.values()),
        items_done=sum(one.done for one in work.values()),
        remaining=sum(one.remaining for one in work.values()),
        alpha=agreement.alpha,
        tau=agreement.tau,
        pairs=agreement.pairs,
        gold=share(sum(one.gold_passed for one in people), sum(one.gold for one in people)),
        active_ms=sum(one.active_ms for one in people),
        usable_pairs=sum(one.usable_pairs for one in people),
        images_cost=counts.images_cost_of(project),
        categories=tuple(categories[: counts.CATEGORIES]),
    )


def _tell_of_person(project: Project, row: AnnotatorQuality, flags: Sequence[Flag], at: datetime) -> list[str]:
    """Tell a project's admins of what begins; return what lasts."""
    now = {flag.code: flag.text for flag in flags if flag.code in TELLING}
    if row.verdict:
        now["verdict"] = row.verdict
    begun = [code for code in now if code not in row.told]
    if begun:
        who = User.objects.get(pk=row.annotator_id)
        for code in ["verdict"] if "verdict" in begun else begun:  # it names the others
            notify(project, f"quality_{code}", f"{who.display_name}: {now[code]}", at, about=who)
    return sorted(now)


def _tell_of_project(project: Project, found: ProjectFigures, told: Sequence[str], at: datetime) -> list[str]:
    from easel.preferences.agreement import WARN_BELOW

    alpha = found.alpha
    if found.kind != User.Kind.HUMAN or alpha.rate is None or alpha.n < LEAST_SHARED or alpha.rate >= WARN_BELOW:
        return []
    if "low_agreement" not in told:
        text = (
            f"People agree little: alpha is {alpha.rate:.2f} over {alpha.n:,} items. Look at the items that they "
            "disagree on: the guidelines may be unclear, or it is a matter of taste."
        )
        notify(project, "quality_low_agreement", text, at)
    return ["low_agreement"]
