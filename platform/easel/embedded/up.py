"""`python -m easel.embedded.up`, behind `./run up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psutil

from easel.embedded import commands, processes
from easel.embedded.errors import NotStartedError, explain
from easel.embedded.lock import Lock
from easel.embedded.postgres import Postgres
from easel.embedded.supervisor import Child, Supervisor, write_private
from easel.embedded.valkey import Valkey
from easel.env import REPOSITORY, Environment, environment

HOST = "127.0.0.1"
_START_PATIENCE = 120.0  # seconds
_LEAST_FREE = 300 * 2**20  # bytes; an empty Postgres and its log take half of that


class StopRequested(BaseException):
    """Ctrl-C, or a polite kill."""


def main() -> int:
    """Start everything and stay; return the exit code."""
    parser = argparse.ArgumentParser(prog="./run up", description="Start Easel on this machine.")
    parser.add_argument("--port", type=_port, default=8000, help="port of the web server (default 8000)")
    parser.add_argument("--detach", action="store_true", help="return when Easel is ready; stop it with ./run down")
    arguments = parser.parse_args()
    try:
        environment.home.mkdir(parents=True, exist_ok=True)
        if arguments.detach:
            return _detach(arguments.port)
        return _stay(arguments.port)
    except NotStartedError as error:
        _say(str(error))
    except OSError as error:
        _say(explain(error))
    except StopRequested:
        _say("Stopped.")
        return 0
    return 1


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65_535:
        raise ValueError
    return number


def _say(line: str, end: str = "\n") -> None:
    with suppress(OSError):  # a closed pipe or a full disk behind our output stops nothing
        print(line, end=end, flush=True)


def _stay(port: int) -> int:
    with Lock(environment.home) as lock:
        _stop_on_signals()
        if not _become_the_one(lock):
            return 0
        _ready_file().unlink(missing_ok=True)
        supervisor = Supervisor(environment.home, REPOSITORY, _say)
        try:
            _start(supervisor, port)
            return supervisor.run()
        finally:
            _ignore_signals()
            _ready_file().unlink(missing_ok=True)
            supervisor.stop()


def _start(supervisor: Supervisor, port: int) -> None:
    began = time.monotonic()
    left = supervisor.recover()
    if left:
        _say(f"Ended {left} processes of an Easel that was killed.")
    _refuse_full_disk(environment.home)
    _refuse_taken_port(port)
    supervisor.note()
    _start_services(supervisor)
    web, *workers = _children(port)
    supervisor.start_child(web)  # it imports while the database is prepared, and /readyz knows when that is done
    with _phase("Database and demo"):
        seeded = _prepare(supervisor)
    with _phase("Web server"):
        _wait_for_web(supervisor, web, port)
    with _phase("Workers and clock"):
        for worker in workers:
            supervisor.start_child(worker)
    url = f"http://{HOST}:{port}"
    write_private(_ready_file(), json.dumps({"url": url, **seeded}))
    _say(f"Everything, in {time.monotonic() - began:.1f} s. Logs are in {environment.home / 'logs'}")
    _greet(url, seeded)


def _start_services(supervisor: Supervisor) -> None:
    home, sockets = environment.home, environment.sockets
    if not environment.database_url:
        with _phase("Postgres"):
            supervisor.start_service(Postgres(home, sockets, environment.embedded_secrets["database_password"]))
    if not environment.broker_url:
        with _phase("Valkey"):
            supervisor.start_service(Valkey(home, sockets))


def _prepare(supervisor: Supervisor) -> dict[str, Any]:
    """Migrate and seed; return the demo's sign-in and project."""
    log = environment.home / "logs" / "prepare.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "easel.embedded.prepare"]
    code, output = supervisor.run_once(command, _platform_environment(), log)
    try:
        told: dict[str, Any] = json.loads(output)
    except ValueError:
        told = {}
    if code != 0 or "admin" not in told:
        last = processes.tail(log, lines=1)
        raise NotStartedError(told.get("problem") or f"Preparing the database failed: {last} (see {log})")
    return {"admin": told["admin"], "demo_project": told["demo_project"]}


def _children(port: int) -> list[Child]:
    home = environment.home
    platform, worker = _platform_environment(), _worker_environment(environment)

    def child(name: str, command: tuple[str, ...], variables: dict[str, str], **options: Any) -> Child:
        # Through the interpreter: the entry points' scripts may lie elsewhere, or name another one.
        return Child(name, (sys.executable, "-m", *command), variables, home / "logs" / f"{name}.log", **options)

    return [
        child("web", commands.web(f"{HOST}:{port}"), platform, death_signal=signal.SIGTERM),
        child("web-worker", commands.WEB_WORKER, platform),
        child("render-worker", commands.RENDER_WORKER, worker),
        child("train-worker", commands.TRAIN_WORKER, worker),
        child("beat", commands.beat(str(home / "beat-schedule")), platform),
    ]


