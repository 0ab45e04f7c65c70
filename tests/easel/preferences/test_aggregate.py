"""One item's judgements: what they weigh together, and what they keep quiet about."""

from __future__ import annotations

from itertools import combinations
from math import exp, isfinite, log1p
from uuid import UUID

import pytest
from easel.preferences.aggregate import PRIOR_SD, aggregate
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from finetune.types import Judgement, Preference, SnapshotImage
from tests.easel.preferences.answers import drawn, few, items, judged, relabelled, upside_down

ITEM = tuple[int, list[Judgement]]


def test_two_judges_who_differ_make_soft_pairs_and_equal_strengths() -> None:
    found = aggregate(2, judged(((0,), (1,)), ((1,), (0,))))
    assert found.pairs == ((0, 1, 0.5),)
    assert found.pair_weights == (2.0,)
    assert found.strengths == pytest.approx((0, 0), abs=1e-9)
    assert found.agreement == 0


def test_one_judge_of_a_pair_says_about_as_much_as_people_agree() -> None:
    first, second = aggregate(2, judged(((0,), (1,)))).strengths
    assert 1 / (1 + exp(second - first)) == pytest.approx(0.6626, abs=1e-3)
    first, second = aggregate(2, judged(*[((0,), (1,))] * 3)).strengths
    assert 1 / (1 + exp(second - first)) == pytest.approx(0.7846, abs=1e-3)


def test_reliable_judges_count_for_more() -> None:
    doubted = [Judgement(annotator="bob", groups=((0,), (1,)), weight=0.25), *judged(((1,), (0,)), weight=0.75)]
    found = aggregate(2, doubted)
    assert found.pairs == ((0, 1, 0.25),)
    assert found.strengths[1] > found.strengths[0]
    silent = [Judgement(annotator="bob", groups=((0,), (1,)), weight=0)]
    assert aggregate(2, silent).pairs == ()


def test_images_left_unranked_are_compared_with_nothing() -> None:
    found = aggregate(4, judged(((2,), (0,))))
    assert found.pairs == ((0, 2, 0.0),)
    assert found.strengths[1] == found.strengths[3] == pytest.approx(0)
    assert found.strengths[2] > 0 > found.strengths[0]


