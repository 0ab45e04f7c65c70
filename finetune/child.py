"""The process of one run, as its worker sees it: started, listened to, told to stop, and ended where it does not.

Training has a process of its own, so that a worker at rest needs no torch, a crash of a driver costs one attempt and
not the worker, and all of a GPU's memory is free when a run ends.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from types import TracebackType

from pydantic import ValidationError

from finetune.lines import Said
from finetune.types import TrainRequest

log = logging.getLogger(__name__)

REQUEST_FILE = "request.json"
_LOOK_SECONDS = 0.2
_KEPT_FROM_IT = {"BROKER_URL", "RESULT_URL", "DATABASE_URL", "EASEL_SECRET_KEY"}
"""It reads and writes files only: it can neither ask nor answer anybody."""


class Child:
    """One attempt at a run, in a process group of its own.

    folder: what earlier attempts left, where it goes on from. patience: seconds from the order to stop, or from
    its last word, to SIGKILL.
    """

    def __init__(
        self,
        request: TrainRequest,
        folder: Path,
        *,
        stop: Event,
        patience: float,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._request = request
        self._folder = folder
        self._stop = stop
        self._patience = patience
        kept = os.environ if environment is None else environment
        self._environment = {name: value for name, value in kept.items() if name not in _KEPT_FROM_IT}
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Child:
        self._folder.mkdir(parents=True, exist_ok=True)
        asked = self._folder / REQUEST_FILE
        asked.write_text(self._request.model_dump_json())
        self._process = subprocess.Popen(
            [sys.executable, "-m", "finetune.run", str(asked), "--folder", str(self._folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
        # A thread empties the pipe: a worker that waits for its broker must not hold up the training.
        Thread(target=self._read, args=(self._process,), name="lines of the run", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    @property
    def exit_status(self) -> int:
        """How it ended; minus the signal's number where one ended it, as SIGKILL does one that is silent and stays."""
        assert self._process is not None
        try:
            return self._process.wait(timeout=self._patience)
        except subprocess.TimeoutExpired:
            log.warning("run %s has said its last and did not end within %g s", self._request.run, self._patience)
            self._signal(signal.SIGKILL)
            return self._process.wait()

    def said(self) -> Iterator[Said | None]:
        """Yield each line until its end, and None in between, at least every 0.2 s."""
        told = 0.0
        while True:
            try:
                line = self._lines.get(timeout=_LOOK_SECONDS)
            except Empty:
                yield None
            else:
                if line is None:
                    return
                if (one := _parse(line)) is not None:
                    yield one
            if self._stop.is_set():
                if not told:
                    told = time.monotonic()
                    self._signal(signal.SIGTERM)
                elif time.monotonic() - told > self._patience:
                    log.warning("run %s did not stop within %g s; it is ended", self._request.run, self._patience)
                    self._signal(signal.SIGKILL)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def _signal(self, number: signal.Signals) -> None:
        """Signal the whole group: a launcher of several processes and all of them."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)


def _parse(line: bytes) -> Said | None:
    try:
        return Said.model_validate_json(line)
    except ValidationError:
        log.warning("the run said what is no line: %s", line[:500].decode(errors="replace").strip())
        return None
