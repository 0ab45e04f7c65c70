"""The GPU worker: `celery -A generation.worker worker -Q live,batch -P solo -n render@%h`.

No Django, no database password. A bell (`generation.ring`) has no content and is acknowledged at once; on a bell the
worker claims jobs from the platform until there are none. See generation/README.md.
"""

from __future__ import annotations

import gc
import logging
import os
from functools import cache
from threading import Event
from typing import TYPE_CHECKING, Any

from celery import signals

from generation.api_renderer import ApiRenderer
from generation.doorbell import app_of
from generation.drain import Drain
from generation.env import WorkerEnvironment, quieten_libraries, read_environment
from generation.link import CeleryLink
from generation.renderers import Renderer, Renderers
from generation.services import read_services
from generation.storage import Storage
from generation.types import Claim, RenderRequest

if TYPE_CHECKING:
    from generation.engine import Engine

log = logging.getLogger(__name__)

environment = read_environment(WorkerEnvironment)
quieten_libraries(hub_download=environment.hub_download)
app = app_of("generation", environment, queue="live")
link = CeleryLink(app, claim_seconds=environment.claim_seconds, send_seconds=environment.send_seconds)
services = read_services()
stop = Event()


@cache
def engine() -> Engine:
    """Return this process's engine; the first call imports torch."""
    from generation.engine import Engine

    return Engine(
        batch=environment.render_batch, models_kept=environment.models_kept, hub_download=environment.hub_download
    )


@cache
def renderer() -> Renderer:
    """Return what renders this process's requests."""
    return Renderers(engine, ApiRenderer(services))


@signals.worker_process_init.connect(weak=False)
def warm_up(**_: Any) -> None:
    """Import torch before the first bell, so that the first image does not wait for it."""
    log.info("rendering on %s", engine().device)
    gc.collect()
    gc.freeze()  # the libraries' own objects never go; without them each later collection is a matter of milliseconds


@signals.worker_shutting_down.connect(weak=False)
def stop_soon(**_: Any) -> None:
    """Have the work end at the next denoising step or image: the job is given back, not lost."""
    stop.set()


@app.task(name="generation.ring", bind=True, ignore_result=True)
def ring(self: Any) -> int:
    """Answer the bell: work until the platform has no more jobs. Ringing twice does no harm."""
    claim = Claim(worker=f"{self.request.hostname or 'render'} ({os.getpid()})"[:200], lanes=("live", "batch"))
    return Drain(link, renderer(), open_storage, environment.heartbeat_seconds, stop).run(claim)


def open_storage(request: RenderRequest) -> Storage:
    """Return the image storage: at the operator's URL for this machine, else where the request says."""
    return Storage(environment.storage_url or request.storage_url)
