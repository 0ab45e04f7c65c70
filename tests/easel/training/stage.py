"""Fine-tunes for tests: a frozen snapshot, runs of it, and a worker that answers through the true contracts."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from easel.common import jobs
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.services import freeze_next, take_snapshot
from easel.training import services
from easel.training.models import FinetuneRun

from finetune.types import MetricPoint, SampleGrid, StoredFile, TrainClaim, TrainReport, TrainRequest, TrainResult
from generation.storage import Storage
from generation.types import Failure
from tests import cast as stage
from tests.cast import Cast

CLAIM = TrainClaim(worker="train@here")


def frozen(cast: Cast, items: int = 3) -> DatasetSnapshot:
    """Rank items as erin, and freeze what she said."""
    stage.make_items(cast, items)
    stage.annotate(cast.project, cast.erin, items)
    made = take_snapshot(cast.project, cast.dave, timezone.now(), name="First rankings")
    assert freeze_next("a test")
    return DatasetSnapshot.objects.get(pk=made.pk)


def start(cast: Cast, snapshot: DatasetSnapshot, method: str = "listwise", **settings: Any) -> FinetuneRun:
    """Start a run as dave, the engineer."""
    return services.start_finetune(
        cast.project,
        cast.dave,
        timezone.now(),
        snapshot=snapshot,
        base=cast.model,
        method=method,
        settings=services.read_settings(settings),
    )


def claim() -> TrainRequest:
    """Claim the next run; there must be one."""
    request = services.claim_run(CLAIM, timezone.now())
    assert request is not None
    return request


def told(request: TrainRequest, steps: range = range(1, 5)) -> TrainReport:
    """What a worker tells of some steps, with the samples of the last one."""
    points = tuple(
        MetricPoint(
            step=step,
            values={
                "loss": 0.7 - 0.01 * step,
                "implicit_accuracy": 0.5 + 0.02 * step,
                "winner_error": -0.001 * step,
                "loser_error": 0.002 * step,
                "memory_mb": 500.0,
                "images_per_s": 12.0,
            }
            | ({"held_out_winner_error": 0.004, "held_out_implicit_accuracy": 0.6} if step % 4 == 0 else {}),
        )
        for step in steps
    )
    storage = Storage(request.storage_url)
    images = tuple(
        StoredFile(name=f"sample-{place}.png", key=storage.put(stage.draw(steps[-1] + place), "png"), bytes=70)
        for place in range(len(request.samples))
    )
    grids = (SampleGrid(step=steps[-1], images=images),) if images else ()
    return TrainReport(lease=request.lease, steps=200, points=points, grids=grids)


def result(request: TrainRequest, weights: bytes = b"weights") -> TrainResult:
    """What a worker hands in at the end."""
    key = Storage(request.storage_url).put(weights, "safetensors")
    return TrainResult(
        lease=request.lease,
        files=(StoredFile(name="pytorch_lora_weights.safetensors", key=key, bytes=len(weights)),),
        steps=200,
        values={"loss": 0.5, "seconds": 66.0},
        settings=request.settings.model_copy(update={"steps": 200}),
        commit="0123abc",
        versions={"torch": "2.13.0"},
        device="cpu",
    )


def failed(request: TrainRequest) -> None:
    """Give a run back as a worker does that ran out of memory."""
    reason = "a batch of 8 does not fit into the memory. Lower batch."
    jobs.fail(Failure(lease=request.lease, code="out_of_memory", reason=reason, retryable=False), timezone.now())
