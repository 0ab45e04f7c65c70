"""Curate: items by filters, acts on many of them, saved queries and subsets."""

from __future__ import annotations

from typing import Any

from tests.easel.access.callers import INSPECTORS, MAKERS, MANAGERS, Row, act, api, page
from tests.easel.access.world import World

ROWS: dict[str, Row] = {
    "api:items": {"GET": api(INSPECTORS)},
    "api:bulk_acts": {"GET": api(INSPECTORS), "POST": api(MANAGERS, 202)},
    "api:bulk_act": {"GET": api(INSPECTORS)},
    "api:bulk_act_undo": {"POST": api(MANAGERS, 202)},
    "api:queries": {"GET": api(INSPECTORS), "POST": api(MAKERS, 201)},
    "api:query": {"DELETE": api(MAKERS, 204)},
    "api:subsets": {"GET": api(INSPECTORS), "POST": api(MAKERS, 201)},
    "api:subset": {"DELETE": api(MAKERS, 204)},
    "curate": {"GET": page(INSPECTORS)},
    "curated_item": {"GET": page(INSPECTORS)},
    "curated_table": {"GET": page(MAKERS)},
    "bulk_acts": {"POST": act(MANAGERS)},
    "bulk_act": {"GET": page(INSPECTORS)},
    "undo_bulk_act": {"POST": act(MANAGERS)},
    "save_query": {"POST": act(MAKERS)},
    "delete_query": {"POST": act(MAKERS)},
    "make_subset": {"POST": act(MAKERS)},
    "delete_subset": {"POST": act(MAKERS)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    return {
        "api:bulk_act": [world.bulk_act.pk],
        "api:bulk_act_undo": [world.bulk_act.pk],
        "api:query": [world.query.pk],
        "api:subset": [world.subset.pk],
        "curated_item": [world.assignment.item_id],
        "bulk_act": [world.bulk_act.pk],
        "undo_bulk_act": [world.bulk_act.pk],
        "delete_query": [world.query.pk],
        "delete_subset": [world.subset.pk],
    }


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    item = str(world.assignment.item_id)
    return {
        "api:bulk_acts": {"act": "priority", "priority": 5, "items": [item]},
        "api:queries": {"name": "Done ones", "filters": {"state": "done"}},
        "api:subsets": {"name": "Another"},
        "bulk_acts": {"act": "flag", "item": item, "sure": "yes"},
        "save_query": {"name": "Ready ones", "query": "state=ready"},
        "make_subset": {"name": "One more"},
    }
