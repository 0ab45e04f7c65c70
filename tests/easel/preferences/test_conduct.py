"""How an annotator works: who is honest raises no alarm, who guesses or clicks at the left does, and only two signs say
more.
"""

from __future__ import annotations

import numpy as np
import pytest
from easel.preferences.agreement import levels, on_pairs
from easel.preferences.conduct import (
    LEAST_ITEMS,
    Mean,
    consistency,
    counted,
    flags_of,
    habit,
    mean_of,
    place_name,
    position_bias,
    verdict_of,
)
from easel.preferences.figures import AnnotatorFigures, Flag, Share
from hypothesis import given
from hypothesis import strategies as st

from tests.easel.preferences.answers import drawn, judged

ROUNDS = 2_000
Counts = dict[tuple[int, int, int], int]


def firsts(generator: np.random.Generator, items: int, *, left: float = 0.0, images: int = 4) -> Counts:
    """Which place's image somebody ranks first who clicks at the left in a share of the items, and else judges."""
    places = generator.integers(images, size=items)
    places[generator.random(items) < left] = 0
    return {(images, 1, place): int(count) for place, count in enumerate(np.bincount(places)) if count}


def test_an_honest_person_is_seldom_beyond_three_standard_errors() -> None:
    generator = np.random.default_rng(0)
    alarms = sum(position_bias(firsts(generator, 200)).alarm is not None for _ in range(ROUNDS))
    # Four places, each beyond three errors in 0.27 % by the normal law; a count of 200 has a heavier upper tail.
    assert alarms / ROUNDS < 0.02
    assert alarms > 0, "an alarm that never rings by chance is not at three standard errors"


@pytest.mark.parametrize(("images", "left"), [(2, 0.4), (4, 0.3), (9, 0.2)])
def test_somebody_who_often_clicks_at_the_left_is_seen(images: int, left: float) -> None:
    generator = np.random.default_rng(1)
    found = [position_bias(firsts(generator, 200, left=left, images=images)) for _ in range(200)]
    assert sum(one.alarm == 0 for one in found) > 190


def test_the_alarm_says_its_numbers_and_what_to_do() -> None:
    position = position_bias({(4, 1, 0): 61, (4, 1, 1): 13, (4, 1, 2): 13, (4, 1, 3): 13})
    (flag,) = flags_of(AnnotatorFigures(position=position))
    assert flag.text == (
        "Ranks image A (at the left) first in 61% of 100 items; by chance it would be 25% ± 9%. Ask them to look at "
        "all images."
    )
    assert flag.numbers["share"] == 0.61
    assert flag.numbers["error"] == pytest.approx((0.25 * 0.75 / 100) ** 0.5)


def test_few_items_raise_no_alarm() -> None:
    assert position_bias({(4, 1, 0): LEAST_ITEMS - 1}).alarm is None
    assert position_bias({(4, 1, 0): LEAST_ITEMS}).alarm == 0


@given(st.lists(st.tuples(st.integers(2, 9), st.integers(1, 9), st.integers(0, 8)), max_size=60))
@drawn
def test_shares_of_places_and_of_chance_each_add_up_to_one(rows: list[tuple[int, int, int]]) -> None:
    counts: Counts = {}
    for shown, tied, start in rows:
        for step in range(min(tied, shown)):  # each of the images that share the first place is counted
            key = (shown, min(tied, shown), (start + step) % shown)
            counts[key] = counts.get(key, 0) + 1
    found = position_bias(counts)
    assert found.items == len(rows)
    if rows:
        assert sum(one.share for one in found.places) == pytest.approx(1)
        assert sum(one.chance for one in found.places) == pytest.approx(1)
        assert all(one.error >= 0 for one in found.places)


def test_tied_first_places_are_shared_and_vary_less() -> None:
    """Whoever ties two of four each time, drawn by chance, is within three errors as often as with one."""
    generator = np.random.default_rng(2)
    scores = []
    for _ in range(500):
        counts: Counts = {}
        for _ in range(100):
            for place in generator.permutation(4)[:2]:
                counts[4, 2, int(place)] = counts.get((4, 2, int(place)), 0) + 1
        place = position_bias(counts).places[0]
        scores.append((place.share - place.chance) / place.error)
    assert np.std(scores) == pytest.approx(1, abs=0.12)


def again(generator: np.random.Generator, repeats: int, noise: float) -> tuple[list[float], list[int]]:
    """A person ranks four images twice, each time by strengths of one to four plus noise."""
    shares = []
    for _ in range(repeats):
        one, other = (np.argsort(-(np.arange(4) + noise * generator.gumbel(size=4))) for _ in range(2))
        said = judged(*(tuple((int(image),) for image in order) for order in (one, other)))
        shares.append(on_pairs(*map(levels, said))[1])
    return shares, [6] * repeats


