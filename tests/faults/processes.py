"""Real processes of the platform and its renderers, for the tests that kill them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from easel.common.broker import send
from easel.common.models import Job
from easel.env import REPOSITORY
from easel.images.models import Candidate, GenerationRequest
from rest_framework.test import APIClient

from generation.storage import MODEL_PATH_VARIABLE, Storage
from tests.cast import API, Cast

PATIENCE = 120.0  # seconds; these machines are slow when they are busy


@contextmanager
def running(command: tuple[str, ...], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a Python module running, and kill it at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=REPOSITORY, env=environment, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], object], what: str, *logs: Path) -> None:
    """Wait until a condition holds; fail with what was waited for and the ends of the logs."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            tails = "\n".join(log.read_text()[-2_000:] for log in logs if log.exists())
            pytest.fail(f"waited {PATIENCE:.0f} s for {what}\n{tails}")
        time.sleep(0.1)


def sweep() -> None:
    """What the clock does every 15 s."""
    send("easel.jobs.sweep")
    send("easel.annotation.gather")


def sweeping(condition: Callable[[], object]) -> Callable[[], object]:
    """Return a condition that has the clock make a round each time it is asked."""

    def swept() -> object:
        sweep()
        time.sleep(0.4)
        return condition()

    return swept


def ask(cast: Cast, client: APIClient, **others: object) -> str:
    """Ask for images over HTTP; returns the request's id."""
    body = {"model": "Tiny", "images_per_prompt": 4, "seeds": [1, 2, 3, 4], **others}
    response = client.post(f"{API}/projects/{cast.project.pk}/generations/", body)
    assert response.status_code == 202, response.content
    return str(response.json()["id"])


def state(request: str) -> str:
    """Return where a request stands."""
    return GenerationRequest.objects.with_progress().get(pk=request).state


def files(request: str) -> dict[tuple[object, int], str]:
    """Return the key of every image of a request."""
    rows = Candidate.objects.filter(request__pk=request)
    return {(row.prompt_id, row.position): row.key for row in rows}


def pictures(storage: Storage) -> set[str]:
    """Return the keys of what renderers have written; the platform's previews lie beside it."""
    return {key for key in storage.keys() if key.endswith(".png")}  # noqa: SIM118 -- a storage is no dict


def is_alive(pid: int) -> bool:
    """Tell whether a process lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def run_out_the_leases(cast: Cast) -> None:
    """Let the leases of the dead run out now, as if the time had passed."""
    Job.objects.filter(state=Job.State.RUNNING).update(lease_expires_at=cast.project.created_at)


class Nursery:
    """Starts renderers that need not load torch anew."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self.log = log
        self._alive: list[int] = []

    def renderer(self, failpoint: str = "", batch: int = 2) -> int:
        """Start a renderer that dies at a failpoint; return its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wanted = {"failpoint": failpoint, "models": os.environ[MODEL_PATH_VARIABLE], "batch": batch}
        self._process.stdin.write(f"{json.dumps(wanted)}\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self._alive.append(pid)
        return pid

    def stop_all(self) -> None:
        """Kill those that live still."""
        for pid in filter(is_alive, self._alive):
            os.kill(pid, signal.SIGKILL)
        self._alive.clear()


@contextmanager
def nursery(environment: dict[str, str], log: Path) -> Iterator[Nursery]:
    """Keep a nursery; at the end all that it started are killed."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    try:
        yield Nursery(process, log)
    finally:
        process.communicate()  # the end of its input is the end of its children
