"""What a worker does when the bell rings: claim, render, answer, until there is nothing left."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any

from generation.claims import UNEXPECTED, in_one_line, read, work_off
from generation.errors import RenderError, StorageFullError, WorkerStoppingError
from generation.failpoints import failpoint
from generation.link import Link, PlatformUnreachableError
from generation.pulse import Order, Pulse
from generation.renderers import Renderer
from generation.storage import Storage
from generation.types import Claim, Failure, Lease, RenderedImage, RenderedImages, RenderRequest

log = logging.getLogger(__name__)

LIVE_SECONDS = 0.25  # between two signs of life of a job that somebody watches


@dataclass(frozen=True)
class Drain:
    """One worker's round of work. Answers go through `link`, files to what `open_storage` gives for a request."""

    link: Link
    renderer: Renderer
    open_storage: Callable[[RenderRequest], Storage]
    heartbeat_seconds: float
    stop: Event

    def run(self, claim: Claim) -> int:
        """Work on jobs until the platform has none, `stop` is set, or going on makes no sense. Return how many."""
        return work_off(lambda: self.link.claim(claim), self._take, self.stop)

    def _take(self, answer: dict[str, Any]) -> bool:
        request = read(RenderRequest, answer, answer.get("lease"), self.link.fail)
        return request is None or self._work(request)

    def _work(self, request: RenderRequest) -> bool:
        """Render one request and answer. Return whether this worker should ask for another.

        Raises PlatformUnreachableError.
        """
        log.info("job %s, attempt %d: %d images", request.lease.job, request.lease.attempt, request.total)
        failpoint("claimed", request.model.name)
        seconds = min(LIVE_SECONDS, self.heartbeat_seconds) if request.lane == "live" else self.heartbeat_seconds
        with Pulse(self.link, request, seconds=seconds) as pulse:

            def answer(images: tuple[RenderedImage, ...]) -> None:
                self.link.record(RenderedImages(lease=request.lease, images=images))
                failpoint("between_records")
                pulse.add(len(images))

            def step(step: int, steps: int) -> None:
                failpoint("mid_denoise" if step else "model_loaded")
                pulse.step(step, steps)

            try:
                storage = self.open_storage(request)
                self.renderer.render(
                    request,
                    storage,
                    on_images=answer,
                    on_note=pulse.note,
                    on_step=step,
                    stop=Order(self.stop, pulse.unwanted),
                )
            except PlatformUnreachableError:
                raise
            except WorkerStoppingError as error:
                if not self.stop.is_set():
                    log.info("job %s was cancelled, paused or given to somebody else; it ends here", request.lease.job)
                    return True
                failure = _failure(request.lease, error.code, str(error), retryable=True)
            except RenderError as error:
                log.warning("job %s: %s: %s", request.lease.job, error.code, error)
                failure = _failure(request.lease, error.code, str(error), retryable=error.retryable)
            except Exception as error:  # a bug: it must cost this job, not the worker and the jobs behind it
                log.exception("job %s: unexpected", request.lease.job)
                failure = _failure(request.lease, UNEXPECTED, f"{type(error).__name__}: {error}", retryable=True)
            else:
                failpoint("last_record")
                return True
        self.link.fail(failure)
        # A full disk or a stop order would meet the next job as well: leave that one to the next bell.
        return failure.code not in {StorageFullError.code, WorkerStoppingError.code}


def _failure(lease: Lease, code: str, reason: str, *, retryable: bool) -> Failure:
    return Failure(lease=lease, code=code, reason=in_one_line(reason), retryable=retryable)
