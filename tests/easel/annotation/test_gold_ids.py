"""Ids of copies name their originals' moment, to the millisecond."""

from __future__ import annotations

from uuid import UUID

from easel.annotation.gold.copies import moment_of
from easel.common.ids import uuid7_of
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1_600_000_000_000, 2_600_000_000_000))
def test_an_id_of_an_ids_moment_is_of_the_same_millisecond(milliseconds: int) -> None:
    pk = UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62)
    assert uuid7_of(moment_of(pk)).int >> 80 == milliseconds
