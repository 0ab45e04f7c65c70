"""Fine-tune runs."""

from __future__ import annotations

from typing import Any

from tests.easel.access.callers import INSPECTORS, MAKERS, Row, act, api, page
from tests.easel.access.world import World

ROWS: dict[str, Row] = {
    "api:finetunes": {"GET": api(INSPECTORS), "POST": api(MAKERS, 202)},
    "api:finetune": {"GET": api(INSPECTORS)},
    "api:finetune_points": {"GET": api(INSPECTORS)},
    "api:finetune_retries": {"POST": api(MAKERS, 202)},
    "api:finetune_cancel": {"POST": api(MAKERS, 202)},
    "api:finetune_pause": {"POST": api(MAKERS, 202)},
    "api:finetune_resume": {"POST": api(MAKERS, 202)},
    "finetunes": {"GET": page(INSPECTORS), "POST": act(MAKERS)},
    "finetune_settings": {"GET": page(MAKERS)},
    "finetune": {"GET": page(INSPECTORS)},
    "finetune_figures": {"GET": page(INSPECTORS)},
    "finetune_sample": {"GET": page(INSPECTORS)},
    "retry_finetune": {"POST": act(MAKERS)},
    "pause_finetune": {"POST": act(MAKERS)},
    "resume_finetune": {"POST": act(MAKERS)},
    "cancel_finetune": {"POST": act(MAKERS)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    return {
        "api:finetune": [world.failed_run.pk],
        "api:finetune_points": [world.failed_run.pk],
        "api:finetune_retries": [world.failed_run.pk],
        "api:finetune_cancel": [world.waiting_run.pk],
        "api:finetune_pause": [world.waiting_run.pk],
        "api:finetune_resume": [world.paused_run.pk],
        "finetune": [world.cast.project.pk, world.failed_run.pk],
        "finetune_figures": [world.failed_run.pk],
        "finetune_sample": [world.failed_run.pk, 4, 0],
        "retry_finetune": [world.failed_run.pk],
        "cancel_finetune": [world.waiting_run.pk],
        "pause_finetune": [world.waiting_run.pk],
        "resume_finetune": [world.paused_run.pk],
    }


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    return {
        "api:finetunes": {"snapshot": str(world.snapshot.pk), "base_model": "Painter", "config": {"steps": 9}},
        "finetunes": {"snapshot": world.snapshot.pk, "base": world.cast.model.pk, "method": "dpo", "steps": "9"},
    }
