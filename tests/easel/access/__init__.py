"""The access matrix, an app a module. Each has ROWS (who gets which status), addresses() and bodies()."""

from __future__ import annotations

from typing import Any, Protocol

from tests.easel.access import (
    accounts,
    annotation,
    curate,
    evaluation,
    gold,
    images,
    projects,
    prompts,
    quality,
    registry,
    reviews,
    snapshots,
    templates,
    training,
)
from tests.easel.access.callers import Row
from tests.easel.access.world import World


class App(Protocol):
    """What a module of the matrix says."""

    ROWS: dict[str, Row]

    def addresses(self, world: World) -> dict[str, list[Any]]:
        """What the addresses name, where it is not the project."""

    def bodies(self, world: World) -> dict[str, dict[str, Any]]:
        """Bodies that somebody who may do it succeeds with."""


APPS: list[App] = [
    accounts,
    annotation,
    curate,
    evaluation,
    gold,
    images,
    projects,
    prompts,
    quality,
    registry,
    reviews,
    snapshots,
    templates,
    training,
]
