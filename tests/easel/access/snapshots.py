"""Exports and snapshots."""

from __future__ import annotations

from typing import Any

from tests.easel.access.callers import INSPECTORS, MAKERS, Row, act, api, page
from tests.easel.access.world import World

ROWS: dict[str, Row] = {
    "api:export": {"GET": api(MAKERS)},
    "export": {"GET": page(MAKERS)},
    "api:snapshots": {"GET": api(INSPECTORS), "POST": api(MAKERS, 202)},
    "api:snapshot": {"GET": api(INSPECTORS)},
    "api:snapshot_download": {"GET": api(MAKERS)},
    "snapshots": {"GET": page(INSPECTORS)},
    "new_snapshot": {"GET": page(MAKERS), "POST": act(MAKERS)},
    "snapshot_count": {"GET": page(MAKERS)},
    "snapshot": {"GET": page(INSPECTORS)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    return {
        "api:snapshot": [world.snapshot.pk],
        "api:snapshot_download": [world.snapshot.pk],
        "snapshot": [world.cast.project.pk, world.snapshot.pk],
    }


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    return {"new_snapshot": {"validation": 5, "test": 5, "seed": 0}}
