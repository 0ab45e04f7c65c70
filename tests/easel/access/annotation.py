"""Items, assignments, annotations and live attempts."""

from __future__ import annotations

from typing import Any

from tests import cast as stage
from tests.easel.access.callers import INSPECTORS, RANKERS, Row, api, bobs_own, page
from tests.easel.access.world import World

ROWS: dict[str, Row] = {
    "api:assignments": {"POST": api(RANKERS, 201)},
    "api:annotations": {"GET": api(INSPECTORS)},
    "api:progress": {"GET": api(RANKERS)},
    "api:attempts": {"GET": api(RANKERS), "POST": api(RANKERS, 202)},
    "api:attempt": {"GET": bobs_own()},
    "api:attempt_cancel": {"POST": bobs_own(202)},
    "api:assignment": {"GET": bobs_own()},
    "api:assignment_annotation": {"PUT": bobs_own(201)},
    "api:assignment_draft": {"PUT": bobs_own()},
    "api:assignment_skip": {"POST": bobs_own(201)},
    "api:assignment_reopening": {"POST": bobs_own()},
    "api:assignment_heartbeat": {"PUT": bobs_own()},
    "rank": {"GET": page(RANKERS)},
    "own_page": {"GET": page(RANKERS)},
    "annotations": {"GET": page(INSPECTORS)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    return {
        "api:attempts": [world.studio.pk],
        "api:attempt": [world.attempt.pk],
        "api:attempt_cancel": [world.attempt.pk],
        "api:assignment": [world.assignment.pk],
        "api:assignment_annotation": [world.assignment.pk],
        "api:assignment_draft": [world.assignment.pk],
        "api:assignment_skip": [world.assignment.pk],
        "api:assignment_reopening": [world.assignment.pk],
        "api:assignment_heartbeat": [world.assignment.pk],
    }


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    return {
        "api:attempts": {"values": {"prompt": "another live icon"}},
        "api:assignment_annotation": {"answers": stage.answers_for(world.assignment), "active_ms": 900},
        "api:assignment_draft": {"answers": {}, "version": 0},
        "api:assignment_skip": {"reason": "unsure"},
    }
