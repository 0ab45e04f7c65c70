"""The training worker: `celery -A finetune.worker worker -Q train -P solo -n train@%h`.

No Django, no database password. A bell (`finetune.ring`) has no content and is acknowledged at once; on a bell the
worker claims runs, and images to be scored, until there are none. Each run is trained in a process of its own, so a
worker at rest is small: torch is imported here only for the first score. See finetune/README.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Event
from typing import Any

from celery import signals

from finetune.env import TrainEnvironment
from finetune.link import TrainLink
from finetune.round import Round
from finetune.types import ScoreRequest, ScoreResult, TrainClaim
from generation.doorbell import app_of
from generation.env import quieten_libraries, read_environment
from generation.storage import Storage

environment = read_environment(TrainEnvironment)
quieten_libraries(hub_download=environment.hub_download)
app = app_of("finetune", environment, queue="train")
link = TrainLink(app, claim_seconds=environment.claim_seconds, send_seconds=environment.send_seconds)
stop = Event()


@signals.worker_shutting_down.connect(weak=False)
def stop_soon(**_: Any) -> None:
    """Have the run end at its next step, with a checkpoint: the job is given back, not lost."""
    stop.set()


@app.task(name="finetune.ring", bind=True, ignore_result=True)
def ring(self: Any) -> int:
    """Answer the bell: work until the platform has nothing more. Ringing twice does no harm."""
    claim = TrainClaim(worker=f"{self.request.hostname or 'train'} ({os.getpid()})"[:200])
    return Round(
        link,
        environment.runs,
        open_storage,
        score,
        environment.heartbeat_seconds,
        environment.train_patience_seconds,
        stop,
    ).run(claim)


def open_storage(url: str) -> Storage:
    """Return the storage: at the operator's URL for this machine, else where the request says."""
    return Storage(environment.storage_url or url)


def score(request: ScoreRequest, storage: Storage, on_progress: Callable[[int], None]) -> ScoreResult:
    """Measure images; the first call imports torch."""
    from finetune.score import score as measure

    return measure(request, storage, on_progress)
