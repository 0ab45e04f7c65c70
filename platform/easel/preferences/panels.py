"""What the quality pages show of stored figures: tiles, charts and tables. No query and no maths beyond a division."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from easel.common.charts import Chart, Scale, Tick, band, day_bars, days_until, in_words, line, spark
from easel.preferences.figures import AnnotatorFigures, Place, Position, ProjectFigures, Share
from easel.preferences.models import AnnotatorQuality, QualityDay

SHOWN_DAYS = 30
SPARK_DAYS = 14
HOUR_MS = 3_600_000
WARN_BELOW, GOOD_FROM = 0.3, 0.6
"""Of alpha. The first as preferences.agreement has it (a test says so), which pages do not load."""


@dataclass(frozen=True)
class Pace:
    """How fast it goes, and until when."""

    per_day: float | None
    annotators: int
    words: str
    days_left: float | None


def pace_of(figures: ProjectFigures, measured_at: datetime | None) -> Pace:
    """Return the recent rate, and when what is left is done at it.

    The rate is that of the last 24 hours, or since the first annotation where that is less long ago (an hour at
    least); after a day without any, that of the last 7 days.
    """
    if not figures.annotations or figures.first is None or measured_at is None:
        return Pace(None, 0, "nobody has ranked yet", None)
    hours = min(24.0, max(1.0, (measured_at - figures.first).total_seconds() / 3600))
    if figures.recent:
        per_day = figures.recent * 24 / hours
        words = f"{hours:.0f} h" if hours >= 1.5 else "hour"
        words = f"at the pace of the last {words}"
    elif figures.week:
        per_day, words = figures.week / 7, "at the pace of the last 7 days"
    else:
        return Pace(None, 0, "nobody has ranked for 7 days", None)
    return Pace(per_day, figures.recent_annotators, words, figures.remaining / per_day)


def duration_words(days: float) -> str:
    """Write how long something takes: "40 min", "5 h", "3 days"."""
    if days * 24 < 1:
        return f"{max(1, round(days * 24 * 60))} min"
    if days < 2:
        return f"{days * 24:.0f} h"
    return f"{days:,.0f} days"


@dataclass(frozen=True)
class Cost:
    """What a usable pair costs."""

    per_pair: float | None
    people: float
    images: float | None


def cost_of(figures: ProjectFigures, hourly: Decimal | None) -> Cost | None:
    """Return the cost of a usable pair; None where nobody has said what an hour costs and no image says its price."""
    if (hourly is None and figures.images_cost is None) or figures.kind != "human":
        return None
    people = float(hourly or 0) * figures.active_ms / HOUR_MS
    total = people + (figures.images_cost or 0.0)
    return Cost(total / figures.usable_pairs if figures.usable_pairs else None, people, figures.images_cost)


def agreement_words(alpha: Share) -> str:
    """Say what an alpha means."""
    if alpha.rate is None:
        return "not known yet: no item has rankings of two people"
    if alpha.rate < WARN_BELOW:
        return "low: the guidelines may be unclear, or it is a matter of taste"
    if alpha.rate < GOOD_FROM:
        return "fair: usual for preferences"
    return "high: people see the same"


def trend_of(figures: ProjectFigures, today: date) -> tuple[int, float | None]:
    """Return today's annotations, and the mean of the 7 days before; None where there were none."""
    before = [figures.days.get(day, 0) for day in days_until(today, 8)[:-1]]
    return figures.days.get(today, 0), sum(before) / 7 if sum(before) else None


def throughput(figures: ProjectFigures | AnnotatorFigures, today: date) -> Chart:
    """Draw the annotations of each of the last days."""
    values = [(day, figures.days.get(day, 0)) for day in days_until(today, SHOWN_DAYS)]
    most = max(values, key=lambda one: one[1])
    told = f"{sum(count for _, count in values):,} in {SHOWN_DAYS} days, most on {most[0]:%-d %B}: {most[1]:,}"
    return day_bars("Annotations a day", f"last {SHOWN_DAYS} days", values, told)


