"""Bradley-Terry and Plackett-Luce: each against choix or evalica, against each other, and at the edges."""

from __future__ import annotations

from itertools import permutations, product
from math import inf, isfinite

import choix
import evalica
import numpy as np
import pytest
from easel.preferences import bradley_terry, plackett_luce
from easel.preferences.comparisons import Comparisons
from hypothesis import given
from hypothesis import strategies as st

from tests.easel.preferences.answers import Groups, drawn, groups, weights
from tests.easel.preferences.published import arena, needs_votes, pudding

WORTHS = np.array([1.0, 0.4, 0.0, -0.5, -0.9])
Rankings = list[tuple[Groups, float]]


@st.composite
def ranked(draw: st.DrawFn) -> tuple[int, Rankings]:
    """Draw weighted rankings of two to five things."""
    things = draw(st.integers(2, 5))
    return things, draw(st.lists(st.tuples(groups(things), weights), max_size=5))


def simulated(rankings: int, seed: int) -> list[Groups]:
    """Return rankings that Plackett-Luce's model makes of two to five of the things (Gumbel noise on the worths)."""
    generator = np.random.default_rng(seed)
    found: list[Groups] = []
    for _ in range(rankings):
        some = generator.permutation(len(WORTHS))[: generator.integers(2, len(WORTHS) + 1)]
        order = some[np.argsort(-(WORTHS[some] + generator.gumbel(size=len(some))))]
        found.append(tuple((int(one),) for one in order))
    return found


def test_bradley_terry_with_a_prior_is_what_choix_finds() -> None:
    rankings = simulated(60, seed=2)
    pairs = [(a[0], b[0]) for ranking in rankings for at, a in enumerate(ranking) for b in ranking[at + 1 :]]
    ours = bradley_terry.fit(Comparisons.of_rankings(5, rankings), prior_sd=1.5)
    theirs = choix.opt_pairwise(5, pairs, alpha=1 / (2 * 1.5**2), tol=1e-10)
    assert ours.log_worths == pytest.approx(theirs, abs=1e-5)


def test_bradley_terry_without_a_prior_is_what_evalica_finds_with_ties_at_half() -> None:
    votes = pudding()
    xs, ys, winners, counts = [], [], [], []
    for i, j in product(range(6), repeat=2):
        for winner, count in ((evalica.Winner.X, votes.wins[i, j]), (evalica.Winner.Draw, votes.ties[i, j] / 2)):
            if i != j:
                xs.append(i)
                ys.append(j)
                winners.append(winner)
                counts.append(count)
    theirs = evalica.bradley_terry(xs, ys, winners, weights=counts, tie_weight=0.5, tolerance=1e-12, limit=10_000)
    scores = np.log(theirs.scores.sort_index().to_numpy())
    ours = bradley_terry.fit(votes, prior_sd=inf)
    assert ours.log_worths == pytest.approx(scores - scores.mean(), abs=1e-5)


@needs_votes
@pytest.mark.parametrize("split", ["anony", "full"])
def test_an_arenas_published_order_is_met(split: str) -> None:
    votes, ratings = arena(split)
    found = bradley_terry.fit(votes)
    assert np.argsort(found.log_worths).tolist() == np.argsort(ratings).tolist()
    # Its ratings count ties as well, which lie nearer together; ours are of decisive votes.
    assert np.corrcoef(found.log_worths, ratings)[0, 1] > 0.99


def test_plackett_luce_with_a_prior_is_what_choix_finds() -> None:
    rankings = simulated(25, seed=3)
    ours = plackett_luce.fit(5, rankings, prior_sd=1.5)
    theirs = choix.opt_rankings(
        5, [tuple(one for (one,) in ranking) for ranking in rankings], alpha=1 / (2 * 1.5**2), tol=1e-10
    )
    assert ours.log_worths == pytest.approx(theirs, abs=1e-5)


@drawn
@given(st.integers(2, 5).flatmap(lambda things: st.tuples(st.just(things), st.data())))
def test_plackett_luce_of_pairs_is_bradley_terry(drawn_from: tuple[int, st.DataObject]) -> None:
    things, data = drawn_from
    pair = st.permutations(range(things)).map(lambda order: order[:2])
    rows = data.draw(st.lists(st.tuples(pair, st.booleans(), weights), max_size=8))
    rankings = [((a, b),) if tie else ((a,), (b,)) for (a, b), tie, _ in rows]
    counts = [weight for _, _, weight in rows]
    whole = plackett_luce.fit(things, rankings, counts)
    paired = bradley_terry.fit(Comparisons.of_rankings(things, rankings, counts))
    assert whole.log_worths == pytest.approx(paired.log_worths, abs=1e-6)
    assert whole.low == pytest.approx(paired.low, abs=1e-6)
    assert (whole.components, whole.separable) == (paired.components, paired.separable)


