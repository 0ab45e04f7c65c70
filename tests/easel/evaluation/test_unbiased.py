"""However many judges the verdicts called for, what they say together is what people think, on average."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import product

import pytest
from easel.annotation.stopping import Rule
from easel.evaluation.unbiased import ALL_BAD, FIRST, SECOND, SILENT, TIE, kind_of, shares, weights
from hypothesis import given, settings
from hypothesis import strategies as st

rules = st.builds(
    lambda start, lead, more: Rule(start, lead, start + more), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3)
)


def endings(rule: Rule, chances: list[Fraction], telling: int) -> dict[tuple[int, ...], Fraction]:
    """Return how likely each count of votes is when a rule has enough."""
    going: dict[tuple[int, ...], Fraction] = {tuple(0 for _ in chances): Fraction(1)}
    ended: Counter[tuple[int, ...]] = Counter()
    while going:
        further: Counter[tuple[int, ...]] = Counter()
        for counts, chance in going.items():
            votes = sum(counts)
            ahead = sorted([*counts[:telling], 0, 0], reverse=True)
            if rule.wants(votes, ahead[0] - ahead[1]) == votes:
                ended[counts] += chance  # type: ignore[assignment]
                continue
            for kind, of_kind in enumerate(chances):
                further[tuple(one + (kind == place) for place, one in enumerate(counts))] += chance * of_kind  # type: ignore[assignment]
        going = dict(further)  # type: ignore[arg-type]
    return dict(ended)  # type: ignore[arg-type]


@settings(max_examples=40)
@given(rules, st.lists(st.integers(0, 5), min_size=3, max_size=4).filter(any), st.booleans())
def test_the_expected_share_is_the_true_one_whatever_the_rule(rule: Rule, odds: list[int], silent: bool) -> None:
    chances = [Fraction(one, sum(odds)) for one in odds]
    telling = len(chances) - silent
    found = endings(rule, chances, telling)
    assert sum(found.values()) == 1
    for kind, chance in enumerate(chances):
        expected = sum(float(q) * shares(counts, rule, telling=telling)[kind] for counts, q in found.items())
        assert expected == pytest.approx(float(chance), abs=1e-9)


def test_plain_means_are_not_unbiased() -> None:
    """What this is for: of votes that are right in 70 %, both means over what a lead of 3 stopped are off."""
    found = endings(Rule(3, 3, 9), [Fraction(7, 10), Fraction(3, 10)], 2)
    of_items = sum(float(q) * counts[0] / sum(counts) for counts, q in found.items())
    assert of_items == pytest.approx(0.757, abs=0.005)
    easy = endings(Rule(3, 3, 9), [Fraction(1, 20), Fraction(19, 20)], 2)
    close = endings(Rule(3, 3, 9), [Fraction(6, 10), Fraction(4, 10)], 2)
    wins = sum(float(q) * counts[0] for some in (easy, close) for counts, q in some.items())
    votes = sum(float(q) * sum(counts) for some in (easy, close) for counts, q in some.items())
    assert wins / votes > 0.4, "of half the items 5 %, of half 60 %: that is 32.5 %"


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_of_a_fixed_number_every_vote_counts_alike(kinds: list[int]) -> None:
    assert weights(kinds, Rule(len(kinds))) == pytest.approx([1 / len(kinds)] * len(kinds))


@given(st.lists(st.integers(0, 4), max_size=12), rules)
def test_weights_sum_to_1_and_votes_of_one_kind_weigh_alike(kinds: list[int], rule: Rule) -> None:
    """Also where the rule does not lead there, as after it was changed, or an answer was corrected."""
    found = weights(kinds, rule)
    assert sum(found) == pytest.approx(1 if kinds else 0)
    assert all(0 <= one <= 1 for one in found)
    for (one, weight), (other, as_well) in product(zip(kinds, found, strict=True), repeat=2):
        assert one != other or weight == as_well


@pytest.mark.parametrize(
    ("ranking", "all_bad", "equal", "kind"),
    [
        ([["a"], ["b"]], False, True, FIRST),
        ([["b"], ["a"]], False, True, SECOND),
        ([["a", "b"]], False, True, TIE),
        ([["a", "b"]], False, False, SILENT),
        ([["a"]], False, True, SILENT),
        ([], True, True, ALL_BAD),
        ([["a"], ["b"]], True, True, ALL_BAD),
    ],
)
def test_an_answer_is_of_the_kind_that_the_rule_sees(
    ranking: list[list[str]], all_bad: bool, equal: bool, kind: int
) -> None:
    assert kind_of(ranking, "a", "b", all_bad=all_bad, ties_are_equal=equal) == kind
