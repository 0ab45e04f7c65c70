"""Keeps processes running, and leaves none behind.

Invariant: when `stop` has returned, no descendant of this process lives. When the supervisor itself is killed, the
kernel ends its children, and the next start ends what they left (`recover`), by the record and the mark of this one.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Protocol

import psutil

from easel.embedded import processes
from easel.embedded.errors import NotStartedError, explain
from easel.embedded.processes import Identity

_LOG_LIMIT = 10 * 2**20  # bytes
_LONGEST_PAUSE = 30.0  # seconds before another attempt
_HEALTHY_AFTER = 30.0  # seconds of life after which a death is no longer one of a series


class Service(Protocol):
    """A server with a life cycle of its own: Postgres, Valkey."""

    name: str
    process: subprocess.Popen[bytes] | None

    def start(self) -> bool: ...
    def stop(self) -> None: ...
    def running(self) -> psutil.Process | None: ...


@dataclass
class Attempts:
    """How often something has ended lately, and when to start it again."""

    deaths: int = 0
    started: float = 0.0
    due: float = 0.0

    def note_start(self) -> None:
        self.started = time.monotonic()

    def note_death(self) -> float:
        """Return the seconds to wait: none at first, then more and more."""
        now = time.monotonic()
        self.deaths = 1 if now - self.started > _HEALTHY_AFTER else self.deaths + 1
        pause = 0.0 if self.deaths == 1 else min(_LONGEST_PAUSE, 0.5 * 2 ** (self.deaths - 2))
        self.due = now + pause
        return pause


@dataclass
class Child:
    """A process that is started again whenever it ends."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    # What the kernel sends when the supervisor is killed. SIGTERM only for a parent that must see its own children out.
    death_signal: signal.Signals = signal.SIGKILL
    process: subprocess.Popen[bytes] | None = None
    attempts: Attempts = field(default_factory=Attempts)

    def start(self, directory: Path, mark: str) -> None:
        """Start the process."""
        self.attempts.note_start()
        self.process = processes.start(
            self.command,
            log=self.log,
            environment={**self.environment, processes.MARK: mark},
            directory=directory,
            death_signal=self.death_signal,
        )

    def collect(self) -> str | None:
        """Reap the process if it has ended, end what is left of its group, and say how it ended."""
        if self.process is None or not processes.has_ended(self.process):
            return None
        processes.signal_group(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        self.process = None
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"


class Supervisor:
    """The parent of everything that `./run up` starts. The caller holds the lock of home."""

    def __init__(self, home: Path, directory: Path, say: Callable[[str], None]) -> None:
        self.home = home
        self.directory = directory
        self.services: list[Service] = []
        self.children: list[Child] = []
        self._say = say
        self._mark = secrets.token_hex(16)
        self._record = home / "up.json"
        self._service_attempts: dict[str, Attempts] = {}
        self._next_chores = 0.0
        processes.adopt_orphans()

    def recover(self) -> int:
        """End what a killed supervisor of this home left behind; return how many processes that were."""
        try:
            record = json.loads(self._record.read_text())
            left = [Identity.from_record(entry) for entry in record["children"]]
            mark = str(record["mark"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0
        found = {process.pid: process for process in processes.marked(mark)}
        for identity in left:
            if identity.is_alive():
                found[identity.pid] = psutil.Process(identity.pid)
        processes.kill(found.values())
        self._record.unlink()
        return len(found)

    def note(self) -> None:
        """Write down who we are and what we have started, for `./run down` and for the start after a kill -9."""
        started = [Identity.of(child.process.pid) for child in self.children if child.process]
        itself = Identity.of(os.getpid())
        record = {
            "supervisor": itself.record() if itself else None,
            "mark": self._mark,
            "children": [identity.record() for identity in started if identity],
        }
        write_private(self._record, json.dumps(record))

    def start_service(self, service: Service) -> bool:
        """Start a service and keep it running. Returns False when a live one was adopted."""
        self.services.append(service)
        self._service_attempts[service.name] = Attempts()
        self._service_attempts[service.name].note_start()
        return service.start()

    def start_child(self, child: Child) -> None:
        """Start a process and keep it running."""
        self.children.append(child)
        child.start(self.directory, self._mark)
        self.note()

    def run_once(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> tuple[int, str]:
        """Run a command to its end; return its exit code and output. Its complaints go to `log`."""
        process = processes.start(
            command,
            log=log,
            environment={**environment, processes.MARK: self._mark},
            directory=self.directory,
            output=subprocess.PIPE,
        )
        output, _ = process.communicate()
        return process.returncode, output.decode(errors="replace")

    def tend(self) -> None:
        """Start again what has ended, and do the chores. Call it every fraction of a second."""
        now = time.monotonic()
        for service in self.services:
            self._tend_service(service, now)
        for child in self.children:
            self._tend_child(child, now)
        if now >= self._next_chores:
            self._next_chores = now + 2.0
            processes.reap_strangers(process.pid for process in self._popen())
            for log in (self.home / "logs").glob("*.log"):
                cut(log)

    def run(self) -> NoReturn:
        """Keep everything running, for ever."""
        while True:
            self.tend()
            time.sleep(0.2)

    def stop(self, patience: float = 2.0) -> None:
        """Stop everything, first the processes and then the services they use; kill what does not listen."""
        running = [child.process for child in self.children if child.process]
        for process in running:
            processes.signal_group(process.pid, signal.SIGTERM)
        processes.wait_until(lambda: all(map(processes.has_ended, running)), patience)
        for process in running:
            processes.signal_group(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)
        for service in reversed(self.services):
            service.stop()
        processes.kill(processes.descendants(), patience=1.0)
        self._record.unlink(missing_ok=True)

    def _popen(self) -> list[subprocess.Popen[bytes]]:
        services = [service.process for service in self.services if service.process]
        return services + [child.process for child in self.children if child.process]

    def _tend_service(self, service: Service, now: float) -> None:
        attempts = self._service_attempts[service.name]
        alive = not processes.has_ended(service.process) if service.process else service.running() is not None
        if alive or now < attempts.due:
            return
        attempts.note_death()
        attempts.note_start()
        try:
            service.start()
            self._say(f"{service.name} had ended and was started again.")
        except (NotStartedError, OSError) as error:
            self._say(f"{service.name} had ended: {error}")

    def _tend_child(self, child: Child, now: float) -> None:
        ending = child.collect()
        if ending is not None:
            pause = child.attempts.note_death()
            again = f"in {pause:g} s" if pause else "now"
            self._say(f"{child.name} ended ({ending}); starting it again {again}. See {child.log}")
        if child.process is None and now >= child.attempts.due:
            try:
                child.start(self.directory, self._mark)
                self.note()
            except OSError as error:  # the disk is full, say; what runs goes on, and this is tried again
                child.attempts.note_death()
                self._say(f"{child.name}: {explain(error)}")


def cut(log: Path) -> None:
    """Keep a log from growing without end: what it holds moves to a second file, in place of an older one."""
    with suppress(OSError):
        if log.stat().st_size > _LOG_LIMIT:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)  # its writers append, so they go on from the new end


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    unfinished.rename(path)