def test_images_between_the_best_and_the_worst_are_compared_with_these_alone() -> None:
    said = ((2,), (0, 1), (3,))
    tied = aggregate(4, judged(said))
    found = aggregate(4, judged(said, ties_are_equal=False))
    assert [(a, b) for a, b, _ in found.pairs] == [(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert set(tied.pairs) - set(found.pairs) == {(0, 1, 0.5)}
    others = judged(((0,), (1,)))
    assert (0, 1, 1.0) in aggregate(4, [*judged(said, ties_are_equal=False), *others]).pairs
    assert aggregate(3, judged(((0, 1, 2),), ties_are_equal=False)).pairs == ()
    same = aggregate(4, judged(said, said, ties_are_equal=False))
    assert same.agreement == 1


def test_images_that_are_all_bad_teach_no_order() -> None:
    bad = judged(((0,), (1, 2)), all_bad=True)
    found = aggregate(3, bad)
    assert found.pairs == () and found.strengths == (0, 0, 0)
    assert found.all_bad == 1
    beside = aggregate(3, [*bad, *judged(((2,), (1,), (0,)))])
    assert beside.all_bad == 0.5
    assert beside.strengths == aggregate(3, judged(((2,), (1,), (0,)))).strengths


@pytest.mark.parametrize(
    "judgements", [[], judged(()), judged(((1,),)), judged(((0, 1, 2),)), judged(*[((0, 1, 2),)] * 50)]
)
def test_nobody_a_single_image_and_ties_alone_make_no_difference(judgements: list[Judgement]) -> None:
    found = aggregate(3, judgements)
    assert found.strengths == pytest.approx((0, 0, 0), abs=1e-9)
    assert all(p == 0.5 for _, _, p in found.pairs)


def test_a_thousand_unanimous_judges_give_finite_strengths() -> None:
    found = aggregate(4, judged(*[((0,), (1,), (2,), (3,))] * 1000))
    assert all(map(isfinite, found.strengths))
    assert list(found.strengths) == sorted(found.strengths, reverse=True)


def test_an_image_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"images 0 to 1"):
        aggregate(2, judged(((0,), (2,))))
    with pytest.raises(ValueError, match="at least 2 images"):
        aggregate(1, [])
    with pytest.raises(ValueError, match="above 0, not 0"):
        aggregate(2, [], prior_sd=0)


def test_agreement_counts_a_tie_against_an_order_half() -> None:
    assert aggregate(2, judged(((0,), (1,)))).agreement is None
    assert aggregate(2, judged(((0,), (1,)), ((0, 1),))).agreement == 0.5
    assert aggregate(2, judged(((0, 1),), ((0, 1),))).agreement == 1
    three = judged(((0,), (1,)), ((0,), (1,)), ((1,), (0,)))
    assert aggregate(2, three).agreement == pytest.approx(1 / 3)


@few
@given(items())
def test_the_strengths_are_the_maximum_that_another_optimiser_finds(item: ITEM) -> None:
    images, judgements = item

    def loss(at: list[float]) -> float:
        value = sum(one**2 for one in at) / (2 * PRIOR_SD**2)
        for judgement in judgements:
            level = {image: place for place, group in enumerate(judgement.groups) for image in group}
            for a, b in [] if judgement.all_bad else combinations(level, 2):
                share = judgement.weight * 2 / len(level)
                score = 1.0 if level[a] < level[b] else 0.5 if level[a] == level[b] else 0.0
                value += share * (log1p(exp(at[b] - at[a])) * score + log1p(exp(at[a] - at[b])) * (1 - score))
        return value

    expected = minimize(loss, [0.0] * images, tol=1e-12).x
    assert aggregate(images, judgements).strengths == pytest.approx(list(expected), abs=1e-4)


@drawn
@given(items(), st.randoms())
def test_relabelling_the_images_permutes_the_answer(item: ITEM, random: object) -> None:
    images, judgements = item
    places = list(range(images))
    random.shuffle(places)  # type: ignore[attr-defined]
    here, there = aggregate(images, judgements), aggregate(images, relabelled(judgements, places))
    assert [there.strengths[places[image]] for image in range(images)] == pytest.approx(here.strengths, abs=1e-8)
    shares = {(a, b): p for a, b, p in there.pairs} | {(b, a): 1 - p for a, b, p in there.pairs}
    assert [shares[places[a], places[b]] for a, b, _ in here.pairs] == pytest.approx([p for _, _, p in here.pairs])
    assert here.agreement == pytest.approx(there.agreement)


@drawn
@given(items())
def test_reversing_the_rankings_negates_the_strengths(item: ITEM) -> None:
    images, judgements = item
    here, there = aggregate(images, judgements), aggregate(images, upside_down(judgements))
    assert there.strengths == pytest.approx([-one for one in here.strengths], abs=1e-8)
    assert [1 - p for _, _, p in there.pairs] == pytest.approx([p for _, _, p in here.pairs])


@drawn
@given(items(), st.data())
def test_a_tie_between_two_images_never_moves_them_apart(item: ITEM, data: st.DataObject) -> None:
    images, judgements = item
    a, b = data.draw(st.permutations(range(images)))[:2]
    before = aggregate(images, judgements).strengths
    after = aggregate(images, [*judgements, *judged(((a, b),))]).strengths
    assert abs(after[a] - after[b]) <= abs(before[a] - before[b]) + 1e-9
    assert (after[a] - after[b]) * (before[a] - before[b]) >= -1e-9


@drawn
@given(items(), st.data())
def test_another_vote_for_an_image_never_makes_it_weaker(item: ITEM, data: st.DataObject) -> None:
    images, judgements = item
    a, b = data.draw(st.permutations(range(images)))[:2]
    before = aggregate(images, judgements).strengths
    after = aggregate(images, [*judgements, *judged(((a,), (b,)))]).strengths
    assert after[a] - after[b] >= before[a] - before[b] - 1e-9


@drawn
@given(items(), st.integers(2, 4))
def test_saying_it_again_with_a_fraction_of_the_weight_says_the_same(item: ITEM, times: int) -> None:
    images, judgements = item
    parts = [one.model_copy(update={"weight": one.weight / times}) for one in judgements for _ in range(times)]
    here, there = aggregate(images, judgements), aggregate(images, parts)
    assert there.strengths == pytest.approx(here.strengths, abs=1e-7)
    assert there.pair_weights == pytest.approx(here.pair_weights)


@drawn
@given(items())
def test_the_answer_is_what_a_snapshot_takes(item: ITEM) -> None:
    images, judgements = item
    found = aggregate(images, judgements)
    assert sum(found.strengths) == pytest.approx(0, abs=1e-9)
    assert len(found.pairs) == len(found.pair_weights)
    Preference(
        item=UUID(int=1),
        split="train",
        prompt="a red cat",
        images=tuple(
            SnapshotImage(
                candidate=UUID(int=number), key=f"ab/{'ab' * 32}.png", sha256="ab" * 32, width=64, height=64, model="m"
            )
            for number in range(images)
        ),
        judgements=tuple(judgements) or tuple(judged(())),
        strengths=found.strengths,
        pairs=found.pairs,
        pair_weights=found.pair_weights,
    )
