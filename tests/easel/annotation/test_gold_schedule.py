"""How many of an annotator's items are gold or shown again: exact; and which: nobody can tell."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from uuid import UUID, uuid4

from easel.annotation.gold.schedule import FIRST, REPEATS_FROM, key_of, purpose_of
from hypothesis import given
from hypothesis import strategies as st

keys = st.binary(min_size=32, max_size=32)
shares = st.integers(0, 50)
repeat_shares = st.integers(0, 20)


def purposes(key: bytes, start: int, end: int, gold: int = 10, first: int = 25, repeat: int = 3) -> list[str]:
    """What the items of an annotator are for."""
    return [purpose_of(number, key, gold, first, repeat) for number in range(start, end)]


@given(keys)
def test_the_defaults_are_met_exactly(key: bytes) -> None:
    assert Counter(purposes(key, 0, FIRST)) == {"gold": 5, "rank": 15}
    assert Counter(purposes(key, FIRST, REPEATS_FROM)) == {"gold": 3, "rank": 27}
    assert Counter(purposes(key, 50, 150)) == {"gold": 10, "repeat": 3, "rank": 87}
    for start in range(50, 250, 20):
        assert Counter(purposes(key, start, start + 20))["gold"] == 2


@given(keys, shares, shares, repeat_shares, st.integers(0, 30))
def test_every_share_is_met_within_one_item_at_every_block_and_exactly_over_a_hundred(
    key: bytes, gold: int, first: int, repeat: int, block: int
) -> None:
    start = REPEATS_FROM + 20 * block
    assert abs(Counter(purposes(key, 0, FIRST, gold, first, repeat))["gold"] - FIRST * first / 100) < 1
    hundred = Counter(purposes(key, start, start + 100, gold, first, repeat))
    assert (hundred["gold"], hundred["repeat"]) == (gold, repeat)
    after_first = Counter(purposes(key, FIRST, start + 20, gold, first, repeat))
    assert abs(after_first["gold"] - (start + 20 - FIRST) * gold / 100) < 1
    assert abs(after_first["repeat"] - (start + 20 - REPEATS_FROM) * repeat / 100) < 1


@given(keys, shares, repeat_shares)
def test_nothing_is_shown_again_before_the_51st_item(key: bytes, gold: int, repeat: int) -> None:
    assert "repeat" not in purposes(key, 0, REPEATS_FROM, gold, gold, repeat)


@given(keys, st.integers(0, 5_000))
def test_a_number_always_has_the_same_purpose(key: bytes, number: int) -> None:
    assert purpose_of(number, key, 10, 25, 3) == purpose_of(number, key, 10, 25, 3)


@given(keys, st.integers(0, 200))
def test_without_shares_all_is_ranked(key: bytes, number: int) -> None:
    assert purpose_of(number, key, 0, 0, 0) == "rank"


def test_nobody_can_foresee_the_places() -> None:
    """Over many annotators every place of a block is gold as often as any other, whatever the one before it was."""
    project = uuid4()
    people = 1_500
    rows = [purposes(key_of("a secret", project, person), 50, 70) for person in range(people)]
    at = Counter(place for row in rows for place, what in enumerate(row) if what == "gold")
    expected = people * 0.1
    spread = (people * 0.1 * 0.9) ** 0.5
    assert all(abs(at[place] - expected) < 5 * spread for place in range(20))
    after_gold = Counter(two for row in rows for one, two in pairwise(row) if one == "gold")
    share = after_gold["gold"] / after_gold.total()
    assert 0.02 < share < 0.12  # 1 of the 19 others, or a little more: it is not kept apart


def test_annotators_projects_and_secrets_have_places_of_their_own() -> None:
    project = UUID(int=1)
    keys_of_all = [
        key_of("a secret", project, 1),
        key_of("a secret", project, 2),
        key_of("a secret", UUID(int=2), 1),
        key_of("another secret", project, 1),
    ]
    assert len({tuple(purposes(key, 0, 200)) for key in keys_of_all}) == 4
