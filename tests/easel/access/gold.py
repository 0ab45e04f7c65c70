"""Gold and training."""

from __future__ import annotations

from typing import Any

from easel.projects.models import Membership

from tests.easel.access.callers import MANAGERS, Row, act, api, page
from tests.easel.access.world import World

ROWS: dict[str, Row] = {
    "api:gold_items": {"GET": api(MANAGERS), "POST": api(MANAGERS, 201)},
    "api:gold": {"GET": api(MANAGERS), "PATCH": api(MANAGERS)},
    "api:gold_automatic": {"GET": api(MANAGERS, 204), "POST": api(MANAGERS, 202), "DELETE": api(MANAGERS, 204)},
    "api:gold_unanimous": {"GET": api(MANAGERS), "POST": api(MANAGERS, 409)},  # nothing is unanimous here
    "api:gold_waiting": {"POST": api(MANAGERS)},
    "api:training": {"GET": api(MANAGERS), "PATCH": api(MANAGERS)},
    "api:member_training": {"POST": api(MANAGERS)},
    "gold": {"GET": page(MANAGERS)},
    "new_gold": {"GET": page(MANAGERS), "POST": page(MANAGERS)},  # without an item, one is chosen first
    "gold_unanimous": {"GET": page(MANAGERS), "POST": act(MANAGERS)},
    "gold_automatic": {"GET": page(MANAGERS), "POST": act(MANAGERS)},
    "cancel_gold_automatic": {"POST": act(MANAGERS)},
    "look_at_gold": {"POST": act(MANAGERS)},
    "change_gold": {"POST": act(MANAGERS)},
    "gold_training": {"GET": page(MANAGERS), "POST": act(MANAGERS)},
    "member_training": {"POST": act(MANAGERS)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    project = world.cast.project
    ranks = Membership.objects.get(project=project, user=world.cast.bob)
    return {
        "api:gold": [world.gold.pk],
        "api:member_training": [project.pk, ranks.pk],
        "change_gold": [project.pk, world.gold.pk],
        "member_training": [project.pk, ranks.pk],
    }


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    images = [str(pk) for pk in world.item.candidates.values_list("pk", flat=True)]
    return {
        "api:gold_items": {"item": str(world.item.pk), "ranking": [[images[0]], images[1:]]},
        "api:gold": {"note": "The first is plainly the best."},
        "api:gold_automatic": {"count": 1},
        "api:gold_unanimous": {"items": [str(world.item.pk)]},
        "api:gold_waiting": {"use": [str(world.gold.pk)]},
        "api:training": {"training_required": False},
        "api:member_training": {"act": "let_pass"},
        "gold_automatic": {"count": 1, "kinds": ["blur"]},
        "look_at_gold": {"act": "use"},
        "change_gold": {"act": "retire"},
        "member_training": {"act": "let_pass"},
    }
