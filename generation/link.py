"""A worker's line to the platform: a few named tasks, sent through the broker.

The broker is a doorbell, not a memory. What cannot be delivered is given up on: the job's lease runs out, and the
platform hands the same request to somebody else.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Protocol
from uuid import uuid4

from celery import Celery
from celery.exceptions import TimeoutError as ReplyTimeoutError
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from generation.types import Claim, Contract, Failure, Progress, ProgressReply, RenderedImages

log = logging.getLogger(__name__)

QUEUE = "web"
REPLY_SECONDS = 2.0
_AWAY: tuple[type[Exception], ...] = (OperationalError, RedisError, OSError)
"""What client libraries raise while the broker cannot be reached."""
_AWAY_FROM_REPLIES: tuple[type[Exception], ...] = (*_AWAY, RuntimeError)
"""Celery wraps it once more where the connection for replies cannot be renewed; a later claim renews it."""


class PlatformUnreachableError(Exception):
    """The broker was away for longer than a worker waits."""


class Link(Protocol):
    """What a worker says to the platform, and hears."""

    def claim(self, claim: Claim) -> dict[str, Any] | None:
        """Ask for a job; None when there is none, or when the platform does not answer."""

    def record(self, images: RenderedImages) -> None:
        """Report images that are in storage."""

    def progress(self, progress: Progress) -> ProgressReply | None:
        """Give a sign of life and hear whether to go on. One that gets lost, or its answer, does no harm: None."""

    def fail(self, failure: Failure) -> None:
        """Give a job back."""


class Line:
    """The line through a Celery broker that every kind of worker has: questions, answers, signs of life.

    claim_seconds: how long a claim waits for its reply. reply_seconds: how long a sign of life does. send_seconds: how
    long answers are tried again.
    """

    def __init__(
        self, app: Celery, *, claim_seconds: float, send_seconds: float, reply_seconds: float = REPLY_SECONDS
    ) -> None:
        self._app = app
        self._claim_seconds = claim_seconds
        self._reply_seconds = reply_seconds
        self._send_seconds = send_seconds

    def progress(self, progress: Progress) -> ProgressReply | None:
        """Give a sign of life and hear whether to go on; None when it, or the answer, is lost."""
        # It does not expire: a busy platform that reads it late must still learn that this worker lives.
        answer = self._ask("easel.jobs.progress", progress, self._reply_seconds)
        return ProgressReply.model_validate(answer) if answer else None

    def fail(self, failure: Failure) -> None:
        """Give a job back. Raises PlatformUnreachableError."""
        self._deliver("easel.jobs.fail", failure)

    def _claim(self, task: str, claim: Contract) -> dict[str, Any] | None:
        """Ask for a job; None when there is none, or when the platform does not answer in time."""
        # It expires: a claim that nobody waits for any more must not lease a job.
        return self._ask(task, claim, self._claim_seconds, expires=self._claim_seconds)

    def _ask(self, task: str, message: Contract, seconds: float, **options: Any) -> dict[str, Any] | None:
        """Send a question and return its answer; None when there is none within `seconds`."""
        try:
            reply = self._send(task, message, task_id=str(uuid4()), ignore_result=False, **options)
            try:
                state, answer = _wait(reply, seconds)
            finally:
                reply.forget()
        except ReplyTimeoutError:
            log.warning("the platform did not answer %s within %g s", task, seconds)
            return None
        except _AWAY_FROM_REPLIES as error:
            log.warning("the broker is away: %s", " ".join(str(error).split()))
            return None
        if state != "SUCCESS":
            log.error("the platform could not handle %s: %s: %s", task, state, answer)
            return None
        return answer if isinstance(answer, dict) else None

    def _deliver(self, task: str, message: Contract) -> None:
        """Send, again and again with growing pauses. Sending twice is harmless: answers are idempotent."""
        deadline = time.monotonic() + self._send_seconds
        pause = 0.2
        while True:
            try:
                self._send(task, message, ignore_result=True)
                return
            except _AWAY as error:
                if time.monotonic() + pause > deadline:
                    raise PlatformUnreachableError(
                        f"{task} could not be sent for {self._send_seconds:g} s: {error}"
                    ) from error
                log.warning("the broker is away (%s); trying %s again in %.1f s", error, task, pause)
            time.sleep(pause)
            pause = min(pause * 2, 5.0)

    def _try_to_send(self, task: str, message: Contract) -> bool:
        """Send once; tell whether the broker took it."""
        try:
            self._send(task, message, ignore_result=True)
        except _AWAY as error:
            log.warning("the broker is away, %s was not sent: %s", task, error)
            return False
        return True

    def _send(self, task: str, message: Contract, **options: Any) -> Any:
        return self._app.send_task(
            task,
            kwargs={"message": message.model_dump(mode="json")},
            queue=QUEUE,
            retry=True,  # once: it renews a pooled connection that the broker's restart has cut
            retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1},
            **options,
        )


class CeleryLink(Line):
    """A rendering worker's line."""

    def claim(self, claim: Claim) -> dict[str, Any] | None:
        """Ask for a job; None when there is none, or when the platform does not answer in time."""
        return self._claim("easel.images.claim", claim)

    def record(self, images: RenderedImages) -> None:
        """Report images that are in storage. Raises PlatformUnreachableError."""
        self._deliver("easel.images.record", images)


def _wait(reply: Any, seconds: float) -> tuple[str, Any]:
    """Return the state and the result of a task of the platform.

    Waiting inside a task is refused by Celery for fear of a deadlock; here, other processes do the work.
    """
    answer = reply.get(timeout=seconds, propagate=False, disable_sync_subtasks=False)
    return str(reply.state), answer
