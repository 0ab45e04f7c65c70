"""The way from a request to recorded candidates through real processes: Valkey, the platform's worker, the renderer."""

from __future__ import annotations

import hashlib
import shutil
import signal
import time
from pathlib import Path

import pytest
from easel.annotation.models import Item
from easel.common.broker import app
from easel.common.models import Job
from easel.embedded.commands import RENDER_WORKER, WEB_WORKER
from easel.registry.services import register_folder
from pytest_django import Settings

from generation.storage import Storage
from tests.cast import API, Cast, client_of, make_prompts
from tests.faults.processes import ask, files, pictures, running, state, sweep, sweeping, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


@pytest.mark.usefixtures("platform_worker")
def test_a_request_becomes_candidates_and_a_killed_renderer_changes_nothing(
    committed_cast: Cast, renderer_environment: dict[str, str], model_folders: Path, tmp_path: Path, settings: Settings
) -> None:
    cast, log = committed_cast, tmp_path / "render.log"
    register_folder("Tiny", "tiny", "", cast.project.created_at)
    make_prompts(cast.project, *(f"cat {number}" for number in range(10)))
    client = client_of(cast.alice)

    undisturbed = ask(cast, client)
    with running(RENDER_WORKER, renderer_environment, log):
        wait_for(lambda: state(undisturbed) == "done", "an undisturbed request", log, tmp_path / "web.log")

    disturbed = ask(cast, client)
    with running(RENDER_WORKER, renderer_environment, log) as renderer:
        wait_for(lambda: bool(files(disturbed)), "the first images", log)
        renderer.send_signal(signal.SIGKILL)
        renderer.wait()
    assert state(disturbed) != "done"
    with running(RENDER_WORKER, renderer_environment, log):
        finished = sweeping(lambda: state(disturbed) == "done")
        wait_for(finished, "the second renderer to finish the work of the first", log, tmp_path / "web.log")

    assert len(files(disturbed)) == 40
    assert files(disturbed) == files(undisturbed)
    storage = Storage(settings.STORAGE_URL)
    for key in set(files(disturbed).values()):
        assert hashlib.sha256(storage.read(key)).hexdigest() == Path(key).stem
    assert pictures(storage) == set(files(disturbed).values())  # no orphan, no partial file
    wait_for(lambda: Item.objects.count() == 20, "the items of both requests", tmp_path / "web.log")


@pytest.mark.usefixtures("platform_worker")
def test_a_broken_model_ends_in_a_reason_and_retry_mends_it(
    committed_cast: Cast, renderer_environment: dict[str, str], model_folders: Path, tmp_path: Path
) -> None:
    cast, log = committed_cast, tmp_path / "render.log"
    register_folder("Tiny", "tiny", "", cast.project.created_at)
    make_prompts(cast.project, "cat")
    client = client_of(cast.alice)
    shutil.move(model_folders / "tiny", tmp_path / "away")

    with running(RENDER_WORKER, renderer_environment, log):
        request = ask(cast, client)

        def failed() -> bool:
            Job.objects.filter(state=Job.State.QUEUED).update(not_before=cast.project.created_at)  # do not wait
            sweep()
            time.sleep(0.4)
            return state(request) == "failed"

        wait_for(failed, "the job to be dead", log, tmp_path / "web.log")
        answer = client.get(f"{API}/generations/{request}/").json()
        assert "tiny" in answer["error"]
        assert "Traceback" not in answer["error"]

        shutil.move(tmp_path / "away", model_folders / "tiny")
        assert client.post(f"{API}/generations/{request}/retries/", {}).status_code == 202
        wait_for(lambda: state(request) == "done", "the retried job", log, tmp_path / "web.log")


def test_a_request_whose_bell_was_lost_starts_with_the_next_sweep(
    committed_cast: Cast,
    environment: dict[str, str],
    renderer_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    cast, log = committed_cast, tmp_path / "render.log"
    register_folder("Tiny", "tiny", "", cast.project.created_at)
    make_prompts(cast.project, "cat")
    request = ask(cast, client_of(cast.alice))
    app.control.purge()  # as if the process had died between its commit and the message
    with app.connection_for_write() as connection:
        for lane in ("live", "batch"):
            connection.default_channel.queue_purge(lane)
    with (
        running(WEB_WORKER, environment, tmp_path / "web.log"),
        running(RENDER_WORKER, renderer_environment, log),
    ):
        wait_for(sweeping(lambda: state(request) == "done"), "the sweeper's bell", log, tmp_path / "web.log")
