"""The split by prompt: deterministic, near duplicates together, nothing near a held-out prompt."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from easel.snapshots.splits import Shares, Splits, leak_among, near, near_pairs, words_of
from hypothesis import given, settings
from hypothesis import strategies as st

LONG = (
    "portrait of an old fisherman mending blue nets beside his wooden boat under heavy morning fog while seven hungry "
    "gulls circle above the harbour wall"
)
ICONS = [
    f"a {style} icon of a {colour} {thing} on a {ground} background"
    for style in ("3d", "flat", "line")
    for colour in ("red", "green", "tan", "blue")
    for thing in ("apple", "cap", "cat", "star", "strawberry")
    for ground in ("yellow", "grey", "white")
]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a red apple", "A  Red, Apple!"),
        ("a red apple", "the red apples"),
        ("red apple, 3d icon", "3d icon of a red apple"),
        ("ﬁsh & chips", "FISH chips"),
        ("glass", "Glass"),
        (LONG, LONG.replace("seven", "eight")),
        (LONG, LONG + ", 4k"),
        ("!!!", " !!! "),
    ],
)
def test_prompts_that_say_nearly_the_same_are_near(one: str, other: str) -> None:
    assert near(words_of(one), words_of(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a red apple", "a green apple"),
        ("a 3d icon of a red apple on a yellow background", "a 3d icon of a red apple on a white background"),
        (LONG, LONG.replace("seven hungry gulls", "three tired crows")),
        ("!!!", "???"),
        ("猫", "犬"),
        ("glass", "gla"),
    ],
)
def test_prompts_that_differ_in_what_they_show_are_not_near(one: str, other: str) -> None:
    assert not near(words_of(one), words_of(other))


WORDS = st.lists(st.sampled_from("bcdefghijklmno"), min_size=1, unique=True).map(
    lambda found: words_of(" ".join(found))
)


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, max_size=25, unique=True))
def test_the_filter_finds_the_very_pairs_that_comparing_all_with_all_finds(prompts: list[bytes]) -> None:
    every = {(a, b) for a, b in combinations(range(len(prompts)), 2) if near(prompts[a], prompts[b])}
    found = list(near_pairs(prompts))
    assert len(found) == len(set(found))
    assert set(found) == every


def test_most_prompts_are_for_training_and_the_shares_are_kept() -> None:
    texts = [f"an icon of thing{number} and other{number * 7}" for number in range(4_000)]
    counts = Counter(map(Splits(texts, [], Shares()).of, texts))
    assert set(counts) == {"train", "validation", "test"}
    assert abs(counts["train"] / 4_000 - 0.9) < 0.02
    assert abs(counts["validation"] / 4_000 - 0.05) < 0.015
    counts = Counter(map(Splits(texts, [], Shares(validation=0.3, test=0)).of, texts))
    assert set(counts) == {"train", "validation"}
    assert abs(counts["validation"] / 4_000 - 0.3) < 0.03


def test_the_split_depends_on_the_seed_and_not_on_the_order_or_on_what_else_there_is() -> None:
    one = Splits(ICONS, [], Shares())
    other = Splits([*reversed(ICONS), *(f"thing{number}" for number in range(50))], [], Shares())
    assert [one.of(text) for text in ICONS] == [other.of(text) for text in ICONS]
    reseeded = Splits(ICONS, [], Shares(seed=1))
    assert [one.of(text) for text in ICONS] != [reseeded.of(text) for text in ICONS]


def test_icons_of_one_template_are_prompts_of_their_own() -> None:
    assert Splits(ICONS, [], Shares()).groups == len(ICONS)


def test_near_duplicates_are_in_one_split_also_through_others() -> None:
    chain = [LONG, *(LONG.replace("seven", "eight") + extra for extra in ("", " today"))]
    split = Splits([*chain, *ICONS], [], Shares(validation=0.3, test=0.3))
    assert len({split.of(text) for text in chain}) == 1
    assert split.groups == 1 + len(ICONS)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text("ab c.", max_size=8), min_size=1, max_size=12),
    st.lists(st.text("ab c.", max_size=8), max_size=3),
    st.integers(0, 99),
)
def test_no_split_leaks_into_another_and_training_is_never_empty(
    texts: list[str], held_out: list[str], seed: int
) -> None:
    split = Splits(texts, held_out, Shares(validation=0.3, test=0.3, seed=seed))
    rows = [(text, found) for text in texts if (found := split.of(text))]
    assert leak_among(lambda: [*rows, *((text, "held out") for text in held_out)]) is None
    assert not rows or "train" in {found for _, found in rows}
    assert len({found for _, found in rows}) <= split.groups <= len(set(texts))


def test_what_is_near_a_held_out_prompt_is_in_no_split() -> None:
    split = Splits(["a red apple", "Red apples!", "a green apple"], ["the red apple"], Shares())
    assert [split.of(text) for text in ("a red apple", "Red apples!", "a green apple")] == [None, None, "train"]
    assert (split.held_out, split.groups) == (1, 1)


def test_a_leak_is_named() -> None:
    rows = [("a red apple", "train"), ("a fox", "test"), ("Red apples", "test")]
    leak = leak_among(lambda: rows)
    assert leak is not None
    assert (leak.prompt, leak.split, leak.other, leak.other_split) == ("a red apple", "train", "Red apples", "test")
    leak = leak_among(lambda: [(LONG, "held out"), ("a fox", "test"), (LONG.replace("seven", "eight"), "train")])
    assert leak is not None
    assert {leak.split, leak.other_split} == {"held out", "train"}
    assert leak_among(lambda: [("a red apple", "train"), ("a fox", "test"), ("Red apples", "train")]) is None


def test_one_prompt_alone_is_for_training() -> None:
    for seed in range(40):
        assert Splits(["a fox"], [], Shares(seed=seed)).of("a fox") == "train"
