"""What a run measured as line charts; easel.common.charts draws them.

Pure: no Django, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from easel.common.charts import Chart, Scale, Tick, in_words, line, nice_ticks
from finetune.types import MetricPoint

BINS = 120
"""More points than this are drawn as the means of as many stretches of steps."""
HELD_OUT = "held_out_"


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
    scale = Scale(0, max(steps, 1), min(ticks[0], *values), max(ticks[-1], *values))
    lines = tuple(
        line(label, style, drawn, scale, in_words(drawn[-1][1], percent=asked.percent))
        for name, label, style in asked.lines
        if (drawn := series[name])
    )
    return Chart(
        asked.title,
        asked.unit,
        lines,
        tuple(Tick(scale.x(step), f"{step:,}") for step in dict.fromkeys((0, round(steps / 2), steps))),
        tuple(Tick(scale.y(value), in_words(value, percent=asked.percent)) for value in ticks),
    )


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
