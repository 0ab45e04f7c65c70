"""The signs of life of a job, from a thread beside the work, and what the platform answers to them."""

from __future__ import annotations

import logging
import time
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Protocol

from generation.types import Lease, Progress, ProgressReply

log = logging.getLogger(__name__)

STALLED_SECONDS = 1_800.0  # loading a big model from a slow disk takes minutes; nothing honest takes half an hour


class Order(Event):
    """An order to stop: set by itself, or by setting one of `others`."""

    def __init__(self, *others: Event) -> None:
        super().__init__()
        self._others = others

    def is_set(self) -> bool:
        """Tell whether the order was given."""
        return super().is_set() or any(other.is_set() for other in self._others)


class Listener(Protocol):
    """Hears signs of life: the platform, through a line."""

    def progress(self, progress: Progress) -> ProgressReply | None:
        """Hear one, and say whether to go on; None where it, or the answer, is lost."""


class Held(Protocol):
    """Work that a worker has a lease on."""

    @property
    def lease(self) -> Lease:
        """The right to work on it."""

    @property
    def total(self) -> int:
        """How much there is to be done: images, or steps of training."""


class Pulse:
    """Sends progress every `seconds`, and at once after each finished batch.

    When the platform answers that the job was cancelled, paused or given to somebody else, `unwanted` is set; an answer
    that gets lost means: go on. It falls silent when the work has not moved for `stalled_seconds`: a hung driver must
    not keep a lease for ever.
    """

    def __init__(
        self, link: Listener, request: Held, *, seconds: float, stalled_seconds: float = STALLED_SECONDS
    ) -> None:
        self.unwanted = Event()
        self._link = link
        self._request = request
        self._seconds = seconds
        self._stalled_seconds = stalled_seconds
        self._lock = Lock()
        self._done = 0
        self._step = (0, 0)
        self._note = ""
        self._moved = time.monotonic()
        self._now = Event()
        self._over = False
        self._thread = Thread(target=self._beat, name="pulse", daemon=True)

    def note(self, note: str) -> None:
        """Remember what is going on; the next beat tells it."""
        with self._lock:
            self._note = note[:200]
            self._moved = time.monotonic()

    def step(self, step: int, steps: int) -> None:
        """Remember how far the batch at hand is; the next beat tells it."""
        with self._lock:
            self._step = (step, steps)
            self._moved = time.monotonic()

    def add(self, parts: int) -> None:
        """Count finished images (or other parts of the work) and tell the platform now."""
        with self._lock:
            self._done += parts
            self._moved = time.monotonic()
        self._now.set()

    def reach(self, done: int) -> None:
        """Remember how much is done in all; the next beat tells it."""
        with self._lock:
            self._done = min(done, self._request.total)
            self._moved = time.monotonic()

    def _beat(self) -> None:
        while not self._over:
            with self._lock:
                still = time.monotonic() - self._moved
                step, steps = self._step
                progress = Progress(
                    lease=self._request.lease,
                    done=self._done,
                    total=self._request.total,
                    step=step,
                    steps=steps,
                    note=self._note,
                )
            if still > self._stalled_seconds:
                log.error("nothing has moved for %.0f s; giving no more signs of life", still)
                return
            reply = self._link.progress(progress)
            if reply is not None and not reply.go_on:
                self.unwanted.set()
                return
            self._now.wait(self._seconds)
            self._now.clear()

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._now.set()
        self._thread.join(timeout=10)
