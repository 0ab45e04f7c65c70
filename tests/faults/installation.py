"""An Easel of its own as `./run up` starts it, whose processes are killed as a machine would kill them."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
from easel.embedded.processes import wait_until
from easel.embedded.valkey import Valkey
from easel.env import Environment

from tests.easel.embedded.conftest import make_home, remove
from tests.easel.embedded.probes import environment_of, family, has, living
from tests.faults.crowd import Annotator
from tests.faults.history import Row
from tests.faults.processes import PATIENCE

_ROWS = """
    SELECT annotation.id::text, annotation.assignment_id::text, annotation.item_id::text,
        annotation.annotator_id::text, annotation.answers, annotation.ranking, assignment.state
    FROM annotation_annotation AS annotation
    LEFT JOIN annotation_assignment AS assignment ON assignment.id = annotation.assignment_id
    WHERE annotation.project_id = %s
"""


class Installation:
    """What `./run up` has started in a home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url: str = json.loads((home / "ready.json").read_text())["url"]
        self.supervisor = psutil.Process(json.loads((home / "up.json").read_text())["supervisor"]["pid"])
        self.owner = ""  # the token of the stocked project's owner
        self._database = Environment(home=home, database_url="").database

    def stocked(self, annotators: int, items: int, overlap: int, think: float) -> list[Annotator]:
        """Make a project with items, and people who rank in it."""
        sizes = [f"--annotators={annotators}", f"--items={items}", f"--overlap={overlap}"]
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.stocking", *sizes],
            env=environment_of(self.home),
            stdout=subprocess.PIPE,
            check=True,
        )
        made = json.loads(done.stdout)
        self.owner = made["owner"]
        return [Annotator(self.url, made["project"], one["id"], one["token"], think) for one in made["annotators"]]

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Send a request as the owner; return the status and the answer."""
        line = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            headers = {"Authorization": f"Token {self.owner}", "Content-Type": "application/json"}
            line.request(method, f"/api/v1/{path}", json.dumps(body) if body is not None else None, headers)
            answer = line.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            line.close()

    def is_ready(self) -> bool:
        """Whether the web server answers and has its database."""
        line = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=5)
        try:
            line.request("GET", "/readyz")
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            line.close()

    def has_postgres(self) -> bool:
        """Whether Postgres answers a question."""
        try:
            with psycopg.connect(self._database, connect_timeout=2) as line:
                line.execute("SELECT 1")
            return True
        except psycopg.Error:
            return False

    def has_broker(self) -> bool:
        """Whether Valkey answers."""
        return Valkey(self.home, Environment(home=self.home).sockets).is_ready()

    @contextmanager
    def without_broker(self) -> Iterator[None]:
        """Keep the broker away: whenever the supervisor has started it again, it is killed again."""
        over = Event()

        def keep_away() -> None:
            while not over.wait(0.05):
                _kill(self.programs("valkey-server"))

        killer = Thread(target=keep_away, daemon=True)
        killer.start()
        try:
            yield
        finally:
            over.set()
            killer.join()

    @contextmanager
    def with_a_hung_broker(self) -> Iterator[None]:
        """Let the broker hang: it takes connections and answers none of them."""
        hung = self.programs("valkey-server")
        for one in hung:
            one.suspend()
        try:
            yield
        finally:
            for one in hung:
                one.resume()

    def rows(self, project: str) -> list[Row]:
        """The stored annotations of a project, read past the product."""
        with psycopg.connect(self._database) as line:
            found = line.execute(_ROWS, [project]).fetchall()
        return [
            Row(pk, lease, item, who, json.dumps([answers["rationale"], ranking]), state == "submitted")
            for pk, lease, item, who, answers, ranking, state in found
        ]

    def child(self, word: str) -> psutil.Process:
        """The supervisor's child with a word in its command line; waits for one that is being started again."""
        found: list[psutil.Process] = []

        def is_there() -> bool:
            found[:] = [one for one in living(self.supervisor.children()) if has(one, word)]
            return bool(found)

        assert wait_until(is_there, PATIENCE), f"no process {word}"
        return found[0]

    def programs(self, name: str) -> list[psutil.Process]:
        """All processes of a program, parents first."""
        found = []
        for one in family(self.supervisor.pid):
            with suppress(psutil.Error):
                if one.name() == name:
                    found.append(one)
        return found


def _kill(processes: list[psutil.Process]) -> None:
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)


def kill_web_process(easel: Installation) -> None:
    """One of the processes that answer requests."""
    _kill(easel.child("easel.wsgi:application").children()[:1])


def kill_web_server(easel: Installation) -> None:
    """The web server's first process and those that answer requests."""
    server = easel.child("easel.wsgi:application")
    _kill([server, *server.children()])


def kill_worker(easel: Installation) -> None:
    """The platform's worker."""
    _kill([easel.child("--queues=web")])


def kill_broker(easel: Installation) -> None:
    """Valkey."""
    _kill([easel.child("--appendonly")])


def kill_backend(easel: Installation) -> None:
    """One process of Postgres that serves a connection: Postgres ends all others, and recovers."""
    backends = [one for one in easel.programs("postgres") if "easel easel" in _command(one)]
    assert backends
    _kill(backends[-1:])


def _command(process: psutil.Process) -> str:
    """The command line of a process; nothing where it has ended a moment ago."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def kill_postgres(easel: Installation) -> None:
    """All of Postgres, its first process first, as when the power fails."""
    _kill(easel.programs("postgres"))


KILLS: dict[str, Callable[[Installation], None]] = {
    "a web process": kill_web_process,
    "Postgres": kill_postgres,
    "the worker": kill_worker,
    "the web server": kill_web_server,
    "a backend of Postgres": kill_backend,
    "the broker": kill_broker,
}


@contextmanager
def installed() -> Iterator[Installation]:
    """Keep an Easel up in a new home; nothing of it is left at the end."""
    home = make_home()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    up = [sys.executable, "-m", "easel.embedded.up", "--detach", "--port", str(port)]
    try:
        done = subprocess.run(up, env=environment_of(home), capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield Installation(home)
    finally:
        down = [sys.executable, "-m", "easel.embedded.down"]
        subprocess.run(down, env=environment_of(home), capture_output=True, timeout=60, check=False)
        time.sleep(0.2)
        remove(home)
