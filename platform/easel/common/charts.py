"""Charts as points in the coordinates of an SVG, which partials/chart.html draws: lines with bands, and bars.

Pure: no Django, no clock, no library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

WIDTH, HEIGHT = 360, 160
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 24
"""Room for the numbers beside the axes."""


@dataclass(frozen=True)
class Tick:
    """A number beside an axis, and where it stands."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """One quantity from the left to the right."""

    label: str
    style: str
    """The class of the line: how it is drawn, for a line never differs by its colour alone."""
    points: str
    """As the attribute of an SVG polyline has it."""
    last: str
    """Its newest value in words."""
    dot: tuple[float, float]
    """Where the newest value lies."""
    band: str = ""
    """The points of a polygon around it, within which it may lie; empty: none."""


@dataclass(frozen=True)
class Bar:
    """One value as a bar."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Lines or bars over the same stretch, with axes."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    bars: tuple[Bar, ...] = ()
    told: str = ""
    """What bars show, in words."""

    @property
    def words(self) -> str:
        """What it shows, for those who do not see it."""
        newest = "; ".join(f"{line.label} {line.last}" for line in self.lines)
        return f"{self.title}, {self.told}" if self.told else f"{self.title}, newest: {newest}"


class Scale:
    """Where values stand: `low` at the bottom, `high` at the top, `first` at the left, `last` at the right."""

    def __init__(self, first: float, last: float, low: float, high: float) -> None:
        self._first, self._last, self._low, self._high = first, last, low, high

    def x(self, value: float) -> float:
        """The place across."""
        span = max(self._last - self._first, 1e-12)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (value - self._first) / span, 1)

    def y(self, value: float) -> float:
        """The place up."""
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (self._high - value) / (self._high - self._low), 1)


def line(
    label: str, style: str, points: Sequence[tuple[float, float]], scale: Scale, last: str, *, band: str = ""
) -> Line:
    """Draw a line; there must be a point."""
    drawn = [(scale.x(at), scale.y(value)) for at, value in points]
    return Line(label, style, " ".join(f"{x},{y}" for x, y in drawn), last, drawn[-1], band)


def band(points: Sequence[tuple[float, float, float]], scale: Scale) -> str:
    """Draw what lies between the low and the high value of each point, as a polygon; of one point, a thin one."""
    there = [(scale.x(at), scale.y(high)) for at, _, high in points]
    back = [(scale.x(at), scale.y(low)) for at, low, _ in reversed(points)]
    if len(points) == 1:
        (x, top), (_, bottom) = there[0], back[0]
        there, back = [(x - 2, top), (x + 2, top)], [(x + 2, bottom), (x - 2, bottom)]
    return " ".join(f"{x},{y}" for x, y in [*there, *back])


def day_bars(title: str, unit: str, values: Sequence[tuple[date, int]], told: str) -> Chart:
    """Draw a number for each of some days in a row."""
    ticks = [value for value in nice_ticks(0, max(4, *(count for _, count in values))) if value >= 0]
    scale = Scale(0, len(values), 0, ticks[-1])
    width = (WIDTH - LEFT - RIGHT) / len(values)
    floor = scale.y(0)
    return Chart(
        title,
        unit,
        (),
        day_ticks([day for day, _ in values], lambda number: scale.x(number + 0.5)),
        tuple(Tick(scale.y(value), in_words(value)) for value in ticks),
        tuple(
            Bar(
                round(scale.x(number) + width * 0.1, 1),
                scale.y(count) if count else floor - 1,
                round(width * 0.8, 1),
                round(floor - scale.y(count), 1) if count else 1,
                f"{day:%-d %b}: {count:,}",
            )
            for number, (day, count) in enumerate(values)
        ),
        told,
    )


def day_ticks(days: Sequence[date], x: Callable[[int], float]) -> tuple[Tick, ...]:
    """Name the first, a middle and the last day below a chart; of few days the last alone."""
    last = len(days) - 1
    numbers = dict.fromkeys((0, last // 2, last) if last > 3 else (last,))
    return tuple(Tick(x(number), f"{days[number]:%-d %b}") for number in numbers)


def days_until(last: date, count: int) -> list[date]:
    """Return so many days in a row, the newest last."""
    return [last - timedelta(days=count - 1 - number) for number in range(count)]


def spark(values: Sequence[float]) -> str:
    """Return the points of a line without axes, 100 wide and 24 high."""
    most = max([1e-12, *values])
    step = 100 / max(1, len(values) - 1)
    return " ".join(f"{number * step:.1f},{22 - 20 * value / most:.1f}" for number, value in enumerate(values))


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


def in_words(value: float, *, percent: bool = False) -> str:
    """Write a value beside an axis or a line."""
    if percent:
        return f"{100 * value:.3g}%"
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
