"""R15: every task that is run twice has the effect of once, for a broker delivers a message again when in doubt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import easel.celery  # noqa: F401 -- it registers the tasks of every app
import pytest
from django.apps import apps
from django.utils import timezone
from easel.annotation.distribution import change_overlap
from easel.annotation.gathering import gather
from easel.annotation.gold import automatic
from easel.annotation.models import BulkAct, BulkActItem
from easel.annotation.stopping import Rule
from easel.common.broker import app
from easel.common.models import Job
from easel.evaluation.scoring import claim_scores, request_scores
from easel.evaluation.simulation import start_simulation
from easel.images.hashing import hash_some
from easel.images.models import Candidate
from easel.images.services import request_images
from easel.projects.models import Project
from easel.registry.models import ModelVersion
from easel.snapshots.services import take_snapshot

from generation.types import Failure, Progress
from tests import cast as stage
from tests.cast import CLAIM, Cast
from tests.easel.evaluation.judging import WORKER, measure
from tests.easel.training import stage as training

# Renewed by each sign of life: a lease that is given twice is the same lease for a moment longer.
PASSING = {"lease_expires_at"}


def _claim(cast: Cast) -> dict[str, Any]:
    stage.generate(cast, stage.make_prompts(cast.project, *(f"icon {number}" for number in range(20))))
    return {"message": CLAIM.model_dump(mode="json")}


def _record(cast: Cast) -> dict[str, Any]:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox"))
    return {"message": stage.render(stage.claim()).model_dump(mode="json")}


def _preview(cast: Cast) -> dict[str, Any]:
    stage.make_items(cast, 1)
    return {"candidates": [str(pk) for pk in Candidate.objects.values_list("pk", flat=True)]}


def _gather(cast: Cast) -> dict[str, Any]:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox", "a hen"))
    stage.work_off()
    return {"project": str(cast.project.pk)}


def _progress(cast: Cast) -> dict[str, Any]:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox"))
    sign = Progress(lease=stage.claim().lease, done=1, total=4, step=3, steps=20, note="image 2 of 4")
    return {"message": sign.model_dump(mode="json")}


def _fail(cast: Cast) -> dict[str, Any]:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox"))
    failure = Failure(lease=stage.claim().lease, code="unexpected", reason="A bug.")
    return {"message": failure.model_dump(mode="json")}


def _claim_scores(cast: Cast) -> dict[str, Any]:
    stage.make_items(cast, 2, images=2)
    request_scores(Candidate.objects.all(), timezone.now(), judge="taste")
    return {"message": WORKER.model_dump(mode="json")}


def _record_scores(cast: Cast) -> dict[str, Any]:
    _claim_scores(cast)
    request = claim_scores(WORKER, timezone.now())
    assert request is not None
    return {"message": measure(request).model_dump(mode="json")}


def _advance(cast: Cast) -> dict[str, Any]:
    stage.make_items(cast, 2, images=2)
    start_simulation(cast.project, cast.alice, timezone.now(), taste="careless", rankings=2)
    return {}


def _sweep(cast: Cast) -> dict[str, Any]:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox"))
    stage.claim()
    Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    return {}


def _freeze(cast: Cast) -> dict[str, Any]:
    for text in ("a fox", "a hen"):
        stage.generate(cast, stage.make_prompts(cast.project, text))
    stage.work_off()
    gather(timezone.now(), cast.project)
    stage.annotate(cast.project, cast.bob, 2)
    take_snapshot(cast.project, cast.dave, timezone.now())
    return {}


def _claim_run(cast: Cast) -> dict[str, Any]:
    training.start(cast, training.frozen(cast))
    return {"message": training.CLAIM.model_dump(mode="json")}


def _report(cast: Cast) -> dict[str, Any]:
    training.start(cast, training.frozen(cast))
    return {"message": training.told(training.claim()).model_dump(mode="json")}


def _finish(cast: Cast) -> dict[str, Any]:
    training.start(cast, training.frozen(cast))
    return {"message": training.result(training.claim()).model_dump(mode="json")}


def _select(cast: Cast) -> dict[str, Any]:
    other = ModelVersion.objects.create(
        name="Painter 2", kind="adapter", base=cast.model, family="lora", location="storage:ab/cd.safetensors",
        sha256="ab" * 32, created_at=timezone.now(),
    )  # fmt: skip
    Project.objects.filter(pk=cast.project.pk).update(selection="active")
    prompts = stage.make_prompts(cast.project, "a hen", "a fox")
    request_images(cast.project, cast.model, prompts, cast.alice, timezone.now(), images_per_prompt=1, compared=[other])
    stage.work_off()
    gather(timezone.now())
    return {}


def _make_gold(cast: Cast) -> dict[str, Any]:
    stage.make_items(cast, 3)
    automatic.start(cast.project, cast.alice, timezone.now(), count=3, kinds=["blur", "noise", "blocks"])
    return {}


def _measure(cast: Cast) -> dict[str, Any]:
    stage.make_items(cast, 2)
    stage.annotate(cast.project, cast.bob, 2)
    return {}


def _liken(cast: Cast) -> dict[str, Any]:
    stage.make_items(cast, 2)
    return {"rounds": 1}


def _compare(cast: Cast) -> dict[str, Any]:
    stage.make_items(cast, 2, colours=1)
    hash_some()
    return {}


def _recount(cast: Cast) -> dict[str, Any]:
    stage.make_items(cast, 2)
    stage.annotate(cast.project, cast.bob, 2)
    change_overlap(cast.project, Rule(2), timezone.now())
    return {}


def _bulk_acts(cast: Cast) -> dict[str, Any]:
    items = stage.make_items(cast, 2)
    act = BulkAct.objects.create(project=cast.project, kind="flag", by=cast.alice, total=2, created_at=timezone.now())
    BulkActItem.objects.bulk_create(BulkActItem(act=act, item=item) for item in items)
    return {}


TASKS: dict[str, Callable[[Cast], dict[str, Any]]] = {
    "easel.evaluation.advance": _advance,
    "easel.evaluation.claim_scores": _claim_scores,
    "easel.evaluation.record_scores": _record_scores,
    "easel.evaluation.select": _select,
    "easel.annotation.bulk_acts": _bulk_acts,
    "easel.annotation.compare_images": _compare,
    "easel.annotation.gather": _gather,
    "easel.annotation.make_gold": _make_gold,
    "easel.annotation.recount": _recount,
    "easel.images.claim": _claim,
    "easel.images.liken": _liken,
    "easel.images.preview": _preview,
    "easel.images.record": _record,
    "easel.jobs.fail": _fail,
    "easel.jobs.progress": _progress,
    "easel.jobs.sweep": _sweep,
    "easel.preferences.measure": _measure,
    "easel.snapshots.freeze": _freeze,
    "easel.training.claim": _claim_run,
    "easel.training.finish": _finish,
    "easel.training.report": _report,
}


def everything(storage: Path) -> dict[str, Any]:
    """Return every row of every table, and every file."""
    rows: dict[str, Any] = {
        model._meta.label: [
            {name: value for name, value in row.items() if name not in PASSING}
            for row in model._default_manager.order_by("pk").values()
        ]
        for model in apps.get_models()
    }
    return {**rows, "files": sorted((path.name, path.stat().st_size) for path in storage.rglob("*") if path.is_file())}


def test_every_task_has_a_row_here() -> None:
    assert {name for name in app.tasks if not name.startswith("celery.")} - {"generation.ring"} == set(TASKS)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_task_that_is_run_twice_has_the_effect_of_once(name: str, cast: Cast, storage_folder: Path) -> None:
    arguments, message = TASKS[name](cast), str(uuid4())
    before = everything(storage_folder)
    first = app.tasks[name].apply(kwargs=arguments, task_id=message).get()
    once = everything(storage_folder)
    assert once != before, "the task did nothing, so this test would show nothing"
    second = app.tasks[name].apply(kwargs=arguments, task_id=message).get()
    assert everything(storage_folder) == once
    if name in {"easel.images.claim", "easel.evaluation.claim_scores"}:
        assert second == first