def _platform_environment() -> dict[str, str]:
    """The platform gets what its operator set, but no key of an image service: those are the worker's alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EASEL_API_")}
    return {**kept, "EASEL_HOME": str(environment.home), "PYTHONUNBUFFERED": "1"}


def _worker_environment(found: Environment) -> dict[str, str]:
    """A worker gets the broker and the storage, and nothing that opens the database or signs a session."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    for secret in ("DATABASE_URL", "EASEL_SECRET_KEY"):
        kept.pop(secret, None)
    return {
        **kept,
        "EASEL_HOME": str(found.home),
        "BROKER_URL": found.broker,
        "STORAGE_URL": found.storage,
        "OMP_WAIT_POLICY": "passive",  # on few cores, torch's spinning threads would starve the web server
        "PYTHONUNBUFFERED": "1",
    }


def _wait_for_web(supervisor: Supervisor, web: Child, port: int) -> None:
    deadline = time.monotonic() + _START_PATIENCE
    answer = ""
    while time.monotonic() < deadline:
        supervisor.tend()
        if web.attempts.deaths > 1:
            break
        line = http.client.HTTPConnection(HOST, port, timeout=5)
        try:
            line.request("GET", "/readyz")
            response = line.getresponse()
            answer = f"; /readyz answered {response.status}"
            if response.status == http.HTTPStatus.OK:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            line.close()
        time.sleep(0.1)
    raise NotStartedError(f"The web server did not get ready{answer}. The end of {web.log}:\n{processes.tail(web.log)}")


def _refuse_full_disk(folder: Path) -> None:
    free = psutil.disk_usage(str(folder)).free
    if free < _LEAST_FREE:
        raise NotStartedError(
            f"The disk is full: {free // 2**20} MB are free at {folder}, and Easel needs {_LEAST_FREE // 2**20} MB."
        )


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise NotStartedError(f"Port {port} is for root only. Choose another: ./run up --port 8000") from None
        except OSError:
            other = port + 1 if port < 65_535 else 8000
            raise NotStartedError(
                f"Port {port} is in use{_holder(port)}. Stop that, or choose another: ./run up --port {other}"
            ) from None


def _holder(port: int) -> str:
    """Name the process that listens on a port, where we may know."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def _ready_file() -> Path:
    return environment.home / "ready.json"


def _greet(url: str, seeded: dict[str, Any]) -> None:
    admin = seeded["admin"]
    _say(f"Easel is ready: {url}   sign in as {admin['username']} with the password {admin['password']}")


def _become_the_one(lock: Lock) -> bool:
    """Take the lock of home; or wait for the process that has it, say where its Easel is, and return False."""
    waiting = False
    deadline = time.monotonic() + _START_PATIENCE
    while time.monotonic() < deadline:
        if lock.take():
            return True
        with suppress(FileNotFoundError, ValueError):
            _say(f"Easel is already up at {json.loads(_ready_file().read_text())['url']}")
            return False
        if not waiting:
            _say("Another process is starting Easel; waiting for it.")
            waiting = True
        time.sleep(0.2)
    raise NotStartedError("Another process has been starting Easel for two minutes. Stop it: ./run down")


def _ready_since(began: float) -> bool:
    """Tell whether an Easel has got ready since then."""
    try:
        return _ready_file().stat().st_mtime >= began
    except FileNotFoundError:
        return False


def _detach(port: int) -> int:
    """Start a supervisor without a terminal, show what it says until it is ready, and leave it."""
    log = environment.home / "logs" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.time() - 0.1  # a file system's clock may lag by a tick
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)  # the sign-in is in it
    earlier = os.fstat(file).st_size
    command = [sys.executable, "-m", "easel.embedded.up", "--port", str(port)]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
    os.close(file)
    with log.open() as said:
        said.seek(earlier)
        try:
            while True:
                ended = child.poll()
                if ended is None and not _ready_since(began):
                    time.sleep(0.1)
                    _say(said.read(), end="")
                    continue
                time.sleep(0.1)  # the last line follows the file
                _say(said.read(), end="")
                return ended or 0
        except KeyboardInterrupt:
            child.terminate()
            return child.wait()


@contextmanager
def _phase(name: str) -> Iterator[None]:
    began = time.monotonic()
    _say(f"{name} ... ", end="")
    try:
        yield
    except BaseException:
        _say("")
        raise
    _say(f"{time.monotonic() - began:.1f} s")


def _stop_on_signals() -> None:
    def stop(number: int, frame: FrameType | None) -> NoReturn:
        _ignore_signals()  # once is enough
        raise StopRequested

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # so nohup does what it promises
        signal.signal(signal.SIGHUP, stop)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
