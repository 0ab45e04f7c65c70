"""A pytest plugin: a real Postgres and a real Valkey for every run of the tests.

It is loaded with `-p tests.services`, before Django reads its settings, because the settings need to know where the
services will be. Each run takes the first free of the folders `.easel/test`, `.easel/test-2` ...: runs at the same time
do not meet. DATABASE_URL or BROKER_URL in the environment are used instead.

Workers of pytest-xdist share the servers. Each has a database of its own (pytest-django names it after the worker) and
a Valkey database of its own.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import pytest
from easel.embedded.errors import NotStartedError
from easel.embedded.lock import Lock
from easel.embedded.postgres import Postgres
from easel.embedded.valkey import Valkey

REPOSITORY = Path(__file__).resolve().parents[1]
_WORKER = os.environ.get("PYTEST_XDIST_WORKER")
_BROKER = "EASEL_TEST_BROKER"  # tells the workers of xdist where the run's own Valkey is
_locks: list[Lock] = []  # held while the process lives
_running: list[Postgres | Valkey] = []


def _take_home() -> Path:
    for number in count(1):
        home = REPOSITORY / ".easel" / ("test" if number == 1 else f"test-{number}")
        lock = Lock(home)
        if lock.take():
            _locks.append(lock)
            return home
    raise AssertionError


os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the internet: where there is none, each question takes its time
if _WORKER is None:
    # The operator's own EASEL_HOME is left in peace: tests would write into it.
    os.environ["EASEL_HOME"] = str(_take_home())
elif _BROKER in os.environ:
    os.environ["BROKER_URL"] = f"{os.environ[_BROKER]}?virtual_host={int(_WORKER.removeprefix('gw')) + 1}"


def start(*, durable: bool) -> None:
    """Start what the environment does not name. Raises NotStartedError."""
    from easel.env import environment

    services: list[Postgres | Valkey] = []
    if not environment.database_url:
        password = environment.embedded_secrets["database_password"]
        services.append(Postgres(environment.home, environment.sockets, password, durable=durable))
    if not environment.broker_url:
        services.append(Valkey(environment.home, environment.sockets))
        os.environ[_BROKER] = environment.broker
    for service in services:
        service.start()
        _running.append(service)


def stop() -> None:
    """Stop what was started."""
    while _running:
        _running.pop().stop()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the services, in the process that controls the run only, and before xdist starts its workers."""
    if _WORKER is not None or session.config.option.collectonly:
        return
    try:
        # Without fsync the unit tests are quicker. Runs that kill processes get the durable server that users have.
        start(durable="not processes" not in session.config.option.markexpr)
    except NotStartedError as error:
        pytest.exit(str(error), returncode=1)


def pytest_unconfigure() -> None:
    """Stop the services, after Ctrl-C too. After a kill -9 the kernel stops them, on Linux."""
    stop()
