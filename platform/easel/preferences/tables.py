"""The tables behind the charts, as rows of cells: what pages show below a chart and what a download holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from easel.common.errors import NotFound
from easel.preferences.figures import AnnotatorFigures, ProjectFigures, Share
from easel.preferences.models import AnnotatorQuality, ProjectQuality, QualityDay
from easel.projects.models import Project


@dataclass(frozen=True)
class Table:
    """Names of columns, and rows."""

    names: tuple[str, ...]
    rows: Iterable[Sequence[Any]]


NAMES = ("throughput", "agreement", "categories", "annotators")


def table_named(name: str, project: Project, quality: ProjectQuality) -> Table:
    """Return one of a project's tables. Raises NotFound for another name."""
    if name == "throughput":
        return throughput(quality.found)
    if name == "agreement":
        return agreement(QualityDay.objects.of_kind(project, quality.found.kind))
    if name == "categories":
        return categories(quality.found)
    if name == "annotators":
        return annotators(AnnotatorQuality.objects.of_project(project).order_by("annotator__username"))
    raise NotFound("table")


def throughput(figures: ProjectFigures) -> Table:
    """Annotations day by day."""
    return Table(("day", "annotations"), sorted(figures.days.items()))


def agreement(days: Iterable[QualityDay]) -> Table:
    """Agreement day by day."""
    names = ("day", *_names("pair_agreement"), "items", *_names("alpha"), *_names("tau_b"))

    def rows() -> Iterator[Sequence[Any]]:
        for one in days:
            found = one.found
            yield (one.day, *_cells(found.pairs), found.pairs.n, *_cells(found.alpha), *_cells(found.tau))

    return Table(names, rows())


def categories(figures: ProjectFigures) -> Table:
    """Results of each category of prompts."""
    names = ("category", "items", "done", "annotations", *_names("pair_agreement"), *_names("all_bad"))
    rows = [
        (one.name, one.items, one.done, one.annotations, *_cells(one.agreement), *_cells(one.all_bad))
        for one in figures.categories
    ]
    return Table(names, rows)


def annotators(qualities: Iterable[AnnotatorQuality]) -> Table:
    """All figures of each annotator."""
    names = (
        "annotator", "kind", "annotations", "active_s", "median_s", "first", "last", *_names("gold"), "gold_scored",
        *_names("consistency"), "repeats", *_names("agreement"), "agreement_of_others", "reliability", "overlaps",
        "position_items", "position_alarm", "ties", "ties_of_others", "all_bad", "all_bad_of_others", "fast",
        "flags", "recommendation",
    )  # fmt: skip

    def rows() -> Iterator[Sequence[Any]]:
        for one in qualities:
            found = one.found
            alarm = found.position.alarm
            yield (
                one.annotator.username, found.kind, found.annotations, round(found.active_ms / 1000),
                None if found.median_ms is None else round(found.median_ms / 1000, 1),
                found.first and found.first.isoformat(), found.last and found.last.isoformat(),
                *_cells(found.gold), found.gold.n, *_cells(found.consistency), found.consistency.n,
                *_cells(found.agreement), _rounded(found.others_agreement), _rounded(found.reliability),
                found.overlaps, found.position.items, None if alarm is None else alarm + 1,
                _rounded(found.ties.rate), _rounded(found.ties.others), _rounded(found.all_bad.rate),
                _rounded(found.all_bad.others), _rounded(found.fast.rate),
                " ".join(flag.text for flag in one.found_flags), one.verdict,
            )  # fmt: skip

    return Table(names, rows())


def of_person(figures: AnnotatorFigures) -> Table:
    """One annotator day by day."""
    days = sorted({*figures.days, *figures.agreement_days})
    rows = []
    for day in days:
        rate, items = figures.agreement_days.get(day, (None, 0))
        rows.append((day, figures.days.get(day, 0), _rounded(rate), items))
    return Table(("day", "annotations", "agreement_with_others", "shared_items"), rows)


def _names(of: str) -> tuple[str, str, str]:
    return of, f"{of}_low", f"{of}_high"


def _cells(share: Share) -> tuple[float | None, ...]:
    return tuple(_rounded(one) for one in (share.rate, share.low, share.high))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
