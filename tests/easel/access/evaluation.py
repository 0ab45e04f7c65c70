"""Evaluations, simulations and the leaderboard."""

from __future__ import annotations

from typing import Any

from tests.easel.access.callers import INSPECTORS, MAKERS, MANAGERS, Row, act, api, page
from tests.easel.access.world import World

ROWS: dict[str, Row] = {
    "api:evaluations": {"GET": api(INSPECTORS), "POST": api(MAKERS, 202)},
    "api:evaluation": {"GET": api(INSPECTORS)},
    "api:evaluation_promotion": {"POST": api(MANAGERS, 201)},
    "api:leaderboard": {"GET": api(INSPECTORS)},
    "api:simulations": {"GET": api(INSPECTORS), "POST": api(MANAGERS, 202)},
    "api:simulation": {"GET": api(INSPECTORS)},
    "evaluations": {"GET": page(INSPECTORS)},
    "new_evaluation": {"GET": page(MAKERS), "POST": act(MAKERS)},
    "evaluation": {"GET": page(INSPECTORS)},
    "promote": {"POST": act(MANAGERS)},
    "retry_evaluation": {"POST": act(MAKERS)},
    "leaderboard": {"GET": page(INSPECTORS)},
    "simulations": {"GET": page(MANAGERS), "POST": act(MANAGERS)},
    "cancel_simulation": {"POST": act(MANAGERS)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    return {
        "api:evaluation": [world.evaluation.pk],
        "api:evaluation_promotion": [world.evaluation.pk],
        "evaluation": [world.evaluation.pk],
        "promote": [world.evaluation.pk],
        "retry_evaluation": [world.evaluation.pk],
        "api:simulation": [world.simulation.pk],
        "cancel_simulation": [world.simulation.pk],
    }


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    return {
        "new_evaluation": {
            "a": world.cast.model.pk,
            "b": world.evaluation.b.pk,
            "which": "held_out",
            "who": "people",
            "images_per_prompt": 1,
            "overlap": 1,
        },
        "simulations": {"taste": "careless", "rankings": 5, "annotators": 1, "noise": 20},
        "api:evaluations": {"a": "Painter", "b": "Rival"},
        "api:simulations": {"taste": "careless", "rankings": 5},
    }