def test_who_guesses_differs_from_themselves_and_who_judges_does_not() -> None:
    generator = np.random.default_rng(3)

    def flagged(noise: float) -> float:
        found = [AnnotatorFigures(consistency=consistency(*again(generator, 30, noise))) for _ in range(60)]
        return sum(bool(flags_of(one)) for one in found) / len(found)

    assert flagged(1.0) == 0
    assert flagged(1_000.0) > 0.8


def test_consistency_of_few_or_equal_repeats_has_an_interval() -> None:
    assert consistency([], []) == Share()
    found = consistency([1.0] * 12, [6] * 12)
    assert found.rate == 1
    assert found.low is not None
    assert 0.7 < found.low < 1
    assert found.n == 12


def test_gold_flags_a_guesser_and_no_careful_person() -> None:
    generator = np.random.default_rng(4)

    def flagged(right: float, scored: int) -> float:
        passed = generator.binomial(scored, right, size=ROUNDS)
        return float(np.mean([bool(flags_of(AnnotatorFigures(gold=counted(int(one), scored)))) for one in passed]))

    assert flagged(0.95, 20) < 0.001
    assert flagged(0.5, 30) > 0.9
    assert flagged(0.5, 9) == 0, "too few to say"


def test_people_who_differ_in_taste_are_not_flagged_for_ties() -> None:
    generator = np.random.default_rng(5)
    alarms = 0
    for _ in range(300):
        rates = np.clip(generator.normal(0.2, 0.08, size=8), 0.01, 0.9)
        people = [Mean(400, float(rate), float(rate * (1 - rate))) for rate in rates]
        figures = AnnotatorFigures(ties=habit(people[0], people[1:]))
        alarms += bool(flags_of(figures))
    assert alarms / 300 < 0.05


def test_who_calls_everything_bad_is_flagged_beside_others_and_never_alone() -> None:
    others = [mean_of(4, 100), mean_of(7, 100), mean_of(2, 100)]
    (flag,) = flags_of(AnnotatorFigures(all_bad=habit(mean_of(90, 100), others)))
    assert flag.code == "all_bad"
    assert flag.text.startswith("Calls all images bad in 90% of items; others in 4%")
    alone = habit(mean_of(90, 100), [])
    assert (alone.rate, alone.others) == (0.9, None)
    assert flags_of(AnnotatorFigures(all_bad=alone)) == []
    assert flags_of(AnnotatorFigures(all_bad=habit(mean_of(9, 10), others))) == [], "too few to say"


def test_little_agreement_counts_only_against_others_who_agree() -> None:
    mine = Share(rate=0.51, low=0.48, high=0.54, n=200)
    known = AnnotatorFigures(agreement=mine, reliability=0.2, overlaps=200)
    assert flags_of(known) == [], "of two people nobody knows who is wrong"
    assert flags_of(known.model_copy(update={"others_agreement": 0.52})) == [], "a matter of taste"
    (flag,) = flags_of(known.model_copy(update={"others_agreement": 0.72}))
    assert flag.code == "agreement"


def flag(code: str) -> Flag:
    """A flag by its code alone."""
    return Flag(code=code, text=code, numbers={})


@pytest.mark.parametrize(
    ("codes", "recommends"),
    [
        ((), False),
        (("gold",), False),
        (("position",), False),
        (("speed",), False),
        (("position", "speed"), False),
        (("ties", "all_bad"), False),
        (("ties", "all_bad", "speed"), False),
        (("gold", "speed"), True),
        (("gold", "position"), True),
        (("consistency", "agreement"), True),
        (("position", "ties"), True),
    ],
)
def test_nobody_is_judged_by_one_number(codes: tuple[str, ...], recommends: bool) -> None:
    verdict = verdict_of([flag(code) for code in codes])
    assert bool(verdict) == recommends
    if recommends:
        assert verdict.startswith("Several signs point the same way: ")


def test_quick_answers_are_told_and_prove_nothing() -> None:
    (flag,) = flags_of(AnnotatorFigures(fast=counted(80, 100)))
    assert flag.code == "speed"
    assert "quick people may be right" in flag.text
    assert flags_of(AnnotatorFigures(fast=counted(40, 100))) == []


@pytest.mark.parametrize(
    ("place", "name"), [(0, "image A (at the left)"), (1, "image B"), (3, "image D (at the right)")]
)
def test_a_place_has_the_name_that_it_has_on_the_page(place: int, name: str) -> None:
    assert place_name(place, 4) == name


def test_an_honest_person_is_recommended_to_nobody() -> None:
    """All flags together, on simulated honest people: one in a hundred has a flag, and nobody two."""
    generator = np.random.default_rng(6)
    flagged = recommended = 0
    for _ in range(300):
        figures = AnnotatorFigures(
            position=position_bias(firsts(generator, 150)),
            gold=counted(int(generator.binomial(20, 0.95)), 20),
            consistency=consistency(*again(generator, 12, 1.0)),
            fast=counted(int(generator.binomial(150, 0.1)), 150),
        )
        flags = flags_of(figures)
        flagged += bool(flags)
        recommended += bool(verdict_of(flags))
    assert flagged / 300 < 0.04
    assert recommended == 0
