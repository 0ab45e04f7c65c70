"""Reliability: careless people are found, careful ones are not punished, and few answers prove nothing."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from crowdkit.aggregation import NoisyBradleyTerry
from easel.preferences.reliability import OVERLAPS, PRIOR, fit
from scipy.optimize import minimize

from finetune.types import Judgement
from tests.easel.preferences.answers import judged

MODE = (PRIOR[0] - 1) / (sum(PRIOR) - 2)
Items = list[list[Judgement]]


def simulated(people: dict[str, float], items: int, *, overlap: int = 3, images: int = 4, seed: int = 0) -> Items:
    """Return rankings by strengths of each item's own, guessed where an annotator is not judging."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(items):
        strengths = 1.5 * generator.normal(size=images)
        found.append(
            [
                Judgement(
                    annotator=str(name),
                    groups=tuple(
                        (int(image),)
                        for image in np.argsort(
                            -generator.gumbel(size=images) - strengths * (generator.random() < people[name])
                        )
                    ),
                )
                for name in generator.choice(list(people), overlap, replace=False)
            ]
        )
    return found


def log_likelihood(votes: list[tuple[int, int, int]], strengths: list[float], r: list[float]) -> float:
    """Return crowd-kit's log likelihood of votes (annotator, first, second), the first being preferred.

    Its parameters: a dummy, the strengths, each annotator's bias to one side (0: none), the logit of each r.
    """
    at = np.array([0.0, *strengths, *[0.0] * len(r), *(np.log(one / (1 - one)) for one in r)])
    rows = np.array([[1 + first, 1 + second, 1 + first] for _, first, second in votes])
    who = np.array([annotator for annotator, _, _ in votes])
    return -float(NoisyBradleyTerry._compute_log_likelihood(at, rows, who, len(strengths), len(r), 0.0))


@pytest.mark.parametrize(("one", "other", "apart"), [(0.9, 0.4, 1.2), (0.99, 0.98, 0.3), (0.5, 0.01, 4.0)])
def test_two_people_agree_as_noisy_bradley_terry_says(one: float, other: float, apart: float) -> None:
    agree = 0.0
    for ahead, (first, second) in product((apart, -apart), ((0, 1), (1, 0))):
        both = [(0, first, second), (1, first, second)]
        agree += np.exp(log_likelihood(both, [ahead, 0.0], [one, other])) / 2
    clear = 2 * (1 / (1 + np.exp(-apart)) - 0.5) ** 2
    assert agree == pytest.approx(0.5 + clear * one * other)


def test_crowd_kits_likelihood_puts_people_in_the_same_order() -> None:
    # Its own fit follows a gradient with wrong indexes (crowd-kit 1.4), so its likelihood is maximised here without it.
    people = {"p0": 0.98, "p1": 0.8, "p2": 0.55, "p3": 0.3, "p4": 0.05}
    generator = np.random.default_rng(2)
    strengths = [1.5, 0.0, -1.5]
    votes, items = [], []
    for _ in range(150):  # every person compares the same three images again and again, two at a time
        a, b = generator.choice(3, 2, replace=False)
        item = []
        for number, (name, r) in enumerate(people.items()):
            chance = r / (1 + np.exp(strengths[b] - strengths[a])) + (1 - r) / 2
            first, second = (int(a), int(b)) if generator.random() < chance else (int(b), int(a))
            votes.append((number, first, second))
            item.append(Judgement(annotator=name, groups=((first,), (second,))))
        items.append(item)
    theirs = minimize(
        lambda at: -log_likelihood(votes, list(at[:3]), list(1 / (1 + np.exp(-at[3:])))) + at @ at / 50,
        np.array([0.1, 0.0, -0.1, 1, 1, 1, 1, 1]),
        options={"maxiter": 60},
    ).x[3:]
    ours = [fit(items)[name].reliability for name in people]
    assert np.argsort(ours).tolist() == np.argsort(theirs).tolist() == [4, 3, 2, 1, 0]


def test_a_careless_annotator_among_careful_ones_is_found() -> None:
    found = fit(simulated({"alice": 0.95, "bob": 0.95, "dave": 0.95, "careless": 0.0}, 150))
    assert found["careless"].weight < 0.35
    assert all(found[name].weight > 0.75 for name in ("alice", "bob", "dave"))
    assert found["bob"].overlaps > OVERLAPS


@pytest.mark.parametrize(("images", "overlap"), [(2, 3), (4, 2), (9, 3)])
def test_reliabilities_come_in_the_order_of_the_truth(images: int, overlap: int) -> None:
    people = {"a": 1.0, "b": 0.9, "c": 0.5, "d": 0.0}
    found = fit(simulated(people, 800, images=images, overlap=overlap, seed=1))
    a, b, c, d = (found[name].reliability for name in people)
    assert min(a, b) > c + 0.1 > d + 0.2
    assert max(a, b) > 0.8 and d < 0.4


def test_people_of_one_kind_are_weighed_alike() -> None:
    for truth in (1.0, 0.6):
        found = fit(simulated(dict.fromkeys("abcdef", truth), 500, seed=3))
        weights = [one.weight for one in found.values()]
        assert min(weights) > 0.7 and max(weights) - min(weights) < 0.2


def test_fewer_than_thirty_overlaps_change_no_weight() -> None:
    found = fit(simulated({"alice": 1.0, "bob": 1.0, "careless": 0.0}, OVERLAPS - 1))
    assert {one.weight for one in found.values()} == {1.0}
    assert found["careless"].overlaps == OVERLAPS - 1
    found = fit(simulated({"alice": 1.0, "bob": 1.0, "careless": 0.0}, OVERLAPS))
    assert found["careless"].weight < found["bob"].weight < 1


@pytest.mark.parametrize("judgements", [judged(((0,), (1,))), judged(((0,), (1,)), ((1,), (0,)), all_bad=True)])
def test_who_shares_no_vote_with_anybody_is_taken_as_people_are(judgements: list[Judgement]) -> None:
    found = fit([judgements] * 100)
    assert found["person-0"].reliability == pytest.approx(MODE)
    assert found["person-0"].overlaps == 0
    assert found["person-0"].weight == 1


def test_no_items_and_ties_alone_have_answers() -> None:
    assert fit([]) == {}
    assert fit([[]]) == {}
    tied = fit([judged(((0, 1, 2),), ((0, 1, 2),))] * 50)
    assert all(0.8 < one.reliability <= 1 for one in tied.values())


def test_who_contradicts_the_others_has_no_weight_and_cannot_turn_theirs() -> None:
    items = simulated({"a": 1.0, "b": 1.0, "c": 1.0}, 200)
    for item in items:
        opposed = Judgement(annotator="contrary", groups=item[0].groups[::-1])
        item.append(opposed)
    found = fit(items)
    assert found["contrary"].weight < 0.1
    assert min(found[name].weight for name in "abc") > 0.75


def test_a_shared_ranking_of_three_counts_as_two_shared_pairs() -> None:
    pair, three = judged(((0,), (1,)), ((0,), (1,))), judged(((0,), (1,), (2,)), ((0,), (1,), (2,)))
    whole, paired = fit([three] * 40)["person-0"], fit([pair] * 80)["person-0"]
    assert whole.reliability == pytest.approx(paired.reliability, abs=1e-4)
    assert (whole.overlaps, paired.overlaps) == (40, 80)
