"""Models. Only site admins register them: tests/easel/registry."""

from __future__ import annotations

from typing import Any

from tests.easel.access.callers import Row, all_of
from tests.easel.access.world import World

ROWS: dict[str, Row] = {
    "api:models": {"GET": all_of(401, 200), "POST": all_of(401, 403)},
    "api:model": {"GET": all_of(401, 200)},
    "models": {"GET": all_of(302, 200)},
    "new_model": {"GET": all_of(302, 403), "POST": all_of(302, 403)},
    "model": {"GET": all_of(302, 200)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    return {"api:model": [world.cast.model.pk], "model": [world.cast.model.pk]}


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    return {}