@pytest.mark.parametrize(
    "tied", [((0, 1),), ((0, 1), (2,)), ((2,), (0, 1, 3)), ((0, 1, 2), (3, 4)), ((3,), (0, 1, 2, 4))]
)
def test_a_tie_stands_for_all_of_its_orders_alike(tied: Groups) -> None:
    orders = [tuple((one,) for group in order for one in group) for order in product(*map(permutations, tied))]
    ours = plackett_luce.fit(5, [tied, *simulated(4, seed=9)])
    spread = plackett_luce.fit(5, [*orders, *simulated(4, seed=9)], [*[1 / len(orders)] * len(orders), *[1.0] * 4])
    assert ours.log_worths == pytest.approx(spread.log_worths, abs=1e-8)
    assert ours.high == pytest.approx(spread.high, abs=1e-8)


def test_simulated_rankings_give_their_worths_back_within_the_intervals() -> None:
    covered, runs = np.zeros(5), 50
    for seed in range(runs):
        found = plackett_luce.fit(5, simulated(60, seed=seed))
        covered += (np.array(found.low) < WORTHS) & (np.array(found.high) > WORTHS)
    assert 0.91 < covered.mean() / runs < 0.99, covered / runs


@drawn
@given(ranked(), st.randoms())
def test_relabelling_the_things_permutes_both_models(drawn_from: tuple[int, Rankings], random: object) -> None:
    things, rows = drawn_from
    places = list(range(things))
    random.shuffle(places)  # type: ignore[attr-defined]
    here = [ranking for ranking, _ in rows]
    there = [tuple(tuple(places[one] for one in group) for group in ranking) for ranking in here]
    counts = [weight for _, weight in rows]
    first, second = plackett_luce.fit(things, here, counts), plackett_luce.fit(things, there, counts)
    assert [second.log_worths[places[one]] for one in range(things)] == pytest.approx(first.log_worths, abs=1e-6)
    one, other = (bradley_terry.fit(Comparisons.of_rankings(things, some, counts)) for some in (here, there))
    assert [other.log_worths[places[at]] for at in range(things)] == pytest.approx(one.log_worths, abs=1e-6)
    turned = bradley_terry.fit(Comparisons.of_rankings(things, [ranking[::-1] for ranking in here], counts))
    assert turned.log_worths == pytest.approx([-worth for worth in one.log_worths], abs=1e-6)


@pytest.mark.parametrize("rankings", [[], [((0, 1, 2),)], [((0, 1, 2),)] * 100, [()], [((1,),)]])
def test_nothing_ties_alone_and_single_things_leave_all_equal(rankings: list[Groups]) -> None:
    found = plackett_luce.fit(3, rankings)
    assert found.log_worths == pytest.approx((0, 0, 0), abs=1e-9)
    assert all(map(isfinite, (*found.low, *found.high)))
    assert bradley_terry.fit(Comparisons.of_rankings(3, rankings)).log_worths == pytest.approx((0, 0, 0), abs=1e-9)
    assert plackett_luce.fit(0, []).log_worths == ()


def test_who_is_always_first_is_finite_and_told() -> None:
    found = plackett_luce.fit(4, [((0,), (1, 2)), ((0,), (2,), (1,))] * 500)
    assert found.separable and found.components == ((0, 1, 2), (3,))
    assert not found.connected
    assert all(map(isfinite, (*found.log_worths, *found.low, *found.high)))
    with pytest.raises(ValueError, match="give prior_sd"):
        plackett_luce.fit(2, [((0,), (1,))], prior_sd=inf)
    with pytest.raises(ValueError, match="give prior_sd"):
        bradley_terry.fit(Comparisons.of_rankings(2, [((0,), (1,))]), prior_sd=inf)


def test_rankings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="two different things of 0 to 1"):
        plackett_luce.fit(2, [((0,), (0,))])
    with pytest.raises(ValueError, match="two different things of 0 to 1"):
        plackett_luce.fit(2, [((0,), (2,))])
    with pytest.raises(ValueError, match="a tie of 13 images; at most 12 are taken"):
        plackett_luce.fit(13, [(tuple(range(13)),)])
