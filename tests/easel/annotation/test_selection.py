"""Which two models are compared next: the chances are chances, and what they believe is what simulations show."""

from __future__ import annotations

from itertools import combinations
from math import exp, isfinite
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from easel.annotation.selection import (
    AHEAD,
    FIRST,
    PRIOR_SD,
    SHARPNESS,
    UNIFORM,
    Chance,
    Matchup,
    chances,
    information_of_votes,
)
from easel.preferences import davidson
from hypothesis import given, settings
from hypothesis import strategies as st

Array = npt.NDArray[np.float64]
State = tuple[list[Matchup], list[float], float, Array]


@st.composite
def states(draw: st.DrawFn) -> State:
    """Draw matchups of two to six models, with what is believed of them and what was voted."""
    things = draw(st.integers(2, 6))
    worths = draw(st.lists(st.floats(-8, 8), min_size=things, max_size=things))
    votes = np.zeros((things, things))
    for a, b in combinations(range(things), 2):
        votes[a, b] = votes[b, a] = draw(st.sampled_from([0, 1, 2, 3, 5, 40, 2000]))
    models = st.lists(st.integers(0, things - 1), min_size=2, max_size=4, unique=True).map(tuple)
    asked = draw(st.lists(st.builds(Matchup, models, st.integers(0, 3)), max_size=8))
    return asked, worths, draw(st.floats(0.01, 20)), votes


def all_pairs(things: int, left: int = 5) -> list[Matchup]:
    return [Matchup(pair, left) for pair in combinations(range(things), 2)]


def of_pairs(worths: list[float], votes: float) -> dict[tuple[int, int], Chance]:
    """What is said of every two models that have so many votes each."""
    found = chances(all_pairs(len(worths)), worths, 0.7, everywhere(len(worths), votes))
    return dict(zip(combinations(range(len(worths)), 2), found, strict=True))


def everywhere(things: int, votes: float) -> Array:
    return np.asarray(votes * (1 - np.eye(things)))


@given(states())
def test_chances_sum_to_1_and_whatever_has_items_left_may_be_drawn(state: State) -> None:
    matchups = state[0]
    found = chances(*state)
    open_ = [one.left > 0 for one in matchups]
    assert len(found) == len(matchups)
    assert all(isfinite(one.information) and one.information >= 0 for one in found)
    for one, has_items in zip(found, open_, strict=True):
        assert (one.probability > 0) == has_items
        assert not has_items or one.probability >= UNIFORM / sum(open_) - 1e-12
    if any(open_):
        assert sum(one.probability for one in found) == pytest.approx(1)


@given(states())
def test_two_models_with_few_votes_come_first_all_alike(state: State) -> None:
    matchups, _, _, votes = state
    open_ = [one for one in matchups if one.left]
    few = [one for one in open_ if any(votes[pair] < FIRST for pair in combinations(one.models, 2))]
    for one, chance in zip(matchups, chances(*state), strict=True):
        if few and one.left:
            expected = UNIFORM / len(open_) + (1 - UNIFORM) / len(few) * (one in few)
            assert chance.probability == pytest.approx(expected)


@given(states(), st.randoms(use_true_random=False))
def test_what_models_are_called_and_who_is_ahead_changes_nothing(state: State, random: Random) -> None:
    matchups, worths, nu, votes = state
    places = list(range(len(worths)))
    random.shuffle(places)
    renamed = [Matchup(tuple(places[model] for model in one.models), one.left) for one in matchups]
    back = np.argsort(places)
    found = chances(matchups, worths, nu, votes)
    others = [
        chances(renamed, [worths[one] for one in back], nu, votes[np.ix_(back, back)]),
        chances(matchups, [-one for one in worths], nu, votes),
        chances(matchups, [one + 3 for one in worths], nu, votes),
    ]
    for other in others:
        assert [one.probability for one in other] == pytest.approx([one.probability for one in found], abs=1e-6)


@settings(max_examples=30)
@given(st.lists(st.floats(-4, 4), min_size=2, max_size=4), st.floats(0.05, 5))
def test_the_information_of_a_vote_is_the_curvature_of_its_likelihood(worths: list[float], nu: float) -> None:
    found = information_of_votes(worths, nu)

    def surprise(difference: float, outcome: int) -> float:
        parts = [exp(difference / 2), nu, exp(-difference / 2)]
        return -float(np.log(parts[outcome] / sum(parts)))

    for a, b in combinations(range(len(worths)), 2):
        difference, step = worths[a] - worths[b], 1e-3
        chance = [exp(-surprise(difference, outcome)) for outcome in range(3)]
        curvature = sum(
            p * (surprise(difference + step, k) - 2 * surprise(difference, k) + surprise(difference - step, k))
            for k, p in enumerate(chance)
        )
        assert found[a, b] == pytest.approx(curvature / step**2, rel=1e-3, abs=1e-6)


