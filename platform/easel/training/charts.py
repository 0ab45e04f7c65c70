"""What a run measured as line charts: points in the coordinates of an SVG, which the page draws without a library.

Pure: no Django, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from finetune.types import MetricPoint

WIDTH, HEIGHT = 360, 160
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 24
"""Room for the numbers beside the axes."""
BINS = 120
"""More points than this are drawn as the means of as many stretches of steps."""
HELD_OUT = "held_out_"


@dataclass(frozen=True)
class Tick:
    """A number beside an axis, and where it stands."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """One quantity over the steps."""

    label: str
    style: str
    """The class of the line: how it is drawn, for a line never differs by its colour alone."""
    points: str
    """As the attribute of an SVG polyline has it."""
    last: str
    """Its newest value in words."""
    dot: tuple[float, float]
    """Where the newest value lies."""


@dataclass(frozen=True)
class Chart:
    """Lines over the same steps, with axes."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]

    @property
    def words(self) -> str:
        """What it shows, for those who do not see it."""
        newest = "; ".join(f"{line.label} {line.last}" for line in self.lines)
        return f"{self.title}, newest: {newest}"


@dataclass(frozen=True)
class _Asked:
    """Which quantities a chart shows: name, label and style of each."""

    title: str
    unit: str
    lines: tuple[tuple[str, str, str], ...]
    percent: bool = False


_CHARTS = (
    _Asked("Loss", "", (("loss", "training", "is-main"), (HELD_OUT + "loss", "held out", "is-other"))),
    _Asked(
        "Implicit accuracy",
        "pairs that the model orders as people did",
        (("implicit_accuracy", "training", "is-main"), (HELD_OUT + "implicit_accuracy", "held out", "is-other")),
        percent=True,
    ),
    _Asked(  # of a reward model
        "Accuracy",
        "pairs that it orders as people did",
        (("accuracy", "training", "is-main"), (HELD_OUT + "accuracy", "held out", "is-other")),
        percent=True,
    ),
    _Asked(
        "Accuracy",
        "pairs that the reward orders as people did",
        (("accuracy", "training", "is-main"), (HELD_OUT + "accuracy", "held out", "is-other")),
        percent=True,
    ),
    _Asked(
        "Error against the base",
        "below 0: likelier than before",
        (
            ("winner_error", "winners", "is-main"),
            ("loser_error", "losers", "is-quiet"),
            (HELD_OUT + "winner_error", "winners held out", "is-other"),
        ),
        percent=True,
    ),
    _Asked("Memory", "MB", (("memory_mb", "in use", "is-main"),)),
    _Asked("Pace", "images a second", (("images_per_s", "images", "is-main"),)),
)


def charts_of(points: Sequence[MetricPoint], steps: int) -> list[Chart]:
    """Return the charts for which there is something to draw. steps: how many the run takes in all."""
    found = []
    for asked in _CHARTS:
        series = {name: _series(points, name) for name, _, _ in asked.lines}
        if any(series.values()):
            found.append(_chart(asked, series, max(steps, points[-1].step)))
    return found


def _series(points: Sequence[MetricPoint], name: str) -> list[tuple[float, float]]:
    """Return step and value of a quantity, thinned out to what can be seen."""
    found = [(float(point.step), point.values[name]) for point in points if name in point.values]
    found = [(step, value) for step, value in found if math.isfinite(value)]
    if len(found) <= BINS:
        return found
    size = math.ceil(len(found) / BINS)
    parts = [found[start : start + size] for start in range(0, len(found), size)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]


def _chart(asked: _Asked, series: dict[str, list[tuple[float, float]]], steps: int) -> Chart:
    values = [value for line in series.values() for _, value in line]
    ticks = nice_ticks(min(values), max(values))
    low, high = min(ticks[0], *values), max(ticks[-1], *values)

    def x(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * step / max(steps, 1), 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)

    lines = []
    for name, label, style in asked.lines:
        if line := series[name]:
            drawn = [(x(step), y(value)) for step, value in line]
            last = _in_words(line[-1][1], percent=asked.percent)
            lines.append(Line(label, style, " ".join(f"{at},{of}" for at, of in drawn), last, drawn[-1]))
    return Chart(
        asked.title,
        asked.unit,
        tuple(lines),
        tuple(Tick(x(step), f"{step:,}") for step in dict.fromkeys((0, round(steps / 2), steps))),
        tuple(Tick(y(value), _in_words(value, percent=asked.percent)) for value in ticks),
    )


def nice_ticks(low: float, high: float, count: int = 3) -> list[float]:
    """Return round numbers, `count` or a few more of them, that lie around everything from low to high."""
    if high - low < 1e-12 * max(1.0, abs(high)):
        room = abs(high) / 10 or 1.0
        low, high = low - room, high + room
    rough = (high - low) / count
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _in_words(value: float, *, percent: bool) -> str:
    if percent:
        return f"{100 * value:.3g}%"
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


@dataclass(frozen=True)
class Table:
    """The same figures as numbers."""

    names: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def table_of(points: Sequence[MetricPoint], most: int = 200) -> Table:
    """Return the points as a table of at most `most` rows, evenly spaced, the newest first."""
    names = tuple(dict.fromkeys(name for point in points for name in point.values))
    every = max(1, math.ceil(len(points) / most))
    chosen = [*points[::-1][::every]]
    rows = tuple(
        (point.step, tuple(f"{point.values[name]:.5g}" if name in point.values else "" for name in names))
        for point in chosen
    )
    return Table(names, rows)
