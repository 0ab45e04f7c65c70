"""Paired comparisons with ties: the published fit, another library, another optimiser, limits and simulations."""

from __future__ import annotations

from itertools import product
from math import inf, isfinite, log

import evalica
import numpy as np
import pytest
from easel.preferences import bradley_terry, davidson
from easel.preferences.comparisons import Comparisons
from easel.preferences.newton import Array, maximise
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize

from tests.easel.preferences.answers import drawn, few
from tests.easel.preferences.published import PUDDING_NU, PUDDING_WORTHS, pudding


@st.composite
def counted(draw: st.DrawFn) -> Comparisons:
    """Draw votes between two to five things, some never compared."""
    things = draw(st.integers(2, 5))
    wins, ties = (
        draw(hnp.arrays(float, (things, things), elements=st.sampled_from([0, 0, 0, 1, 2, 5, 0.5]))) for _ in range(2)
    )
    np.fill_diagonal(wins, 0)
    np.fill_diagonal(ties, 0)
    return Comparisons(wins, np.triu(ties) + np.triu(ties).T)


def voted(worths: Array, nu: float, votes: int, seed: int) -> tuple[list[int], list[int], list[float]]:
    """Return votes that Davidson's model makes: the first, the second, and the score of the first."""
    generator = np.random.default_rng(seed)
    first = generator.integers(len(worths), size=votes)
    second = (first + generator.integers(1, len(worths), size=votes)) % len(worths)
    half = (worths[first] - worths[second]) / 2
    chance = generator.random(votes) * (np.exp(half) + np.exp(-half) + nu)
    scores = np.where(chance < np.exp(half), 1.0, np.where(chance < np.exp(half) + nu, 0.5, 0.0))
    return first.tolist(), second.tolist(), scores.tolist()


def test_the_published_fit_of_the_pudding_is_met() -> None:
    found = davidson.fit(pudding(), prior_sd=inf, tie_prior_sd=inf)
    assert found.worths == pytest.approx(PUDDING_WORTHS, abs=2e-4)
    assert found.nu == pytest.approx(PUDDING_NU, abs=2e-4)
    assert found.connected and not found.separable
    assert found.nu_low < found.nu < found.nu_high


def test_newmans_algorithm_of_evalica_finds_the_same() -> None:
    first, second, scores = voted(np.array([1.0, 0.3, 0.0, -0.4, -0.9]), nu=0.6, votes=2000, seed=5)
    ours = davidson.fit(Comparisons.of_votes(5, first, second, scores), prior_sd=inf, tie_prior_sd=inf)
    winners = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    theirs = evalica.newman(first, second, [winners[score] for score in scores], tolerance=1e-12, limit=10_000)
    scores_of = np.log(theirs.scores.sort_index().to_numpy())
    assert ours.log_worths == pytest.approx(scores_of - scores_of.mean(), abs=1e-5)
    assert ours.nu == pytest.approx(2 * theirs.v, abs=1e-5)  # Newman's v is half of Davidson's nu


def loss(votes: Comparisons, at: Array) -> float:
    """Return the negated log posterior at (log worths, log nu), priors of standard deviation 2, pair by pair."""
    things = len(votes.wins)
    value = np.sum(at**2) / 8
    for i in range(things):
        for j in range(i):
            apart, log_nu = at[i] - at[j], at[things]
            log_total = np.logaddexp(np.logaddexp(apart / 2, -apart / 2), log_nu)
            value -= votes.wins[i, j] * (apart / 2 - log_total) + votes.wins[j, i] * (-apart / 2 - log_total)
            value -= votes.ties[i, j] * (log_nu - log_total)
    return float(value)


@few
@given(counted())
def test_another_optimiser_finds_no_better_answer(votes: Comparisons) -> None:
    things = len(votes.wins)
    expected = minimize(lambda at: loss(votes, at), np.zeros(things + 1), tol=1e-12).x
    found = davidson.fit(votes, prior_sd=2, tie_prior_sd=2)
    assert found.log_worths == pytest.approx(expected[:things] - expected[:things].mean(), abs=2e-4)
    assert log(found.nu) == pytest.approx(expected[things], abs=2e-4)


