"""Whether an answer to gold was right, and when an annotator is paused: the design's figures, recomputed."""

from __future__ import annotations

from itertools import permutations
from math import comb

import pytest
from easel.annotation.gold.scoring import LARGER, PAIRS, Cut, cut_of, failed, score
from hypothesis import given
from hypothesis import strategies as st

SPOILT_D = {"pairs": [["a", "d"], ["b", "d"], ["c", "d"]], "all_bad": None}
IN_ORDER = {"pairs": [["a", "b"], ["b", "c"]], "all_bad": None}


@pytest.mark.parametrize(
    ("answer", "ranking", "all_bad", "expected"),
    [
        (SPOILT_D, [["b"], ["a", "c"], ["d"]], False, True),
        (SPOILT_D, [["b"], ["a"], ["d"], ["c"]], False, False),
        (SPOILT_D, [["b"], ["a"], ["c", "d"]], False, False),  # level is not in order
        (SPOILT_D, [["a"], ["b"], ["c"]], False, None),  # the spoilt one was left out
        (SPOILT_D, [["d"]], False, None),  # nothing was compared
        (SPOILT_D, [["d"], ["a"]], False, False),  # wrong where something was said
        (SPOILT_D, [["a"], ["d"]], False, None),  # b and c are open
        (SPOILT_D, [], True, None),
        (SPOILT_D, [["a", "b", "c"], ["d"]], True, True),  # all are bad, and ranked all the same
        (IN_ORDER, [["a"], ["b"], ["c"]], False, True),
        (IN_ORDER, [["b"], ["a"], ["c"]], False, False),
        ({"pairs": [], "all_bad": True}, [], True, True),
        ({"pairs": [], "all_bad": True}, [["a"], ["b"]], True, True),
        ({"pairs": [], "all_bad": True}, [["a"], ["b"]], False, False),
        ({"pairs": [], "all_bad": False}, [["a"], ["b"]], False, True),
        ({"pairs": [["a", "b"]], "all_bad": False}, [], True, False),
        ({"pairs": [["a", "b"]], "all_bad": True}, [["b"], ["a"]], True, False),
        ({"pairs": [], "all_bad": None}, [["a"], ["b"]], False, None),
    ],
)
def test_an_answer_is_right_wrong_or_cannot_be_scored(
    answer: dict[str, object], ranking: list[list[str]], all_bad: bool, expected: bool | None
) -> None:
    assert score(answer, ranking, all_bad) is expected


@given(st.permutations("abcdef"), st.lists(st.sampled_from("abcdef"), unique=True, max_size=5))
def test_leaving_images_out_never_makes_an_answer_right(order: list[str], left_out: list[str]) -> None:
    pairs = [[better, worse] for at, better in enumerate("abcdef") for worse in "abcdef"[at + 1 :]]
    whole = score({"pairs": pairs}, [[one] for one in order], all_bad=False)
    part = score({"pairs": pairs}, [[one] for one in order if one not in left_out], all_bad=False)
    assert whole is (order == list("abcdef"))
    assert part is whole or (part is None and left_out)


def test_a_guesser_is_right_at_a_quarter_of_four_images_and_at_half_of_two() -> None:
    guesses = [score(SPOILT_D, [[one] for one in order], all_bad=False) for order in permutations("abcd")]
    assert (guesses.count(True), guesses.count(None), len(guesses)) == (6, 0, 24)
    both = [score({"pairs": [["a", "b"]]}, [[one] for one in order], all_bad=False) for order in permutations("ab")]
    assert both == [True, False]


def test_who_guesses_and_leaves_images_out_is_only_ever_wrong() -> None:
    scored = [score(SPOILT_D, [[one], [two]], all_bad=False) for one, two in permutations("abcd", 2)]
    assert scored.count(True) == 0
    assert scored.count(False) == 3


def passes(cut: Cut, right: float) -> float:
    """The probability that somebody who is right with this probability is not paused at a full window."""
    most = range(cut.least, cut.window + 1)
    return sum(comb(cut.window, k) * right**k * (1 - right) ** (cut.window - k) for k in most)


def test_the_windows_are_those_of_the_design() -> None:
    assert (cut_of(4), cut_of(3), cut_of(9), cut_of(2)) == (LARGER, LARGER, LARGER, PAIRS)
    assert round(100 * passes(LARGER, 1 / 4), 1) == 0.4
    assert round(100 * passes(PAIRS, 1 / 2), 1) == 5.8
    assert 100 * (1 - passes(LARGER, 0.95)) < 0.105  # 0.103 %: the design says 0.1
    assert 100 * (1 - passes(PAIRS, 0.95)) < 0.01


@given(st.text(alphabet="01", max_size=40), st.integers(2, 9))
def test_only_a_full_window_with_too_few_right_pauses(recent: str, images: int) -> None:
    window, least = (20, 14) if images == 2 else (10, 7)
    paused = failed(recent, images)
    assert paused is (len(recent) >= window and recent[-window:].count("1") < least)
    if paused:
        assert not failed("1" * window, images)
        assert not failed(recent[-window:][1:], images)


@given(st.text(alphabet="01", min_size=20, max_size=20), st.integers(2, 9))
def test_one_more_right_answer_never_pauses_who_was_not(recent: str, images: int) -> None:
    if not failed(recent, images):
        assert not failed(recent[1:] + "1", images) or recent[-cut_of(images).window] == "1"
