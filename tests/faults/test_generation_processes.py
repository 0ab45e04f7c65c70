"""The way from a request to recorded candidates through real processes: Valkey, the platform's worker, the renderer."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from easel.annotation.models import Item
from easel.common.broker import app, send
from easel.common.models import Job
from easel.embedded.commands import RENDER_WORKER, WEB_WORKER
from easel.env import REPOSITORY
from easel.images.models import Candidate, GenerationRequest
from easel.registry.services import register_folder
from pytest_django import Settings
from rest_framework.test import APIClient

from generation.storage import MODEL_PATH_VARIABLE, Storage
from tests.cast import API, Cast, client_of, make_prompts
from tests.generation.tiny import save_tiny_model

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]
PATIENCE = 120.0  # seconds; these machines are slow when they are busy


@contextmanager
def _running(command: tuple[str, ...], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=REPOSITORY, env=environment, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for(condition: Callable[[], bool], what: str, *logs: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            tails = "\n".join(log.read_text()[-2_000:] for log in logs if log.exists())
            pytest.fail(f"waited {PATIENCE:.0f} s for {what}\n{tails}")
        time.sleep(0.1)


@pytest.fixture
def environment(
    committed_cast: Cast,  # first: it settles where the storage is
    environment_of_tests: dict[str, str],
    model_folders: Path,
    settings: Settings,
) -> dict[str, str]:
    """The processes' environment, with a tiny real model in the model folder and short leases."""
    save_tiny_model(model_folders / "tiny")
    settings.CHUNK_IMAGES = 4
    return {
        **environment_of_tests,
        MODEL_PATH_VARIABLE: str(model_folders),
        "EASEL_JOB_LEASE_SECONDS": "3",
        "EASEL_HEARTBEAT_SECONDS": "0.5",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def renderer_environment(environment: dict[str, str]) -> dict[str, str]:
    """What `./run up` gives a renderer: no database, no key."""
    secret = {"DATABASE_URL", "EASEL_SECRET_KEY", "DJANGO_SETTINGS_MODULE"}
    return {name: value for name, value in environment.items() if name not in secret}


@pytest.fixture
def platform_worker(environment: dict[str, str], tmp_path: Path) -> Iterator[None]:
    """The platform's own Celery worker."""
    with _running(WEB_WORKER, environment, tmp_path / "web.log"):
        yield


def _sweep() -> None:
    """What the clock does every 15 s."""
    send("easel.jobs.sweep")
    send("easel.annotation.gather")


def _ask(cast: Cast, client: APIClient, **others: object) -> str:
    body = {"model": "Tiny", "images_per_prompt": 4, "seeds": [1, 2, 3, 4], **others}
    response = client.post(f"{API}/projects/{cast.project.pk}/generations/", body)
    assert response.status_code == 202, response.content
    return str(response.json()["id"])


def _state(request: str) -> str:
    return GenerationRequest.objects.with_progress().get(pk=request).state


def _files(request: str) -> dict[tuple[object, int], str]:
    rows = Candidate.objects.filter(request__pk=request)
    return {(row.prompt_id, row.position): row.key for row in rows}


@pytest.mark.usefixtures("platform_worker")
def test_a_request_becomes_candidates_and_a_killed_renderer_changes_nothing(
    committed_cast: Cast, renderer_environment: dict[str, str], model_folders: Path, tmp_path: Path, settings: Settings
) -> None:
    cast, log = committed_cast, tmp_path / "render.log"
    register_folder("Tiny", "tiny", "", cast.project.created_at)
    make_prompts(cast.project, *(f"cat {number}" for number in range(10)))
    client = client_of(cast.alice)

    undisturbed = _ask(cast, client)
    with _running(RENDER_WORKER, renderer_environment, log):
        _wait_for(lambda: _state(undisturbed) == "done", "an undisturbed request", log, tmp_path / "web.log")

    disturbed = _ask(cast, client)
    with _running(RENDER_WORKER, renderer_environment, log) as renderer:
        _wait_for(lambda: bool(_files(disturbed)), "the first images", log)
        renderer.send_signal(signal.SIGKILL)
        renderer.wait()
    assert _state(disturbed) != "done"
    with _running(RENDER_WORKER, renderer_environment, log):

        def finished() -> bool:
            _sweep()
            time.sleep(0.4)
            return _state(disturbed) == "done"

        _wait_for(finished, "the second renderer to finish the work of the first", log, tmp_path / "web.log")

    assert len(_files(disturbed)) == 40
    assert _files(disturbed) == _files(undisturbed)
    storage = Storage(settings.STORAGE_URL)
    for key in set(_files(disturbed).values()):
        assert hashlib.sha256(storage.read(key)).hexdigest() == Path(key).stem
    assert set(storage.keys()) == set(_files(disturbed).values())  # no orphan, no partial file
    _wait_for(lambda: Item.objects.count() == 20, "the items of both requests", tmp_path / "web.log")


@pytest.mark.usefixtures("platform_worker")
def test_a_broken_model_ends_in_a_reason_and_retry_mends_it(
    committed_cast: Cast, renderer_environment: dict[str, str], model_folders: Path, tmp_path: Path
) -> None:
    cast, log = committed_cast, tmp_path / "render.log"
    register_folder("Tiny", "tiny", "", cast.project.created_at)
    make_prompts(cast.project, "cat")
    client = client_of(cast.alice)
    shutil.move(model_folders / "tiny", tmp_path / "away")

    with _running(RENDER_WORKER, renderer_environment, log):
        request = _ask(cast, client)

        def failed() -> bool:
            Job.objects.filter(state=Job.State.QUEUED).update(not_before=cast.project.created_at)  # do not wait
            _sweep()
            time.sleep(0.4)
            return _state(request) == "failed"

        _wait_for(failed, "the job to be dead", log, tmp_path / "web.log")
        answer = client.get(f"{API}/generations/{request}/").json()
        assert "tiny" in answer["error"]
        assert "Traceback" not in answer["error"]

        shutil.move(tmp_path / "away", model_folders / "tiny")
        assert client.post(f"{API}/generations/{request}/retries/", {}).status_code == 202
        _wait_for(lambda: _state(request) == "done", "the retried job", log, tmp_path / "web.log")


def test_a_request_whose_bell_was_lost_starts_with_the_next_sweep(
    committed_cast: Cast,
    environment: dict[str, str],
    renderer_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    cast, log = committed_cast, tmp_path / "render.log"
    register_folder("Tiny", "tiny", "", cast.project.created_at)
    make_prompts(cast.project, "cat")
    request = _ask(cast, client_of(cast.alice))
    app.control.purge()  # as if the process had died between its commit and the message
    with app.connection_for_write() as connection:
        for lane in ("live", "batch"):
            connection.default_channel.queue_purge(lane)
    with (
        _running(WEB_WORKER, environment, tmp_path / "web.log"),
        _running(RENDER_WORKER, renderer_environment, log),
    ):

        def started() -> bool:
            _sweep()
            time.sleep(0.4)
            return _state(request) == "done"

        _wait_for(started, "the sweeper's bell", log, tmp_path / "web.log")
