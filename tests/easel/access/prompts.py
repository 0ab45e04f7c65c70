"""Prompts and what images start from."""

from __future__ import annotations

from typing import Any

from tests.easel.access.callers import INSPECTORS, MAKERS, MANAGERS, MEMBERS, Row, act, api, page
from tests.easel.access.world import World, picture_file

ROWS: dict[str, Row] = {
    "api:prompts": {"GET": api(INSPECTORS), "POST": api(MANAGERS, 201)},
    "prompts": {"GET": page(INSPECTORS)},
    "new_import": {"GET": page(MANAGERS), "POST": act(MANAGERS)},
    "prompt_import": {"GET": page(MANAGERS), "POST": act(MANAGERS)},
    "hold_out": {"POST": act(MANAGERS)},
    "api:conditioning": {"GET": api(INSPECTORS), "POST": api(MAKERS, 201)},
    "conditioning_picture": {"GET": api(MEMBERS)},
    "pictures": {"GET": page(INSPECTORS), "POST": act(MAKERS)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    return {"prompt_import": [world.cast.project.pk, world.preview.pk], "conditioning_picture": [world.picture.pk]}


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    return {
        "api:prompts": {"prompts": ["an icon of a pear"]},
        "new_import": {"text": "a pear\nan apple"},
        "hold_out": {"percent": 50},
        "api:conditioning": {"image": picture_file(), "kind": "image"},
        "pictures": {"image": picture_file(), "kind": "image"},
    }