def test_the_intervals_are_those_of_the_curvature_at_the_maximum() -> None:
    votes, step = pudding(), 1e-3
    found = davidson.fit(votes, prior_sd=2, tie_prior_sd=2)
    at, moves = np.array([*found.log_worths, log(found.nu)]), np.eye(7) * step
    curve = np.array(
        [
            [
                sum(a * b * loss(votes, at + a * one + b * other) for a, b in product((1, -1), repeat=2))
                / (4 * step**2)
                for other in moves
            ]
            for one in moves
        ]
    )
    covariance = np.linalg.inv(curve)
    centre = np.eye(6) - 1 / 6
    errors = np.sqrt(np.diag(centre @ covariance[:6, :6] @ centre))
    assert np.subtract(found.high, found.log_worths) == pytest.approx(1.959964 * errors, rel=1e-4)
    assert log(found.nu_high / found.nu) == pytest.approx(1.959964 * np.sqrt(covariance[6, 6]), rel=1e-4)


def test_without_ties_it_is_the_bradley_terry_model() -> None:
    votes = pudding()
    decisive = Comparisons(votes.wins, np.zeros_like(votes.ties))
    with_ties, without = davidson.fit(decisive, tie_prior_sd=8), bradley_terry.fit(decisive)
    assert with_ties.nu < 1e-2
    assert with_ties.log_worths == pytest.approx(without.log_worths, abs=1e-3)


def test_simulated_strengths_are_recovered_within_their_intervals() -> None:
    worths = np.array([0.8, 0.3, 0.0, -0.3, -0.8])
    covered, runs = np.zeros(6), 100
    for seed in range(runs):
        found = davidson.fit(Comparisons.of_votes(5, *voted(worths, nu=0.7, votes=400, seed=seed)))
        covered[:5] += (np.array(found.low) < worths) & (worths < np.array(found.high))
        covered[5] += found.nu_low < 0.7 < found.nu_high
    assert (np.abs(covered / runs - 0.95) < 0.07).all(), covered / runs
    large = davidson.fit(Comparisons.of_votes(5, *voted(worths, nu=0.7, votes=100_000, seed=1)))
    assert large.log_worths == pytest.approx(worths, abs=0.04)
    assert large.nu == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("things", [0, 1, 4])
def test_no_votes_at_all_have_an_answer(things: int) -> None:
    found = davidson.fit(Comparisons.of_votes(things, [], [], []))
    assert found.log_worths == pytest.approx([0.0] * things)
    assert found.nu == pytest.approx(1)
    assert len(found.components) == things
    assert not found.separable
    clustered = davidson.fit_clustered(things, [], [], [], [])
    assert clustered == found


def test_ties_alone_leave_all_equal_and_nu_large() -> None:
    found = davidson.fit(Comparisons.of_votes(3, [0, 1, 2] * 50, [1, 2, 0] * 50, [0.5] * 150))
    assert found.log_worths == pytest.approx((0, 0, 0), abs=1e-9)
    assert 10 < found.nu < 1e4
    assert found.connected and not found.separable


def test_who_never_loses_gets_a_finite_strength_and_the_result_says_so() -> None:
    found = davidson.fit(Comparisons.of_votes(3, [0] * 100 + [1, 2], [1] * 100 + [2, 1], [1] * 102))
    assert found.separable and found.connected
    assert all(map(isfinite, (*found.low, *found.high)))
    assert found.log_worths[0] > 2
    with pytest.raises(ValueError, match="give prior_sd"):
        davidson.fit(Comparisons.of_votes(2, [0], [1], [1]), prior_sd=inf)


def test_groups_that_were_never_compared_are_named_and_their_intervals_are_wide() -> None:
    apart = Comparisons.of_votes(5, [0, 1, 2, 3] * 200, [1, 0, 3, 2] * 200, [1, 1, 1, 1] * 200)
    found = davidson.fit(apart)
    assert found.components == ((0, 1), (2, 3), (4,))
    assert not found.connected
    joined = davidson.fit(Comparisons(apart.wins + 0.01, apart.ties))
    assert joined.connected
    assert found.high[0] - found.low[0] > 3


