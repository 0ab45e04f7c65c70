"""The verdict says no more than the votes do."""

from __future__ import annotations

import pytest
from easel.evaluation.results import Vote, by_category, by_item, in_words, score_of, tally
from hypothesis import given
from hypothesis import strategies as st


def votes(*scores: float, prompts: int | None = None, category: str = "") -> list[Vote]:
    """Make votes, each about a prompt of its own unless they share some."""
    return [
        Vote(f"item {n}", f"prompt {n % (prompts or len(scores))}", category, "bob", score)
        for n, score in enumerate(scores)
    ]


def said(*scores: float, prompts: int | None = None) -> str:
    return in_words(tally(votes(*scores, prompts=prompts)), "Icons", "Icons 2")


@pytest.mark.parametrize(
    ("ranking", "all_bad", "score"),
    [
        ([["b"], ["a"]], False, 1),
        ([["a"], ["b"]], False, 0),
        ([["a", "b"]], False, 0.5),
        ([["b"], ["a"]], True, 1),
        ([], True, 0.5),
        ([["a"]], False, None),
        ([["a"]], True, None),
        ([], False, None),
    ],
)
def test_an_answer_scores_the_challenger(ranking: list[list[str]], all_bad: bool, score: float | None) -> None:
    assert score_of(ranking, "a", "b", all_bad=all_bad) == score


def test_two_that_stand_between_best_and_worst_were_not_compared() -> None:
    ranking = [["c"], ["a", "b"], ["d"]]
    assert score_of(ranking, "a", "b", ties_are_equal=False) is None
    assert score_of(ranking, "a", "c", ties_are_equal=False) == 1
    assert score_of(ranking, "c", "d", ties_are_equal=False) == 0


def test_a_clear_majority_is_better_and_a_clear_minority_worse() -> None:
    assert said(*[1.0] * 71, *[0.0] * 29).startswith("Better: Icons 2 wins 71% (")
    assert said(*[1.0] * 71, *[0.0] * 29).endswith(") of 100 blind comparisons.")
    assert said(*[1.0] * 29, *[0.0] * 71).startswith("Worse: Icons 2 wins 29% (")
    assert said(*[1.0] * 29, *[0.0] * 71).endswith(" against Icons.")


def test_half_of_the_votes_is_no_difference_and_ties_count_half() -> None:
    assert said(*[1.0] * 50, *[0.0] * 50).startswith("No clear difference: Icons 2 wins 50% (")
    counted = tally(votes(1, 0.5, 0.5, 0))
    assert (counted.won, counted.tied, counted.lost, counted.rate.estimate) == (1, 2, 1, 0.5)


def test_no_vote_and_ties_only_have_a_sentence_of_their_own() -> None:
    assert said() == "Nobody has judged yet."
    assert tally([]).outcome == "none"
    assert said(*[0.5] * 12) == "No difference was seen: all 12 blind comparisons were ties."
    assert said(0.5) == "No difference was seen: the one blind comparison was a tie."


def test_many_votes_about_one_prompt_prove_nothing_about_others() -> None:
    sentence = said(*[1.0] * 100, prompts=1)
    assert sentence.startswith("No clear difference") and "All are about one prompt" in sentence


def test_three_unanimous_prompts_are_not_enough_to_be_better() -> None:
    assert said(1.0, 1.0, 1.0).startswith("No clear difference: Icons 2 wins 100% (44 to 100)")


def test_votes_about_few_prompts_say_less_than_as_many_about_many() -> None:
    scores = [1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0] * 10
    few, many = tally(votes(*scores, prompts=8)).rate, tally(votes(*scores)).rate
    assert few.low is not None and few.high is not None and many.low is not None and many.high is not None
    assert few.high - few.low > 1.5 * (many.high - many.low)


def test_categories_are_told_apart_only_where_there_are_several() -> None:
    found = dict(by_category([*votes(1, 1, category="fruit"), *votes(0, 0.5, category="tools")]))
    assert found.keys() == {"fruit", "tools"}
    assert (found["fruit"].rate.estimate, found["tools"].rate.estimate) == (1, 0.25)
    assert by_category(votes(1, 0)) == []


def test_several_judges_of_one_comparison_are_averaged() -> None:
    two = [Vote("one", "p", "", annotator, score) for annotator, score in (("bob", 1.0), ("dave", 0.5))]
    assert by_item(two) == {"one": 0.75}


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), max_size=40), st.integers(1, 10))
def test_whatever_the_votes_there_is_one_sentence_and_the_interval_holds_the_rate(
    scores: list[float], prompts: int
) -> None:
    counted = tally(votes(*scores, prompts=prompts))
    assert in_words(counted, "A", "B").endswith((".", "others."))
    if scores:
        low, rate, high = counted.rate.low, counted.rate.estimate, counted.rate.high
        assert low is not None and rate is not None and high is not None
        assert 0 <= low <= rate + 1e-9 and rate - 1e-9 <= high <= 1
