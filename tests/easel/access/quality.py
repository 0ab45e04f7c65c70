"""The quality of a project and of its annotators."""

from __future__ import annotations

from typing import Any

from tests.easel.access.callers import INSPECTORS, Row, api, page
from tests.easel.access.world import World

ROWS: dict[str, Row] = {
    "api:quality": {"GET": api(INSPECTORS)},
    "api:quality_annotators": {"GET": api(INSPECTORS)},
    "api:quality_table": {"GET": api(INSPECTORS)},
    "quality": {"GET": page(INSPECTORS)},
    "quality_table": {"GET": page(INSPECTORS)},
    "quality_person": {"GET": page(INSPECTORS)},
    "quality_person_table": {"GET": page(INSPECTORS)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    project, bob = world.cast.project.pk, world.cast.bob.pk
    return {
        "api:quality_table": [project, "annotators"],
        "quality_table": [project, "throughput"],
        "quality_person": [project, bob],
        "quality_person_table": [project, bob],
    }


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Nothing is sent to it."""
    return {}
