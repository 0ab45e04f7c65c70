"""The platform's side of the protocol, played by a real Celery application in the test's own process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

from celery import Celery
from celery.contrib.testing.worker import start_worker

from generation.types import Claim, Failure, Progress, ProgressReply, RenderedImage, RenderedImages, RenderRequest


class PlatformSide:
    """Hands out jobs, collects answers. Answers under an old lease token are counted and dropped, as Easel does."""

    def __init__(self, broker_url: str) -> None:
        self.broker_url = broker_url
        self.app = Celery("platform", broker=broker_url, backend=broker_url, set_as_current=False)
        self.app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result=True)
        self._lock = Lock()
        self._waiting: list[RenderRequest] = []
        self._tokens: dict[UUID, UUID] = {}
        self.claims: list[Claim] = []
        self.images: dict[tuple[UUID, UUID, int], RenderedImage] = {}
        self.messages: list[RenderedImages] = []
        self.progress: list[Progress] = []
        self.failures: list[Failure] = []
        self.stale = 0
        self.holders: dict[UUID, str] = {}
        self.app.finalize()  # brings in Easel's own tasks, where other tests have imported them: they would win
        for name, handle in (
            ("easel.images.claim", self._claim),
            ("easel.images.record", self._record),
            ("easel.jobs.progress", self._progress),
            ("easel.jobs.fail", self._fail),
        ):
            self.app.tasks.pop(name, None)
            answers = handle in (self._claim, self._progress)
            self.app.task(name=name, ignore_result=not answers)(_without_self(handle))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Answer the worker's messages, in a thread."""
        with start_worker(self.app, pool="solo", perform_ping_check=False, queues=["web"], loglevel="WARNING"):
            yield

    def offer(self, request: RenderRequest) -> None:
        """Have a job waiting, under a new lease for each claim; a worker that held it before is given up on."""
        with self._lock:
            self._tokens.pop(request.lease.job, None)
            self._waiting.append(request)

    def cancel(self, request: RenderRequest) -> None:
        """End a job that a worker holds."""
        with self._lock:
            self._tokens.pop(request.lease.job)

    def ring(self, lane: str = "batch") -> None:
        """Ring the workers' bell."""
        self.app.send_task("generation.ring", queue=lane, ignore_result=True)

    def ring_until(self, reached: Callable[[], object], what: str) -> None:
        """Ring as the sweeper does, again and again, until `reached` is true: the worker may be starting still."""

        def ring_and_look() -> object:
            self.ring()
            return reached()

        wait_for(ring_and_look, what, pause=0.5)

    def keys_of(self, request: RenderRequest) -> dict[tuple[UUID, int], str]:
        """Return the storage key of each recorded image of a job."""
        job = request.lease.job
        return {(prompt, at): image.key for (of, prompt, at), image in self.images.items() if of == job}

    def _claim(self, message: dict[str, Any]) -> dict[str, Any] | None:
        with self._lock:
            claim = Claim.model_validate(message)
            self.claims.append(claim)
            if not self._waiting:
                return None
            request = self._waiting.pop(0)
            token = self._tokens[request.lease.job] = uuid4()
            self.holders[request.lease.job] = claim.worker
            lease = request.lease.model_copy(update={"token": token})
            return request.model_copy(update={"lease": lease}).model_dump(mode="json")

    def _record(self, message: dict[str, Any]) -> None:
        answer = RenderedImages.model_validate(message)
        if self._is_current(answer.lease.job, answer.lease.token):
            self.messages.append(answer)
            self.images |= {(answer.lease.job, image.prompt, image.position): image for image in answer.images}

    def _progress(self, message: dict[str, Any]) -> dict[str, Any]:
        progress = Progress.model_validate(message)
        current = self._is_current(progress.lease.job, progress.lease.token)
        if current:
            self.progress.append(progress)
        return ProgressReply(go_on=current).model_dump(mode="json")

    def _fail(self, message: dict[str, Any]) -> None:
        failure = Failure.model_validate(message)
        if self._is_current(failure.lease.job, failure.lease.token):
            self.failures.append(failure)

    def _is_current(self, job: UUID, token: UUID) -> bool:
        with self._lock:
            if self._tokens.get(job) == token:
                return True
            self.stale += 1
            return False


def wait_for(reached: Callable[[], object], what: str, seconds: float = 90.0, pause: float = 0.02) -> None:
    """Wait until `reached` is true; fail with `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(pause)


def _without_self(handle: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def task(message: dict[str, Any]) -> Any:
        return handle(message)

    return task
