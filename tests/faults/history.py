"""What clients were told of their submissions, held against the rows that are there afterwards. Knows no Django.

Each submission ends for its client in one of three ways. *ok*: the server acknowledged it; its row must be there, once,
as it was sent. *failed*: the server refused it, or it never left; no row may be there. *unknown*: the connection broke
before an answer came, and the client gave up; both are right.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """How a submission ended for its client."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Entry:
    """A line of a client's ledger: what was sent for an assignment, and what came of it."""

    assignment: str
    item: str
    annotator: str
    said: str
    outcome: Outcome
    annotation: str = ""  # as acknowledged


@dataclass(frozen=True)
class Row:
    """A stored annotation."""

    annotation: str
    assignment: str
    item: str
    annotator: str
    said: str
    counts: bool  # towards the item's overlap; surplus ones do not


def faults_of(ledger: Iterable[Entry], rows: Iterable[Row], most: int) -> list[str]:
    """Return everything that is wrong, in words; nothing where every acknowledged submission is there, once.

    `most`: how many annotations of an item may count.
    """
    entries, stored = list(ledger), list(rows)
    by_assignment = defaultdict(list)
    for row in stored:
        by_assignment[row.assignment].append(row)
    found = []
    for entry in entries:
        found += _faults_of_entry(entry, by_assignment[entry.assignment])
    known = Counter(entry.assignment for entry in entries)
    found += [f"assignment {one}: {times} lines in the ledgers" for one, times in known.items() if times > 1]
    found += [f"annotation {row.annotation}: nobody sent it" for row in stored if row.assignment not in known]
    people = Counter((row.item, row.annotator) for row in stored)
    found += [f"item {item}: {times} annotations by {who}" for (item, who), times in people.items() if times > 1]
    counted = Counter(row.item for row in stored if row.counts)
    found += [f"item {item}: {times} annotations count, not {most}" for item, times in counted.items() if times > most]
    return found


def _faults_of_entry(entry: Entry, rows: list[Row]) -> list[str]:
    name = f"assignment {entry.assignment}"
    if len(rows) > 1:
        return [f"{name}: doubled, {len(rows)} annotations"]
    if not rows:
        return [f"{name}: acknowledged and lost"] if entry.outcome is Outcome.OK else []
    [row] = rows
    if entry.outcome is Outcome.FAILED:
        return [f"{name}: refused and stored all the same"]
    found = []
    if entry.annotation not in {"", row.annotation}:
        found.append(f"{name}: acknowledged as {entry.annotation}, stored as {row.annotation}")
    if (row.item, row.annotator, row.said) != (entry.item, entry.annotator, entry.said):
        found.append(f"{name}: stored otherwise than it was sent")
    return found
