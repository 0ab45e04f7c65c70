"""Generation requests and images."""

from __future__ import annotations

from typing import Any

from tests.easel.access.callers import INSPECTORS, MAKERS, MANAGERS, MEMBERS, Row, act, api, page
from tests.easel.access.world import World, picture_file

ROWS: dict[str, Row] = {
    "api:generations": {"GET": api(INSPECTORS), "POST": api(MAKERS, 202)},
    "api:generation": {"GET": api(INSPECTORS)},
    "api:generation_candidates": {"GET": api(INSPECTORS)},
    "api:generation_retries": {"POST": api(MAKERS, 202)},
    "api:generation_cancel": {"POST": api(MAKERS, 202)},
    "api:generation_pause": {"POST": api(MAKERS, 202)},
    "api:generation_resume": {"POST": api(MAKERS, 202)},
    "generations": {"GET": page(INSPECTORS), "POST": act(MAKERS)},
    "prompt_choices": {"GET": page(MAKERS)},
    "previews": {"GET": page(MAKERS), "POST": page(MAKERS), "DELETE": page(MAKERS)},
    "gallery": {"GET": page(INSPECTORS)},
    "side_by_side": {"GET": page(INSPECTORS)},
    "retry_generation": {"POST": act(MAKERS)},
    "pause_generation": {"POST": act(MAKERS)},
    "resume_generation": {"POST": act(MAKERS)},
    "cancel_generation": {"POST": act(MAKERS)},
    "image": {"GET": api(MEMBERS)},
    "api:images": {"POST": api(MANAGERS, 201)},
    "new_image_import": {"GET": page(MANAGERS), "POST": act(MANAGERS)},
    "image_import": {"GET": page(MANAGERS), "POST": act(MANAGERS)},
    "imported_picture": {"GET": page(MANAGERS)},
    "download": {"GET": api(INSPECTORS)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    return {
        "api:generation": [world.request.pk],
        "api:generation_candidates": [world.request.pk],
        "api:generation_retries": [world.request.pk],
        "api:generation_cancel": [world.waiting.pk],
        "api:generation_pause": [world.waiting.pk],
        "api:generation_resume": [world.paused.pk],
        "retry_generation": [world.request.pk],
        "cancel_generation": [world.waiting.pk],
        "pause_generation": [world.waiting.pk],
        "resume_generation": [world.paused.pk],
        "image": [world.candidate.pk],
        "download": [world.candidate.pk],
        "image_import": [world.cast.project.pk, world.images.pk],
        "imported_picture": [world.cast.project.pk, world.images.pk, 0],
    }


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    return {
        "api:generations": {"model": "Painter"},
        "generations": {"models": world.cast.model.pk, "images_per_prompt": 2},
        "previews": {"models": world.cast.model.pk, "images_per_prompt": 2},
        "api:images": {"files": picture_file(), "prompt": "a pear"},
        "new_image_import": {"images": picture_file(), "prompt": "a pear"},
    }
