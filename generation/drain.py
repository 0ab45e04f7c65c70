"""What a worker does when the bell rings: claim, render, answer, until there is nothing left."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any

from pydantic import ValidationError

from generation.errors import RenderError, StorageFullError, WorkerStoppingError
from generation.failpoints import failpoint
from generation.link import Link, PlatformUnreachableError
from generation.pulse import Order, Pulse
from generation.renderers import Renderer
from generation.storage import Storage
from generation.types import Claim, Failure, Lease, RenderedImage, RenderedImages, RenderRequest

log = logging.getLogger(__name__)

UNREADABLE = "unreadable_request"
UNEXPECTED = "unexpected"
LIVE_SECONDS = 0.5  # between two signs of life of a job that somebody watches


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
        jobs = 0
        while not self.stop.is_set():
            answer = self.link.claim(claim)
            if answer is None:
                break
            jobs += 1
            try:
                request = self._read(answer)
                if request is not None and not self._work(request):
                    break
            except PlatformUnreachableError as error:
                log.warning("giving up on a job, its lease will run out: %s", error)
                break
        return jobs

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

    def _read(self, answer: dict[str, Any]) -> RenderRequest | None:
        """Return the request that a claim was answered with; give back one that this version cannot read.

        Raises PlatformUnreachableError.
        """
        try:
            return RenderRequest.model_validate(answer)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"])) or "the whole"
        reason = (
            f"this worker cannot read the request ({where}: {problem['msg']}). "
            "Run the same version of Easel on the platform and on its workers."
        )
        log.warning("%s", reason)
        self.link.fail(_failure(Lease.model_validate(answer.get("lease")), UNREADABLE, reason, retryable=True))
        return None


def _failure(lease: Lease, code: str, reason: str, *, retryable: bool) -> Failure:
    lines = reason.strip().splitlines() or ["no reason was given"]
    return Failure(lease=lease, code=code, reason=lines[0][:2_000], retryable=retryable)
