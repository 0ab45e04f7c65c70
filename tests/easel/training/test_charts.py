"""Curves: what is drawn of what a run measured."""

from __future__ import annotations

import math

from easel.common.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, nice_ticks
from easel.training.charts import BINS, charts_of, table_of
from hypothesis import given
from hypothesis import strategies as st

from finetune.types import MetricPoint

numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(numbers, numbers)
def test_ticks_are_few_round_and_around_everything(one: float, other: float) -> None:
    low, high = sorted((one, other))
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 6
    room = 1e-6 * max(abs(low), abs(high), 1e-9)
    assert ticks[0] <= low + room
    assert ticks[-1] >= high - room


@given(st.lists(st.tuples(st.integers(1, 400), numbers), min_size=1, max_size=400, unique_by=lambda one: one[0]))
def test_every_point_lies_within_the_axes(measured: list[tuple[int, float]]) -> None:
    points = [MetricPoint(step=step, values={"loss": value}) for step, value in sorted(measured)]
    (chart,) = charts_of(points, 400)
    (line,) = chart.lines
    drawn = [tuple(map(float, pair.split(","))) for pair in line.points.split(" ")]
    assert 1 <= len(drawn) <= BINS
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for x, y in drawn)
    assert line.dot == drawn[-1]


def test_a_figure_that_is_measured_at_checkpoints_only_is_a_line_of_its_own() -> None:
    points = [
        MetricPoint(step=step, values={"winner_error": 0.01} | ({"held_out_winner_error": -0.02} if step == 4 else {}))
        for step in range(1, 6)
    ]
    (chart,) = charts_of(points, 5)
    assert [(line.label, line.last) for line in chart.lines] == [("winners", "1%"), ("winners held out", "-2%")]
    assert chart.words == "Error against the base, newest: winners 1%; winners held out -2%"


def test_what_is_no_number_is_left_out() -> None:
    points = [MetricPoint(step=1, values={"loss": math.nan}), MetricPoint(step=2, values={"loss": 0.5})]
    (chart,) = charts_of(points, 2)
    assert chart.lines[0].points.count(",") == 1
    assert charts_of([], 10) == []


def test_the_table_has_the_newest_first_and_at_most_so_many_rows() -> None:
    points = [MetricPoint(step=step, values={"loss": step / 7}) for step in range(1, 1001)]
    table = table_of(points, most=100)
    assert table.names == ("loss",)
    assert len(table.rows) == 100
    assert table.rows[0] == (1000, ("142.86",))
