"""What a training worker does when the bell rings: claim, train or score, answer, until there is nothing left."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Protocol
from uuid import UUID

from finetune.child import REQUEST_FILE, Child
from finetune.errors import FinetuneError
from finetune.lines import Ended
from finetune.link import PlatformUnreachableError
from finetune.types import (
    MetricPoint,
    SampleGrid,
    ScoreRequest,
    ScoreResult,
    TrainClaim,
    TrainReport,
    TrainRequest,
    TrainResult,
    Work,
)
from generation.claims import UNEXPECTED, in_one_line, read, work_off
from generation.errors import RenderError, StorageFullError, WorkerStoppingError
from generation.failpoints import failpoint
from generation.pulse import Listener, Order, Pulse
from generation.storage import Storage
from generation.types import Failure, Lease

log = logging.getLogger(__name__)

LOST = "process_lost"
RESULT_FILE = "result.json"
REPORT_SECONDS = 1.0
KEPT_DAYS = 14
"""How long the checkpoints of a run that nobody goes on with are kept: it may be paused, or be tried elsewhere."""

Score = Callable[[ScoreRequest, Storage, Callable[[int], None]], ScoreResult]


class Link(Listener, Protocol):
    """What a training worker says to the platform; see `finetune.link.TrainLink`."""

    def claim(self, claim: TrainClaim) -> dict[str, Any] | None: ...
    def report(self, report: TrainReport) -> bool: ...
    def last_report(self, report: TrainReport) -> None: ...
    def finish(self, result: TrainResult) -> None: ...
    def record_scores(self, result: ScoreResult) -> None: ...
    def fail(self, failure: Failure) -> None: ...


@dataclass
class _Held:
    """What is worked on; how many steps a run has is known only once it says so."""

    lease: Lease
    total: int = 1


@dataclass
class _Untold:
    """What a run has said and the platform has not heard yet."""

    steps: int | None = None
    points: list[MetricPoint] = field(default_factory=list)
    grids: list[SampleGrid] = field(default_factory=list)

    def report(self, lease: Lease) -> TrainReport:
        """Return it as a message."""
        return TrainReport(lease=lease, steps=self.steps, points=tuple(self.points), grids=tuple(self.grids))

    def __bool__(self) -> bool:
        return bool(self.steps or self.points or self.grids)

    def clear(self) -> None:
        """Forget what was told."""
        self.steps = None
        self.points.clear()
        self.grids.clear()


@dataclass(frozen=True)
class Round:
    """One worker's round of work.

    runs: the folder with one folder a run. score: measures images; the first call may import torch.
    """

    link: Link
    runs: Path
    open_storage: Callable[[str], Storage]
    score: Score
    heartbeat_seconds: float
    patience_seconds: float
    stop: Event

    def run(self, claim: TrainClaim) -> int:
        """Work until the platform has nothing more, `stop` is set, or going on makes no sense. Return how much."""
        return work_off(lambda: self.link.claim(claim), self._take, self.stop)

    def _take(self, answer: dict[str, Any]) -> bool:
        work = read(Work, answer, next(iter(answer.values())).get("lease"), self.link.fail)
        return work is None or self._work(work)

    def _work(self, work: Work) -> bool:
        """Do one piece of work and answer. Return whether to ask for another. Raises PlatformUnreachableError."""
        failure = self._train(work.train) if work.train is not None else None
        if work.score is not None:
            failure = self._score(work.score)
        if failure is None:
            return True
        log.warning("job %s: %s: %s", failure.lease.job, failure.code, failure.reason)
        self.link.fail(failure)
        # A full disk or a stop order would meet the next job as well: leave that one to the next bell.
        return failure.code not in {StorageFullError.code, WorkerStoppingError.code}

    def _train(self, request: TrainRequest) -> Failure | None:
        """Have a run trained and hand in what it made; return why not, or None where nobody wants to know."""
        log.info("job %s, attempt %d: run %s", request.lease.job, request.lease.attempt, request.run)
        forget_old_runs(self.runs)
        folder = self.runs / str(request.run)
        held, untold = _Held(request.lease), _Untold()
        result, ended, sent = None, None, 0.0
        with Pulse(self.link, held, seconds=self.heartbeat_seconds) as pulse:
            order = Order(self.stop, pulse.unwanted)
            with Child(request, folder, stop=order, patience=self.patience_seconds) as child:
                for said in child.said():
                    if said is not None and said.step is not None:
                        if said.step.total and said.step.total != held.total:
                            held.total = untold.steps = said.step.total
                        pulse.reach(said.step.done)
                        pulse.note(said.step.note)
                        failpoint("heard_step", str(said.step.done))
                    if said is not None:
                        untold.points += filter(None, [said.point])
                        untold.grids += filter(None, [said.grid])
                        result, ended = said.result or result, said.ended or ended
                    if untold and time.monotonic() - sent > REPORT_SECONDS:
                        sent = time.monotonic()
                        if self.link.report(untold.report(request.lease)):
                            untold.clear()
                status = child.exit_status
            if result is not None:
                if untold:
                    self.link.last_report(untold.report(request.lease))
                self.link.finish(result)
                _keep_only_the_result(folder)
                return None
        if self.stop.is_set():
            reason = "the worker was told to stop; the run goes on from its last checkpoint"
            return Failure(lease=request.lease, code=WorkerStoppingError.code, reason=reason)
        if pulse.unwanted.is_set():
            log.info("run %s was cancelled, paused or given to somebody else; it ends here", request.run)
            return None
        ended = ended or Ended(code=LOST, reason=_lost(status), retryable=True)
        return Failure(lease=request.lease, **ended.model_dump())

    def _score(self, request: ScoreRequest) -> Failure | None:
        """Measure images and hand in what was found; return why not, or None where nobody wants to know."""
        log.info("job %s, attempt %d: %d images", request.lease.job, request.lease.attempt, len(request.images))
        with Pulse(self.link, _Held(request.lease, len(request.images)), seconds=self.heartbeat_seconds) as pulse:
            order = Order(self.stop, pulse.unwanted)

            def go_on(done: int) -> None:
                pulse.reach(done)
                if order.is_set():
                    raise WorkerStoppingError("the worker was told to stop; its job goes to the next one")

            try:
                self.link.record_scores(self.score(request, self.open_storage(request.storage_url), go_on))
                return None
            except PlatformUnreachableError:
                raise
            except WorkerStoppingError as error:
                if not self.stop.is_set():
                    return None
                code, reason, retryable = error.code, str(error), True
            except (FinetuneError, RenderError) as error:
                code, reason, retryable = error.code, str(error), error.retryable
            except Exception as error:  # a bug: it must cost this job, not the worker and the jobs behind it
                log.exception("job %s: unexpected", request.lease.job)
                code, reason, retryable = UNEXPECTED, f"{type(error).__name__}: {error}", True
        return Failure(lease=request.lease, code=code, reason=in_one_line(reason), retryable=retryable)


def forget_old_runs(runs: Path, days: float = KEPT_DAYS) -> None:
    """Delete the folders of runs in which nothing was written for some days; what else lies there is not ours."""
    oldest = time.time() - days * 86_400
    for folder in filter(_is_of_a_run, runs.iterdir() if runs.is_dir() else ()):
        with suppress(OSError):  # another worker on this machine was first
            newest = max((path.stat().st_mtime for path in folder.rglob("*")), default=folder.stat().st_mtime)
            if newest < oldest:
                shutil.rmtree(folder)


def _is_of_a_run(folder: Path) -> bool:
    try:
        return str(UUID(folder.name)) == folder.name and (folder / REQUEST_FILE).is_file()
    except ValueError:
        return False


def _keep_only_the_result(folder: Path) -> None:
    """Delete checkpoints and pictures of a run that was handed in; asked again, it answers with its result."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _lost(status: int) -> str:
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    return (
        f"the training process ended without a word ({how}): it was killed, or this machine's memory was full. It goes "
        "on from its last checkpoint; if that happens again, lower batch or turn on gradient_checkpointing."
    )