def test_what_is_expected_of_votes_is_what_simulated_votes_bring() -> None:
    """True strengths are drawn from what is believed; then votes are, and the belief is brought up to date."""
    worths, nu = np.array([0.6, 0.45, -0.2, -0.85]), 0.7
    votes = everywhere(4, 12)
    curve = information_of_votes(worths, nu)
    weighed = votes * curve * (1 - np.eye(4))
    precision = np.diag(weighed.sum(1) + 1 / PRIOR_SD**2) - weighed
    covariance = np.linalg.inv(precision)
    generator = np.random.default_rng(0)
    truth = generator.multivariate_normal(worths, covariance, size=200_000)
    pairs = list(combinations(range(4), 2))

    def right(believed: Array) -> Array:
        ordered = [((believed[:, a] - believed[:, b]) * (truth[:, a] - truth[:, b]) > 0) for a, b in pairs]
        return np.asarray(np.sum(ordered, axis=0, dtype=float))

    before = right(np.tile(worths, (len(truth), 1)))
    for (i, j), chance in zip(pairs, chances(all_pairs(4), worths.tolist(), nu, votes), strict=True):
        contrast = np.zeros(4)
        contrast[[i, j]] = 1, -1
        informed = AHEAD * curve[i, j]
        seen = truth @ contrast + generator.normal(0, informed**-0.5, len(truth))
        column = covariance @ contrast
        moved = (seen - worths @ contrast) / (contrast @ column + 1 / informed)
        gain = right(worths + moved[:, None] * column) - before
        assert chance.information == pytest.approx(gain.mean(), abs=4 * gain.std() / len(truth) ** 0.5)


def test_neighbours_are_asked_for_and_what_is_plain_is_not() -> None:
    found = of_pairs([2.0, 1.9, -1.8, -2.0], 30)
    plain = [found[pair] for pair in [(0, 2), (0, 3), (1, 2), (1, 3)]]
    for close in (found[0, 1], found[2, 3]):
        assert close.information > 5 * max(one.information for one in plain)
        assert close.probability > 5 * max(one.probability for one in plain)
    assert all(one.probability >= UNIFORM / 6 for one in plain)


def test_draws_are_in_proportion_to_a_power_so_that_two_alike_are_drawn_alike() -> None:
    """A greedy rule would send everybody to one of two alike until the next fit."""
    found = of_pairs([1.0, 0.9, -0.9, -1.0], 30)
    assert found[0, 1].probability == pytest.approx(found[2, 3].probability)
    told = {pair: (one.probability - UNIFORM / 6) / one.information**SHARPNESS for pair, one in found.items()}
    assert max(told.values()) == pytest.approx(min(told.values()))


def test_votes_make_further_votes_tell_less() -> None:
    few, many = (chances(all_pairs(2), [0.2, -0.2], 0.7, everywhere(2, votes))[0] for votes in (20, 2000))
    assert many.information < few.information / 4


def test_a_ranking_of_three_models_counts_as_two_votes_on_its_pairs() -> None:
    matchups = [*all_pairs(3), Matchup((0, 1, 2), 4)]
    *pairs, together = chances(matchups, [0.3, 0.0, -0.3], 0.7, everywhere(3, 10))
    assert together.information == pytest.approx(2 * sum(one.information for one in pairs) / 3)


def test_nothing_left_and_nothing_at_all_are_no_chances() -> None:
    assert chances([], [], 1.0, np.zeros((0, 0))) == ()
    found = chances(all_pairs(2, left=0), [0.0, 0.0], 1.0, everywhere(2, 3))
    assert [one.probability for one in found] == [0.0]
    alone = chances(all_pairs(2), [0.0, 0.0], 1.0, everywhere(2, 3))
    assert alone[0].probability == 1


def test_the_prior_is_the_leaderboards() -> None:
    assert PRIOR_SD == davidson.PRIOR_SD


@pytest.mark.parametrize("models", [(0,), (0, 0), (0, 2), (-1, 0), ()])
def test_a_matchup_of_what_is_not_there_is_refused(models: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="matchup"):
        chances([Matchup(models, 1)], [0.0, 0.0], 1.0, everywhere(2, 3))


def test_votes_that_do_not_fit_the_strengths_are_refused() -> None:
    with pytest.raises(ValueError, match="3 by 3"):
        chances([], [0.0, 0.0, 0.0], 1.0, everywhere(2, 3))
