"""The benchmark of labels saved, small: its parts do what it says, and the figures that rules were chosen by hold."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from easel.annotation.stopping import Rule

from tests.benchmarks import labels_saved
from tests.benchmarks.labels_saved import (
    CROWDS,
    MOST,
    RULES,
    Bias,
    Crowd,
    Saved,
    World,
    _needed,
    active,
    arena,
    asked,
    bias,
    collect,
    overlap,
    rightness,
    selection,
    uniform,
)


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels_saved, "RESAMPLES", 100)


def exactly(rule: Rule, right: float) -> tuple[float, float]:
    """Return how many verdicts on pairs are right, and the votes of each, where everybody is right so often."""
    going, ended = Counter({(0, 0): 1.0}), Counter[tuple[int, int]]()
    while going:
        further = Counter[tuple[int, int]]()
        for (yes, no), chance in going.items():
            if rule.wants(yes + no, abs(yes - no)) == yes + no:
                ended[yes, no] += chance
            else:
                further[yes + 1, no] += chance * right  # type: ignore[assignment]
                further[yes, no + 1] += chance * (1 - right)  # type: ignore[assignment]
        going = further
    correct = sum(chance for (yes, no), chance in ended.items() if yes > no)
    return correct, sum(chance * (yes + no) for (yes, no), chance in ended.items())


@pytest.mark.parametrize(
    ("rule", "right", "votes"),
    [
        (Rule(2, 2, 5), 0.819, 3.02),
        (Rule(3, 3, 9), 0.891, 5.55),
        (Rule(3), 0.784, 3.0),
        (Rule(5), 0.837, 5.0),
        (Rule(9), 0.901, 9.0),
    ],
)
def test_the_figures_that_the_rules_were_chosen_by(rule: Rule, right: float, votes: float) -> None:
    assert exactly(rule, 0.7) == pytest.approx((right, votes), abs=0.006)


def test_simulated_votes_of_pairs_come_near_the_exact_figures() -> None:
    for rule, saved in zip(RULES, overlap(CROWDS[0], repeats=25, items=25), strict=True):
        right, votes = exactly(rule, 0.7)
        assert saved.accuracy == pytest.approx(right, abs=0.06) and saved.votes == pytest.approx(votes, abs=0.3)
        assert saved.low < saved.saved < saved.high
        assert saved.needed == pytest.approx(saved.votes / (1 - saved.saved))


def test_single_people_are_as_right_as_they_should_be() -> None:
    for crowd in CROWDS[1:]:
        generator = np.random.default_rng(3)
        alone = [rightness(crowd.images, crowd.verdicts(generator)[:1]) for _ in range(1_500)]
        assert 0.65 < np.mean(alone) < 0.78


def test_an_item_takes_no_more_votes_than_its_rule_lets_it() -> None:
    crowd = Crowd("grids", 4, ties=0.2)
    generator = np.random.default_rng(4)
    for _ in range(40):
        said = crowd.verdicts(generator)
        assert len(said) == MOST
        for rule in RULES:
            assert rule.start <= asked(rule, said) <= rule.cap


@pytest.mark.parametrize("policy", [uniform, active, arena])
def test_a_board_gets_the_votes_that_it_asks_for(policy: object) -> None:
    course, board, weighed = collect(World(4), policy, 200, 100, seed=1)  # type: ignore[arg-type]
    assert course.marks.tolist() == [100, 200]
    assert board.votes.sum() / 2 == 200
    assert (weighed[0] + weighed[0].T + weighed[1]).sum() / 2 == pytest.approx(200, rel=0.3)


def test_selection_and_bias_give_figures() -> None:
    found = selection(World(4), votes=400, repeats=12)
    assert [len(of) for of in found.values()] == [4, 4]
    assert all(isinstance(one, Saved) and one.line().startswith("| 4 models, ") for of in found.values() for one in of)
    off = bias(World(3), 200, repeats=6)
    assert all(isinstance(one, Bias) and 0 <= one.bias <= one.error * 2 for one in off)


def test_what_the_other_way_needs_is_read_along_its_concave_hull() -> None:
    """Two annotators are as good as one, where a tie of theirs is tossed for; half of the items with three are not."""
    counts, curve = np.arange(4.0), np.array([0.5, 0.7, 0.7, 0.784])
    assert _needed(counts, curve, 0.742) == pytest.approx(2)
    assert _needed(counts, curve, 0.7) == pytest.approx(1)
    assert _needed(counts, curve, 0.6) == pytest.approx(0.5)
