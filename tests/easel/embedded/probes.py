"""What the tests ask of real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil
import psycopg
from easel.embedded.postgres import Postgres
from easel.env import REPOSITORY

from tests.easel.embedded.conftest import PASSWORD

OPERATOR = ("DATABASE_URL", "BROKER_URL", "STORAGE_URL", "EASEL_SECRET_KEY", "EASEL_TEST_BROKER")
# As ./run does: uncompiled, every process of every test would take seconds longer.
SLOW = ("PYTHONDONTWRITEBYTECODE",)


def connect(server: Postgres, *, user: str = "easel", password: str = PASSWORD) -> psycopg.Connection:
    """Connect as a client does: through the folder of sockets that it computes from home."""
    return psycopg.connect(host=str(server.sockets), user=user, password=password, dbname="easel", autocommit=True)


def environment_of(home: Path, **variables: str) -> dict[str, str]:
    """The environment of an operator who has set nothing but home."""
    kept = {name: value for name, value in os.environ.items() if name not in OPERATOR + SLOW}
    return {
        **kept,
        "EASEL_HOME": str(home),
        "PYTHONPATH": f"{REPOSITORY / 'platform'}{os.pathsep}{REPOSITORY}",
        **variables,
    }


def start_standin(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start tests/easel/embedded/standin.py, and wait until it is ready."""
    command = [sys.executable, "-m", "tests.easel.embedded.standin", *arguments]
    process = subprocess.Popen(command, env=environment_of(home), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", "the stand-in did not start"
    return process


def family(pid: int) -> list[psutil.Process]:
    """A process and all its descendants."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a zombie does not, it only waits to be reaped by whatever is process 1 here."""
    found = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def has(process: psutil.Process, word: str) -> bool:
    """Whether a process that lives has a word as an argument."""
    try:
        return word in process.cmdline()
    except psutil.Error:  # it has ended meanwhile
        return False


def called(processes: Iterable[psutil.Process], word: str) -> psutil.Process:
    """The one process among them that has a word as an argument."""
    (found,) = [process for process in living(processes) if has(process, word)]
    return found