def test_without_a_prior_a_nu_of_zero_or_infinity_is_refused() -> None:
    with pytest.raises(ValueError, match="give tie_prior_sd"):
        davidson.fit(Comparisons.of_votes(2, [0, 1], [1, 0], [1, 1]), tie_prior_sd=inf)
    with pytest.raises(ValueError, match="above 0"):
        davidson.fit(pudding(), prior_sd=0)
    with pytest.raises(ValueError, match=r"between 0 and 1, as 0\.95"):
        davidson.fit(pudding(), level=95)


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        (([0], [2], [1]), "two different things of 0 to 1"),
        (([0], [0], [1]), "two different things"),
        (([0], [1], [0.3]), "a vote scores 1"),
        (([0, 1], [1], [1]), "as many first things"),
        (([0], [1], [1], [-1]), "weight of a vote"),
    ],
)
def test_votes_that_cannot_be_are_refused(votes: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Comparisons.of_votes(2, *votes)


@drawn
@given(counted(), st.randoms())
def test_relabelling_permutes_and_reversing_negates_the_strengths(votes: Comparisons, random: object) -> None:
    order = list(range(len(votes.wins)))
    random.shuffle(order)  # type: ignore[attr-defined]
    here = davidson.fit(votes)
    moved = davidson.fit(Comparisons(votes.wins[np.ix_(order, order)], votes.ties[np.ix_(order, order)]))
    assert moved.log_worths == pytest.approx([here.log_worths[one] for one in order], abs=1e-6)
    assert moved.high == pytest.approx([here.high[one] for one in order], abs=1e-6)
    back = davidson.fit(Comparisons(votes.wins.T, votes.ties))
    assert back.log_worths == pytest.approx([-one for one in here.log_worths], abs=1e-6)
    assert back.nu == pytest.approx(here.nu)
    assert back.separable == here.separable and back.components == here.components


def test_the_probabilities_of_a_pair_follow_the_model() -> None:
    found = davidson.fit(pudding())
    up, tie, down = found.win(5, 0)
    assert up + tie + down == pytest.approx(1)
    assert up > down
    w = found.worths
    assert up == pytest.approx(w[5] / (w[5] + w[0] + found.nu * (w[5] * w[0]) ** 0.5))


def test_votes_of_one_prompt_count_as_one_witness() -> None:
    first, second, scores = voted(np.array([0.6, 0.0, -0.6]), nu=0.5, votes=200, seed=3)
    prompts = list(range(200))
    once = davidson.fit_clustered(3, first, second, scores, prompts)
    tenfold = davidson.fit_clustered(3, first * 10, second * 10, scores * 10, prompts * 10)
    independent = davidson.fit(Comparisons.of_votes(3, first * 10, second * 10, scores * 10))
    width = np.subtract(once.high, once.low)
    assert np.subtract(tenfold.high, tenfold.low) == pytest.approx(width, rel=0.2)
    assert (np.subtract(independent.high, independent.low) < width / 2).all()


def test_the_bootstrap_is_repeatable_and_never_narrower_than_the_information() -> None:
    votes = voted(np.array([0.6, 0.0, -0.6]), nu=0.5, votes=60, seed=3)
    clusters = [vote // 3 for vote in range(60)]
    found = davidson.fit_clustered(3, *votes, clusters, seed=7)
    assert found == davidson.fit_clustered(3, *votes, clusters, seed=7)
    assert found != davidson.fit_clustered(3, *votes, clusters, seed=8)
    plain = davidson.fit(Comparisons.of_votes(3, *votes))
    assert found.log_worths == plain.log_worths
    assert all(a <= b for a, b in zip(found.low, plain.low, strict=True))
    assert all(a >= b for a, b in zip(found.high, plain.high, strict=True))
    unanimous = davidson.fit_clustered(2, [0] * 5, [1] * 5, [1] * 5, range(5))
    assert unanimous.low[0] < 0.5 < unanimous.log_worths[0]


def test_weights_of_votes_count_as_votes() -> None:
    votes = voted(np.array([0.6, 0.0, -0.6]), nu=0.5, votes=90, seed=4)
    twice = davidson.fit(Comparisons.of_votes(3, *(np.tile(one, 2) for one in votes)))
    weighed = davidson.fit(Comparisons.of_votes(3, *votes, np.full(90, 2.0)))
    assert weighed.log_worths == pytest.approx(twice.log_worths, abs=1e-8)
    assert weighed.high == pytest.approx(twice.high, abs=1e-8)


def test_a_step_that_is_no_number_is_an_error_and_not_halved_for_ever() -> None:
    def boundless(at: Array) -> tuple[Array, Array, Array]:
        return np.zeros(()), np.array([np.inf]), np.eye(1)

    with pytest.raises(ArithmeticError, match="no finite number"):
        maximise(boundless, np.zeros(1))
