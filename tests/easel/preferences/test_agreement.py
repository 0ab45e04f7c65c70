"""Agreement: the figures of krippendorff, evalica and scipy, known cases, and answers that say nothing."""

from __future__ import annotations

from itertools import combinations
from math import nan

import evalica
import krippendorff
import numpy as np
import pytest
from easel.preferences.aggregate import aggregate
from easel.preferences.agreement import Agreement, alpha_of, levels, measure, on_pairs, positions, tau_b
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from finetune.types import Judgement
from tests.easel.preferences.answers import Groups, drawn, groups, judged
from tests.easel.preferences.published import image_reward, needs_votes, two_raters

Items = list[list[Judgement]]


@st.composite
def several(draw: st.DrawFn, *, partial: bool = True) -> Items:
    """Draw the judgements of a few items by up to three people each."""
    found = []
    for _ in range(draw(st.integers(1, 5))):
        images = draw(st.integers(2, 4))
        found.append(judged(*draw(st.lists(groups(images, partial=partial), max_size=3))))
    return found


def table_of(items: Items) -> list[list[float]]:
    """Return the positions of every image, one row a person, as the libraries take them."""
    people = sorted({one.annotator for item in items for one in item})
    columns: list[list[float]] = []
    for item in items:
        told = {one.annotator: positions(placed) for one in item if (placed := levels(one))}
        images = sorted({image for placed in told.values() for image in placed})
        columns.extend([told.get(name, {}).get(image, nan) for name in people] for image in images)
    return [list(row) for row in zip(*columns, strict=True)]


@drawn
@given(several())
def test_alpha_is_what_krippendorff_computes(items: Items) -> None:
    table = np.array(table_of(items))
    assume(table.size and (np.sum(~np.isnan(table), axis=0) > 1).any())
    paired = table[:, np.sum(~np.isnan(table), axis=0) > 1]
    assume(len(np.unique(paired[~np.isnan(paired)])) > 1)
    expected = krippendorff.alpha(paired, level_of_measurement="ordinal")
    assert measure(items, resamples=2).alpha.estimate == pytest.approx(expected, abs=1e-9)


def test_images_that_were_not_compared_are_no_agreement() -> None:
    said = ((0,), (1, 2, 3, 4), (5,))
    opposite = judged(said, said[::-1], ties_are_equal=False)
    assert on_pairs(*map(levels, opposite)) == (6, 0.0)
    assert measure([opposite], resamples=2).pairs.estimate == 0
    assert tau_b(*map(levels, opposite)) == -1
    apart = judged(((0,), (2, 3), (1,)), ((2,), (0, 1), (3,)), ties_are_equal=False)
    assert on_pairs(*map(levels, apart)) == (4, 0.5)
    assert on_pairs(*map(levels, judged(((0,), (1, 2)), ((0, 1), (2,)), ties_are_equal=False))) == (2, 1.0)
    assert on_pairs(*map(levels, judged(said, said[::-1]))) == (6, 0.4)


@needs_votes
def test_alpha_of_two_real_raters_is_that_of_two_libraries() -> None:
    frame = pytest.importorskip("pandas").DataFrame
    scores = np.array(two_raters())
    table = np.zeros((5, 5))
    for first, second in scores:
        table[first - 1, second - 1] += 1
        table[second - 1, first - 1] += 1
    ours = float(alpha_of(table.reshape(-1)))
    assert ours == pytest.approx(float(krippendorff.alpha(scores.T, level_of_measurement="ordinal")))
    assert ours == pytest.approx(evalica.alpha(frame(scores.T), distance="ordinal").alpha)
    assert 0.5 < ours < 0.9


@drawn
@given(groups(5, partial=False), groups(5, partial=False))
def test_tau_b_is_what_scipy_computes(one: Groups, other: Groups) -> None:
    here, there = (levels(judged(ranking)[0]) for ranking in (one, other))
    expected = kendalltau([here[image] for image in range(5)], [there[image] for image in range(5)]).statistic
    if np.isnan(expected):
        assert tau_b(here, there) is None
    else:
        assert tau_b(here, there) == pytest.approx(expected)