def agreement_chart(days: Sequence[QualityDay]) -> Chart | None:
    """Draw the agreement on pairs and alpha over days, with the band of the first; None without two days of it."""
    found = [(one.day, one.found) for one in days]
    pairs = [(day, one.pairs) for day, one in found if one.pairs.rate is not None]
    if not pairs:
        return None
    first, last = pairs[0][0], pairs[-1][0]
    alphas = [(day, one.alpha.rate) for day, one in found if one.alpha.rate is not None and day >= first]
    low = min([0.0, *(rate for _, rate in alphas if rate is not None)])
    scale = Scale(0, max(1, (last - first).days), max(-1.0, low), 1)

    def x(day: date) -> float:
        return float((day - first).days)

    bands = [(x(day), one.low, one.high) for day, one in pairs if one.low is not None and one.high is not None]
    rate = pairs[-1][1].rate or 0.0
    lines = [
        line(
            "pairs on which two people agree",
            "is-main",
            [(x(day), one.rate or 0.0) for day, one in pairs],
            scale,
            in_words(rate, percent=True),
            band=band(bands, scale) if bands else "",
        )
    ]
    if alphas:
        points = [(x(day), value) for day, value in alphas if value is not None]
        lines.append(line("alpha", "is-other", points, scale, f"{points[-1][1]:.2f}"))
    ends = [first, last] if first != last else [first]
    return Chart(
        "Agreement over time",
        "by the day of an item's last ranking; band: 95%",
        tuple(lines),
        tuple(Tick(scale.x(x(day)), f"{day:%-d %b}") for day in ends),
        tuple(Tick(scale.y(value), f"{value:g}") for value in (0, 0.25, 0.5, 0.75, 1)),
    )


def agreement_of_person(figures: AnnotatorFigures) -> Chart | None:
    """Draw one person's agreement with others over days."""
    days = sorted(figures.agreement_days.items())
    if len(days) < 2:
        return None
    first, last = days[0][0], days[-1][0]
    scale = Scale(0, (last - first).days, 0, 1)
    points = [(float((day - first).days), rate) for day, (rate, _) in days]
    return Chart(
        "Agreement with others",
        "share of pairs, by day",
        (line("agreement", "is-main", points, scale, in_words(points[-1][1], percent=True)),),
        tuple(Tick(scale.x((day - first).days), f"{day:%-d %b}") for day in (first, last)),
        tuple(Tick(scale.y(value), f"{value:g}") for value in (0, 0.5, 1)),
    )


@dataclass(frozen=True)
class Row:
    """An annotator in the table."""

    quality: AnnotatorQuality
    figures: AnnotatorFigures
    spark: str
    spark_words: str
    membership: str | None
    """The id of their membership, where they are a member still."""
    paused: bool

    @property
    def name(self) -> str:
        """What they are called."""
        return self.quality.annotator.display_name


ORDERS = {
    "name": lambda row: row.name.lower(),
    "annotations": lambda row: row.figures.annotations,
    "time": lambda row: row.figures.median_ms or 0.0,
    "gold": lambda row: -1.0 if row.figures.gold.rate is None else row.figures.gold.rate,
    "agreement": lambda row: -1.0 if row.figures.agreement.rate is None else row.figures.agreement.rate,
    "consistency": lambda row: -1.0 if row.figures.consistency.rate is None else row.figures.consistency.rate,
    "reliability": lambda row: -1.0 if row.figures.reliability is None else row.figures.reliability,
    "flags": lambda row: (bool(row.quality.verdict), len(row.quality.flags)),
}


def rows_of(
    qualities: Sequence[AnnotatorQuality], members: Mapping[object, tuple[str, bool]], today: date, order: str
) -> tuple[list[Row], str]:
    """Return the annotators in an order, and the order that it is: "-annotations" is the most first.

    members: by user, the membership's id and whether it is paused.
    """
    rows = []
    for one in qualities:
        found = one.found
        counts = [found.days.get(day, 0) for day in days_until(today, SPARK_DAYS)]
        membership, paused = members.get(one.annotator_id, (None, False))
        words = f"{sum(counts):,} annotations in {SPARK_DAYS} days"
        rows.append(Row(one, found, spark(counts), words, membership, paused))
    key = order.removeprefix("-")
    if key not in ORDERS:
        key, order = "flags", "-flags"
    rows.sort(key=lambda row: row.name.lower())
    rows.sort(key=ORDERS[key], reverse=order.startswith("-"))
    return rows, order


@dataclass(frozen=True)
class PlaceRow:
    """A place beside chance, on a line of 100."""

    name: str
    place: Place
    is_alarm: bool
    low: float
    width: float
    """Of the stretch within which chance lies, three standard errors to each side."""


def places_of(position: Position) -> list[PlaceRow]:
    """Return the places for a table with bars."""
    rows = []
    for number, one in enumerate(position.places):
        low, high = max(0.0, one.chance - 3 * one.error), min(1.0, one.chance + 3 * one.error)
        letter = chr(ord("A") + number)
        rows.append(PlaceRow(letter, one, position.alarm == number, round(100 * low, 1), round(100 * (high - low), 1)))
    return rows
