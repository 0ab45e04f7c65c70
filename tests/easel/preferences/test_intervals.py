"""Intervals: how often they cover the truth, what clusters change, and what is answered where data is silent."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from easel.preferences.intervals import Interval, clustered_bootstrap, ranks, wilson, win_rate
from hypothesis import given
from hypothesis import strategies as st

from tests.easel.preferences.answers import drawn


def test_with_one_vote_a_cluster_it_is_the_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(size=400)
    found = clustered_bootstrap(values, range(400), resamples=4000)
    assert found.estimate == pytest.approx(values.mean())
    assert found.low is not None and found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / sqrt(400), rel=0.05)
    assert (found.votes, found.clusters) == (400, 400)


def test_intervals_cover_the_truth_where_votes_of_a_prompt_hang_together() -> None:
    covered = plain = 0
    truth = 0.55 + np.random.default_rng(0).normal(scale=0.3, size=100_000).clip(-0.5, 0.44).mean()
    for seed in range(100):
        generator = np.random.default_rng(seed)
        lean = np.repeat(generator.normal(scale=0.3, size=60), 5)  # of each prompt's five votes
        scores = (generator.random(300) < 0.55 + lean.clip(-0.5, 0.44)).astype(float)
        found = win_rate(scores, np.repeat(np.arange(60), 5).tolist(), resamples=200)
        assert found.low is not None and found.high is not None
        covered += found.low < truth < found.high
        low, high = wilson(float(scores.sum()), 300)
        plain += low < truth < high
    assert covered >= 89  # of 100: 95 % less what chance and 60 clusters take
    assert plain < covered - 5  # votes taken for independent promise too much


def test_the_same_seed_gives_the_same_bounds_whatever_clusters_are_called() -> None:
    scores = np.random.default_rng(1).random(40)
    here = clustered_bootstrap(scores, [f"prompt {vote // 2}" for vote in range(40)], seed=3)
    assert here == clustered_bootstrap(scores, [-(vote // 2) for vote in range(40)], seed=3)
    assert here != clustered_bootstrap(scores, [-(vote // 2) for vote in range(40)], seed=4)


def test_weights_move_the_mean_and_a_weight_of_zero_is_no_vote() -> None:
    assert win_rate([1, 0], ["a", "b"], weights=[3, 1]).estimate == 0.75
    here = clustered_bootstrap([1, 0, 1, 0.5], ["a", "b", "c", "d"], weights=[1, 1, 1, 0])
    assert here.estimate == pytest.approx(2 / 3)
    assert clustered_bootstrap([1], ["a"], weights=[0]).estimate is None


def test_annotators_who_differ_widen_the_interval_when_they_are_drawn_too() -> None:
    scores = np.tile([1.0, 0.9, 0.1, 0.0], 200)  # four annotators with a mind of their own, 200 prompts
    prompts, people = np.repeat(np.arange(200), 4).tolist(), np.tile(np.arange(4), 200).tolist()
    by_prompt, by_both = win_rate(scores, prompts), win_rate(scores, prompts, annotators=people)
    assert by_both.low is not None and by_both.high is not None
    assert by_both.high - by_both.low > 0.5
    assert by_prompt.estimate == by_both.estimate == pytest.approx(0.5)


def test_no_votes_say_that_nothing_is_known() -> None:
    assert clustered_bootstrap([], []) == Interval(None, None, None, 0, 0)
    assert win_rate([], []) == Interval(None, 0.0, 1.0, 0, 0)


def test_one_prompt_has_no_bounds_but_a_win_rate_has_wilsons() -> None:
    assert clustered_bootstrap([1, 0, 1, 0], ["cat"] * 4) == Interval(0.5, None, None, 4, 1)
    found = win_rate([1, 1, 1], ["cat"] * 3)
    assert found.estimate == 1 and found.high == pytest.approx(1)
    assert found.low == pytest.approx(0.2065, abs=1e-3)


@pytest.mark.parametrize(("score", "low", "high"), [(0.5, 0.2366, 0.7634), (1.0, 0.7225, 1.0), (0.0, 0.0, 0.2775)])
def test_where_all_prompts_say_the_same_the_bounds_are_wilsons(score: float, low: float, high: float) -> None:
    found = win_rate([score] * 20, [vote // 2 for vote in range(20)])
    assert found.estimate == score
    assert found.low == pytest.approx(low, abs=1e-4) and found.high == pytest.approx(high, abs=1e-4)


def test_wilsons_interval_is_the_published_one() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_ranks_are_equal_where_intervals_overlap() -> None:
    assert ranks([0.5, 0.2, -0.4, -1.0], [0.9, 0.6, 0.1, -0.6]) == (1, 1, 3, 4)
    assert ranks([], []) == ()


def test_input_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="2 values need as many clusters"):
        clustered_bootstrap([1, 0], ["cat"])
    with pytest.raises(ValueError, match="finite numbers"):
        clustered_bootstrap([1, float("nan")], ["cat", "dog"])
    with pytest.raises(ValueError, match="weights are 0 or more"):
        clustered_bootstrap([1, 0], ["cat", "dog"], weights=[1, -1])
    with pytest.raises(ValueError, match="between 0 \\(lost\\) and 1"):
        win_rate([2], ["cat"])


@drawn
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 6)), min_size=1, max_size=30))
def test_swapping_sides_mirrors_the_win_rate(votes: list[tuple[float, int]]) -> None:
    scores, prompts = [score for score, _ in votes], [prompt for _, prompt in votes]
    here = win_rate(scores, prompts, resamples=200)
    there = win_rate([1 - score for score in scores], prompts, resamples=200)
    assert here.estimate is not None and here.low is not None and here.high is not None
    assert 0 <= here.low <= here.estimate + 1e-9 and here.estimate - 1e-9 <= here.high <= 1
    assert there.estimate == pytest.approx(1 - here.estimate)
    assert there.low == pytest.approx(1 - here.high) and there.high == pytest.approx(1 - here.low)
