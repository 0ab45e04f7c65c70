"""Processes that end with their parent, and proof that a process is ours before anything is sent to it.

Invariant: no signal goes to a process on the word of a pid alone. A pid counts with its start time and its command
line, and a process without a record only with the random mark that its ancestor put into its environment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from easel.embedded.accounts import Account

MARK = "EASEL_SUPERVISED_BY"  # inherited by every descendant of a supervisor; holds a random word
_EXEC_LOOKS = 20
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True) if _LINUX else None


@dataclass(frozen=True)
class Identity:
    """What tells a process from every other one that ever had, or will have, its pid."""

    pid: int
    started: str
    command: tuple[str, ...]

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """Return the identity of a living process, or None."""
        try:
            process = psutil.Process(pid)
            for _ in range(_EXEC_LOOKS):
                if process.status() == psutil.STATUS_ZOMBIE:
                    return None
                command = tuple(process.cmdline())
                if command:
                    break
                time.sleep(0.005)  # in the middle of exec(2): Popen has returned, the command line is not there yet
            return cls(pid, _started(process), command)
        except (psutil.Error, OSError):
            return None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Identity:
        """Read what `record` wrote."""
        return cls(int(record["pid"]), str(record["started"]), tuple(record["command"]))

    def record(self) -> dict[str, Any]:
        """Return the identity as JSON-able data."""
        return asdict(self)

    def is_alive(self) -> bool:
        """Tell whether this very process still runs."""
        return Identity.of(self.pid) == self


def _started(process: psutil.Process) -> str:
    """Say when a process started, in a form that a corrected wall clock does not change."""
    if sys.platform != "linux":
        return str(process.create_time())
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    after_name = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return f"{boot} {after_name[19]}"  # field 22 of proc(5): clock ticks since boot


def start(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str],
    directory: Path | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    account: Account | None = None,
    output: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own (a terminal's Ctrl-C does not reach it), its output appended to `log`.

    With `output` (subprocess.PIPE) only its complaints go to the log.

    On Linux the kernel sends it `death_signal` when its parent ends, however that ends. Call this from the main thread:
    to the kernel the parent is the thread.
    """
    drop: dict[str, Any] = {}
    if account:
        drop = {"user": account.uid, "group": account.gid, "extra_groups": []}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=file if output is None else output,
            stderr=file,
            cwd=directory,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=_end_with_parent(death_signal),  # noqa: PLW1509 -- it takes no locks
            **drop,
        )


def _end_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    if _libc is None:
        return None
    libc, parent = _libc, os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            os._exit(1)

    return prepare


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that `descendants` finds them all (Linux)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a child has ended, without reaping it: a zombie keeps its pid, so its group can be signalled."""
    if process.returncode is not None:
        return True
    if sys.platform == "linux":
        try:
            return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True
    return process.poll() is not None


def reap_strangers(known: Iterable[int]) -> None:
    """Reap the adopted orphans that have ended; the children in `known` belong to their Popen objects."""
    ours = set(known)
    for child in psutil.Process().children():
        with suppress(psutil.Error, ChildProcessError):
            if child.pid not in ours and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)


def signal_group(leader: int, number: signal.Signals) -> None:
    """Signal a process group that we made and whose leader has not been reaped."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def descendants() -> list[psutil.Process]:
    """Return every living descendant of this process."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def marked(mark: str) -> list[psutil.Process]:
    """Return the living processes whose environment carries a supervisor's mark."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
    return found


def kill(processes: Iterable[psutil.Process], patience: float = 2.0) -> None:
    """SIGKILL processes that the caller has proved to be its own, and wait until they are gone."""
    doomed = list(processes)
    for process in doomed:
        with suppress(psutil.Error):
            process.kill()  # psutil compares the start time before it signals
    psutil.wait_procs(doomed, timeout=patience)


def plain_environment() -> dict[str, str]:
    """Return the part of our environment that a server needs."""
    return {name: os.environ[name] for name in ("PATH", "TMPDIR", "TZ") if name in os.environ}


def wait_until(condition: Callable[[], bool], patience: float, step: float = 0.02) -> bool:
    """Poll a condition; tell whether it came true within `patience` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True


def tail(log: Path, lines: int = 8) -> str:
    """Return the end of a log, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8_192))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
