"""Being well, signing in, and one's own account."""

from __future__ import annotations

from typing import Any

from tests.easel.access.callers import Row, all_of, bobs_own
from tests.easel.access.world import World

ROWS: dict[str, Row] = {
    "healthz": {"GET": all_of(200, 200)},
    "readyz": {"GET": all_of(200, 200)},
    "api:schema": {"GET": all_of(200, 200)},
    "api:me": {"GET": all_of(401, 200)},
    "api:profile": {"GET": all_of(401, 200), "PUT": all_of(401, 200)},
    "sign_in": {"GET": all_of(200, 302), "POST": all_of(200, 302)},
    "sign_out": {"POST": all_of(302, 302)},
    "account": {"GET": all_of(302, 200), "POST": all_of(302, 200)},
    "profile": {"GET": all_of(302, 200), "POST": all_of(302, 200)},
    "delete_token": {"POST": bobs_own(302, anonymous=302)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    return {"delete_token": [world.token.token_key]}


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    return {
        "sign_in": {"username": "bob", "password": "wrong"},
        "account": {"name": "laptop"},
    }