@drawn
@given(several())
def test_agreement_on_pairs_of_one_item_is_what_the_aggregate_says(items: Items) -> None:
    for item in items:
        assert measure([item], resamples=2).pairs.estimate == pytest.approx(aggregate(4, item).agreement)


@drawn
@given(groups(4), groups(4))
def test_agreement_is_mutual_and_full_with_oneself(one: Groups, other: Groups) -> None:
    here, there = (levels(judged(ranking)[0]) for ranking in (one, other))
    assert on_pairs(here, there) == on_pairs(there, here)
    if len(here) > 1:
        assert on_pairs(here, here) == (len(here), 1)
        assert on_pairs(here, {image: -place for image, place in here.items()})[1] <= 1


def test_full_agreement_is_one_and_opposition_is_below_chance() -> None:
    same = measure([judged(((0,), (1,), (2,)), ((0,), (1,), (2,)))] * 10)
    assert same.alpha.estimate == same.tau.estimate == same.pairs.estimate == 1
    assert not same.warns
    opposed = measure([judged(((0,), (1,), (2,)), ((2,), (1,), (0,)))] * 10)
    assert opposed.tau.estimate == -1 and opposed.pairs.estimate == 0
    assert opposed.alpha.estimate is not None and opposed.alpha.estimate < 0
    assert opposed.warns


def test_answers_at_random_agree_as_by_chance_within_the_intervals() -> None:
    generator = np.random.default_rng(0)
    random = [judged(*(tuple((int(one),) for one in generator.permutation(4)) for _ in range(3))) for _ in range(150)]
    found = measure(random, resamples=300)
    for interval, chance in ((found.alpha, 0), (found.tau, 0), (found.pairs, 0.5)):
        assert interval.low is not None and interval.high is not None
        assert interval.low < chance < interval.high
        assert 0.02 < interval.high - interval.low < 0.3
        assert interval.clusters == 150
    assert found == measure(iter(random), resamples=300)


@pytest.mark.parametrize(
    "items",
    [
        [],
        [[]],
        [judged(((0,), (1,)))] * 5,
        [judged(((0,), (1,)), ((1,), (0,)), all_bad=True)],
        [judged(((0,),), ((1,),))],
        [judged(((0,), (1,)), ((2,), (3,)))],
    ],
)
def test_nobody_one_person_and_nothing_shared_have_no_figures(items: Items) -> None:
    found = measure(items)
    assert [found.alpha.estimate, found.tau.estimate, found.pairs.estimate] == [None, None, None]
    assert not found.warns


def test_ties_alone_agree_on_pairs_and_leave_alpha_and_tau_undefined() -> None:
    found = measure([judged(((0, 1, 2),), ((0, 1, 2),))] * 3)
    assert found.pairs.estimate == 1
    assert found.alpha.estimate is None and found.tau.estimate is None


def test_one_item_has_estimates_without_bounds() -> None:
    found: Agreement = measure([judged(((0,), (1,), (2,)), ((0,), (2,), (1,)))])
    assert found.pairs.estimate == pytest.approx(2 / 3)
    assert found.tau.estimate == pytest.approx(1 / 3)
    assert found.alpha.low is found.tau.low is found.pairs.low is None


@needs_votes
def test_real_rankings_agree_with_themselves_and_are_kept_by_the_aggregate() -> None:
    for images, ranking in image_reward():
        item = judged(ranking, ranking)
        assert measure([item], resamples=2).pairs.estimate == 1
        strengths = aggregate(images, item).strengths
        placed = levels(item[0])
        for a, b in combinations(range(images), 2):
            assert (strengths[a] > strengths[b] + 1e-9) == (placed[a] < placed[b])
