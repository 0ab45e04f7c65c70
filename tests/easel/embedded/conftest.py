"""Homes for embedded services, and what the tests of real processes share."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from easel.embedded import processes
from easel.embedded.postgres import Postgres
from easel.embedded.processes import Identity
from easel.embedded.valkey import Valkey
from easel.env import Environment

PASSWORD = "it's a password"


@pytest.fixture
def new_home() -> Iterator[Path]:
    """An empty home that every user can enter (pytest's own temporary folders are closed to others)."""
    folder = make_home()
    yield folder
    remove(folder)


@pytest.fixture(scope="session")
def started_once() -> Iterator[Path]:
    """A home whose Postgres has had its first start."""
    folder = make_home()
    server = server_of(folder)
    server.start()
    server.stop()
    yield folder
    remove(folder)


@pytest.fixture
def home(started_once: Path) -> Iterator[Path]:
    """A home whose Postgres has had its first start, for one test."""
    folder = make_home()
    subprocess.run(["cp", "-a", started_once / "postgres", folder], check=True)  # keeps owners, unlike shutil
    yield folder
    remove(folder)


@pytest.fixture
def postgres(home: Path) -> Iterator[Postgres]:
    """A server that has not been started."""
    server = server_of(home)
    yield server
    server.stop()


@pytest.fixture
def valkey(home: Path) -> Iterator[Valkey]:
    """A broker that has not been started."""
    server = Valkey(home, home / "sockets")
    yield server
    server.stop()


def make_home() -> Path:
    """Make a folder that every user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="easel-test-"))
    folder.chmod(0o755)
    return folder


def server_of(home: Path, password: str = PASSWORD) -> Postgres:
    """The Postgres of a home, as `./run up` would make it."""
    return Postgres(home, Environment(home=home).sockets, password)


def remove(home: Path) -> None:
    """Remove a home, and the folder outside it of its Postgres. After a failed test, stop it first."""
    with suppress(FileNotFoundError):
        left = Identity.from_record(json.loads((home / "up.json").read_text())["supervisor"])
        if left.is_alive():
            processes.kill([psutil.Process(left.pid)])
            processes.wait_until(lambda: server_of(home).running() is None, patience=5)
    outside = home / "postgres"
    if outside.is_symlink():
        shutil.rmtree(outside.resolve())
    shutil.rmtree(home)
