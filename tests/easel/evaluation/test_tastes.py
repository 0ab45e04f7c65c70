"""Simulated annotators rank by a known taste, and err as often as they are told to."""

from __future__ import annotations

from itertools import combinations, permutations
from random import Random

import pytest
from easel.evaluation.tastes import CARELESS, STYLES, TASTES, dispersion, disturbed, places, ranking, wrong_share
from hypothesis import given
from hypothesis import strategies as st

IMAGES = [
    {"is_3d": 0.98, "subject": 1.0, "warmth": -0.2, "coloured_background": 0.0},
    {"is_3d": 0.97, "subject": 0.0, "warmth": 0.8, "coloured_background": 1.0},
    {"is_3d": 0.02, "subject": 1.0, "warmth": 0.1, "coloured_background": 1.0},
    {"is_3d": 0.01, "subject": 1.0, "warmth": 0.3, "coloured_background": 0.0},
]


def place_of(groups: list[list[int]]) -> dict[int, int]:
    return {image: place for place, group in enumerate(groups) for image in group}


def wrong(truth: list[list[int]], said: list[list[int]]) -> tuple[int, int]:
    """Count the decided pairs that were said the wrong way round, and all decided pairs."""
    true, told = place_of(truth), place_of(said)
    decided = [(a, b) for a, b in combinations(sorted(true), 2) if true[a] != true[b]]
    return sum((true[a] < true[b]) != (told[a] < told[b]) for a, b in decided), len(decided)


@pytest.mark.parametrize(
    ("taste", "expected"),
    [
        ("3d", [[0], [1], [2, 3]]),
        ("warm", [[1], [3], [2], [0]]),
        ("coloured background", [[2], [1], [0, 3]]),
        ("subject", [[0, 2, 3], [1]]),
    ],
)
def test_a_taste_ranks_by_what_it_likes_and_then_by_the_subject(taste: str, expected: list[list[int]]) -> None:
    said = ranking(IMAGES, taste, noise=0, ties=0.1, chance=Random(1))
    assert [sorted(group) for group in said] == expected


def test_every_style_of_the_built_in_model_is_a_taste() -> None:
    from generation.builtin.data import STYLES as drawn

    assert drawn == STYLES
    assert {TASTES[style].measure for style in STYLES} == {f"is_{style.replace(' ', '_')}" for style in drawn}


def test_images_closer_than_the_tie_threshold_share_a_place_and_no_chain_of_them_grows() -> None:
    assert places([1.0, 0.875, 0.75, 0.625], 0.25) == [[0, 1], [2, 3]]
    assert places([0.5, 0.5, 0.5], 0) == [[0, 1, 2]]


@pytest.mark.parametrize("sizes", [(1, 1), (1, 1, 1, 1), (2, 2), (1, 3), (2, 1, 1), (3, 3, 3)])
@pytest.mark.parametrize("noise", [0.05, 0.2, 0.4])
def test_the_realised_share_of_wrong_pairs_is_the_noise(sizes: tuple[int, ...], noise: float) -> None:
    images = iter(range(9))
    truth = [[next(images) for _ in range(size)] for size in sizes]
    chance = Random(f"{sizes} {noise}")
    errors = pairs = 0
    for _ in range(3_000):
        said = disturbed(truth, noise, chance)
        one, of = wrong(truth, said)
        errors += one
        pairs += of
    assert errors / pairs == pytest.approx(noise, abs=0.03)  # about 4 standard errors


def test_the_model_is_mallows_every_ranking_weighs_phi_to_the_power_of_its_wrong_pairs() -> None:
    truth, noise = [[0], [1], [2]], 0.3
    phi = dispersion((1, 1, 1), noise)
    weights = {order: phi ** wrong(truth, [[one] for one in order])[0] for order in permutations(range(3))}
    chance, count = Random(5), 20_000
    found = dict.fromkeys(weights, 0)
    for _ in range(count):
        found[tuple(image for group in disturbed(truth, noise, chance) for image in group)] += 1
    for order, weight in weights.items():
        assert found[order] / count == pytest.approx(weight / sum(weights.values()), abs=0.01)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.floats(0, 0.5))
def test_the_dispersion_gives_the_share_that_was_asked_for(sizes: list[int], noise: float) -> None:
    assert wrong_share(sizes, dispersion(tuple(sizes), noise)) == pytest.approx(noise, abs=1e-9)


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=9), st.floats(0, 0.5), st.floats(0, 1), st.integers(2, 9), st.data()
)
def test_whatever_the_images_each_is_ranked_once_within_the_levels_of_the_form(
    liked: list[float], noise: float, ties: float, levels: int, data: st.DataObject
) -> None:
    taste = data.draw(st.sampled_from(sorted(TASTES)))
    scores = [{"is_3d": one, "warmth": one, "subject": round(one)} for one in liked]
    said = ranking(scores, taste, noise, ties, Random(1), levels)
    assert sorted(image for group in said for image in group) == list(range(len(liked)))
    assert all(said) and len(said) <= levels


def test_without_noise_nothing_is_wrong_and_a_careless_one_is_wrong_half_of_the_time() -> None:
    truth = places([TASTES["warm"].utility(one) for one in IMAGES], 0.05)
    assert disturbed(truth, 0, Random(3)) == truth
    errors = [wrong(truth, ranking(IMAGES, CARELESS, 0, 0.05, Random(seed))) for seed in range(2_000)]
    assert sum(one for one, _ in errors) / sum(of for _, of in errors) == pytest.approx(0.5, abs=0.02)


def test_a_noise_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match=r"from 0 to 0\.5, not 0\.7"):
        dispersion((1, 1), 0.7)


def test_the_same_chance_gives_the_same_ranking() -> None:
    assert ranking(IMAGES, "3d", 0.3, 0.1, Random("a")) == ranking(IMAGES, "3d", 0.3, 0.1, Random("a"))
