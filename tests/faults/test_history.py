"""The history checker finds what it is there to find: a good history with one fault planted has that fault."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.history import Entry, Outcome, Row, faults_of

OVERLAP = 2
History = tuple[list[Entry], list[Row]]


def history(items: int = 3, unknown: Set[int] = frozenset(), arrived: Set[int] = frozenset()) -> History:
    """Two annotators who rank every item; of some submissions they never heard, and some of those arrived."""
    ledger, rows = [], []
    for number in range(items * OVERLAP):
        item, who = f"item {number // OVERLAP}", f"annotator {number % OVERLAP}"
        heard = number not in unknown
        outcome = Outcome.OK if heard else Outcome.UNKNOWN
        annotation = f"annotation {number}" if heard else ""
        ledger.append(Entry(f"lease {number}", item, who, f"words {number}", outcome, annotation))
        if heard or number in arrived:
            rows.append(Row(f"annotation {number}", f"lease {number}", item, who, f"words {number}", counts=True))
    return ledger, rows


@given(unknown=st.sets(st.integers(0, 5)), arrived=st.sets(st.integers(0, 5)))
def test_submissions_that_were_never_answered_may_be_there_or_not(unknown: set[int], arrived: set[int]) -> None:
    assert faults_of(*history(unknown=unknown, arrived=arrived), OVERLAP) == []


@given(lost=st.integers(0, 5))
def test_an_acknowledged_submission_without_a_row_is_found(lost: int) -> None:
    ledger, rows = history()
    del rows[lost]
    assert faults_of(ledger, rows, OVERLAP) == [f"assignment lease {lost}: acknowledged and lost"]


@given(doubled=st.integers(0, 5))
def test_a_submission_with_two_rows_is_found(doubled: int) -> None:
    ledger, rows = history()
    found = faults_of(ledger, [*rows, replace(rows[doubled], annotation="a second one")], OVERLAP)
    assert f"assignment lease {doubled}: doubled, 2 annotations" in found


def test_a_second_annotation_of_an_item_by_the_same_person_under_another_lease_is_found() -> None:
    ledger, rows = history()
    ledger.append(replace(ledger[0], assignment="another lease", annotation="another"))
    rows.append(replace(rows[0], assignment="another lease", annotation="another", counts=False))
    assert faults_of(ledger, rows, OVERLAP) == ["item item 0: 2 annotations by annotator 0"]


def test_more_annotations_of_an_item_than_its_overlap_are_found_and_surplus_ones_are_not() -> None:
    ledger, rows = history()
    ledger.append(Entry("late", "item 1", "annotator 9", "late", Outcome.OK, "late"))
    surplus = Row("late", "late", "item 1", "annotator 9", "late", counts=False)
    assert faults_of(ledger, [*rows, surplus], OVERLAP) == []
    too_many = ["item item 1: 3 annotations count, not 2"]
    assert faults_of(ledger, [*rows, replace(surplus, counts=True)], OVERLAP) == too_many


def test_a_row_that_nobody_sent_is_found() -> None:
    ledger, rows = history()
    rows.append(Row("strange", "no lease", "item 9", "nobody", "", counts=False))
    assert faults_of(ledger, rows, OVERLAP) == ["annotation strange: nobody sent it"]


def test_a_refused_submission_that_was_stored_is_found() -> None:
    ledger, rows = history()
    ledger[4] = replace(ledger[4], outcome=Outcome.FAILED, annotation="")
    assert faults_of(ledger, rows, OVERLAP) == ["assignment lease 4: refused and stored all the same"]


@pytest.mark.parametrize("part", ["item", "annotator", "said"])
def test_a_row_that_says_something_else_is_found(part: str) -> None:
    ledger, rows = history()
    changed: dict[str, Any] = {part: "another"}
    rows[2] = replace(rows[2], **changed)
    assert "assignment lease 2: stored otherwise than it was sent" in faults_of(ledger, rows, OVERLAP)


def test_an_acknowledgement_of_another_row_is_found() -> None:
    ledger, rows = history()
    ledger[2] = replace(ledger[2], annotation="annotation 77")
    said = "assignment lease 2: acknowledged as annotation 77, stored as annotation 2"
    assert faults_of(ledger, rows, OVERLAP) == [said]


def test_two_lines_about_one_assignment_are_found() -> None:
    ledger, rows = history()
    assert faults_of([*ledger, ledger[0]], rows, OVERLAP) == ["assignment lease 0: 2 lines in the ledgers"]
