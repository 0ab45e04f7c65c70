"""R13: while the broker is away nobody who ranks hears of it, and what was asked for is done when it is back.

A true `./run up` whose Valkey is killed as often as the supervisor starts it, or hangs: then it takes connections and
answers none. EASEL_LONG_FAULTS=1 keeps it away for five minutes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from easel.embedded.processes import wait_until

from tests.faults.crowd import Crowd
from tests.faults.history import faults_of
from tests.faults.installation import Installation, installed
from tests.faults.processes import PATIENCE

pytestmark = pytest.mark.processes
LONG = bool(os.environ.get("EASEL_LONG_FAULTS"))
AWAY = 300 if LONG else 10  # seconds
ANNOTATORS, ITEMS = (16, 20_000) if LONG else (4, 500)
SOON = 30.0  # seconds
Away = Callable[[Installation], AbstractContextManager[None]]


@pytest.mark.parametrize("away", [Installation.without_broker, Installation.with_a_hung_broker])
def test_while_the_broker_is_away_people_rank_on_and_jobs_run_when_it_is_back(away: Away) -> None:
    with installed() as easel:
        annotators = easel.stocked(ANNOTATORS, ITEMS, 1, 0.3)
        project = annotators[0].project
        with Crowd(annotators) as crowd:
            assert wait_until(lambda: len(crowd.waits_since(0)) == ANNOTATORS, PATIENCE)
            began = time.monotonic()
            with away(easel):
                assert wait_until(lambda: not easel.has_broker(), PATIENCE)
                status, snapshot = easel.ask("POST", f"projects/{project}/snapshots/", {"name": "Meanwhile"})
                assert status in {201, 202}, snapshot
                time.sleep(AWAY)
                assert easel.ask("GET", f"snapshots/{snapshot['id']}/")[1]["state"] == "waiting"
                ended = time.monotonic()
            assert wait_until(easel.has_broker, PATIENCE)
            returned = time.monotonic()

            def is_done() -> bool:
                return easel.ask("GET", f"snapshots/{snapshot['id']}/")[1]["state"] in {"frozen", "failed"}

            assert wait_until(is_done, PATIENCE, step=0.2)
            took = time.monotonic() - returned
            assert crowd.is_whole
        rows = easel.rows(project)

    assert crowd.troubles_between(began, time.monotonic()) == []
    assert all(any(began < at < ended for at in person.acknowledged) for person in annotators)
    assert faults_of(crowd.ledger, rows, 1) == []
    print(f"the job was done {took:.1f} s after the broker's return")
    assert took <= SOON
