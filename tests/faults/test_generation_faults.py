"""R8 to R12 of the reliability table, with real processes, real kill -9, a real full disk and real full memory.

EASEL_LONG_FAULTS=1 runs the long form of those that have one.
"""

from __future__ import annotations

import hashlib
import os
import re
import resource
import shutil
import signal
import subprocess
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args
from uuid import UUID

import pytest
from django.db import connections, transaction
from django.utils import timezone
from easel.common.models import Job
from easel.embedded.commands import beat
from easel.images.models import Candidate
from easel.registry.models import ModelVersion
from easel.registry.services import register_folder
from pytest_django import Settings

from generation.failpoints import RenderPlace
from generation.storage import Storage
from tests.cast import API, Cast, client_of, generate, make_prompts
from tests.faults.processes import (
    Nursery,
    ask,
    files,
    is_alive,
    pictures,
    run_out_the_leases,
    running,
    state,
    sweeping,
    wait_for,
)

pytestmark = [
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("platform_worker"),
]
LONG = bool(os.environ.get("EASEL_LONG_FAULTS"))
PLACES: tuple[str, ...] = get_args(RenderPlace)


def stop(pid: int) -> None:
    """Stop a renderer at once."""
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid), "a renderer's end")


def hold_back(at: datetime) -> None:
    """Keep parts that have failed away from the renderers until then: each of these is to die once."""
    Job.objects.filter(state=Job.State.QUEUED, attempt__gt=0).update(not_before=at)


def test_r9_a_renderer_killed_at_any_of_eight_places_leaves_the_same_files_and_rows(
    committed_cast: Cast, tiny: ModelVersion, renderers: Nursery, storage_folder: Path
) -> None:
    cast, client = committed_cast, client_of(committed_cast.alice)
    make_prompts(cast.project, *(f"cat {number}" for number in range(10)))
    undisturbed = ask(cast, client)
    first = renderers.renderer()
    wait_for(sweeping(lambda: state(undisturbed) == "done"), "an undisturbed request", renderers.log)
    stop(first)
    for file in storage_folder.rglob("*.png"):
        file.unlink()  # else the same files would be there already, and none be written

    disturbed = ask(cast, client)
    for place in PLACES:
        pid = renderers.renderer(place)
        wait_for(sweeping(lambda pid=pid: not is_alive(pid)), f"the death at {place}", renderers.log)  # type: ignore[misc]
        run_out_the_leases(cast)
        wait_for(sweeping(lambda: not Job.objects.filter(state=Job.State.RUNNING).exists()), "the sweeper")
        hold_back(timezone.now() + timedelta(hours=1))
    lost = Job.objects.filter(chunk__request__pk=disturbed, error_code="worker_lost")
    assert lost.count() == len(PLACES) - 1  # at the last place, all of the job was recorded
    assert set(lost.values_list("failures", flat=True)) == {1}

    hold_back(cast.project.created_at)
    renderers.renderer()
    wait_for(sweeping(lambda: state(disturbed) == "done"), "the rest", renderers.log)
    assert files(disturbed) == files(undisturbed)
    assert len(files(disturbed)) == 40
    storage = Storage(storage_folder.as_uri())
    assert pictures(storage) == set(files(disturbed).values())
    for row in Candidate.objects.filter(request__pk=disturbed):
        content = storage.read(row.key)
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (row.sha256, row.size)
        assert row.chunk is not None
        assert row.chunk.job.state == Job.State.DONE


def request_and_die(cast: Cast, prompts: list[UUID]) -> None:
    """Ask for one image, in a process of its own that is killed between the commit and the message."""
    pid = os.fork()
    if pid == 0:
        try:
            connections.close_all()  # the parent's; closing them here leaves them open there
            with transaction.atomic():
                transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
                generate(cast, list(cast.project.prompts.filter(pk__in=prompts)), images_per_prompt=1)
        finally:
            os._exit(3)  # not reached: it is dead
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_r8_requests_whose_process_died_between_commit_and_message_start_within_thirty_seconds(
    committed_cast: Cast, tiny: ModelVersion, environment: dict[str, str], renderers: Nursery, tmp_path: Path
) -> None:
    cast, count = committed_cast, 100 if LONG else 25
    prompts = [prompt.pk for prompt in make_prompts(cast.project, *(f"cat {number}" for number in range(count)))]
    ask(cast, client_of(cast.alice), prompts=[str(prompts[0])])
    renderers.renderer()
    wait_for(sweeping(lambda: Candidate.objects.count() == 4), "a renderer that is ready", renderers.log)

    with running(beat(str(tmp_path / "beat")), environment, tmp_path / "beat.log"):
        connections.close_all()
        for prompt in prompts:
            request_and_die(Cast(**{**vars(cast), "model": tiny}), [prompt])
        rows = Job.objects.filter(chunk__request__images_total=1)
        assert rows.count() == count
        wait_for(lambda: not rows.filter(claimed_at=None).exists(), "the clock's bell", tmp_path / "beat.log")
    waited = [(job.claimed_at - job.created_at).total_seconds() for job in rows if job.claimed_at]
    print(f"R8: {count} of {count} started; the longest wait was {max(waited):.1f} s")
    assert len(waited) == count
    assert max(waited) <= 30


def test_r11_a_poison_job_dies_after_three_workers_and_those_behind_it_finish(
    committed_cast: Cast, tiny: ModelVersion, renderers: Nursery, model_folders: Path, settings: Settings
) -> None:
    cast, client = committed_cast, client_of(committed_cast.alice)
    settings.CHUNK_IMAGES = 1
    shutil.copytree(model_folders / "tiny", model_folders / "poison")
    (model_folders / "poison" / "defaults.json").write_text('{"steps": 1}')
    register_folder("Poison", "poison", "", cast.project.created_at)
    prompts = make_prompts(cast.project, *(f"cat {number}" for number in range(100)))
    poison = ask(cast, client, model="Poison", prompts=[str(prompts[0].pk)], images_per_prompt=1, seeds=[1])
    healthy = ask(cast, client, images_per_prompt=1, seeds=[1])

    killed = 0
    pid = renderers.renderer("claimed=Poison")

    def over() -> bool:
        nonlocal killed, pid
        if not is_alive(pid):  # as `./run up` does, start another
            killed += 1
            run_out_the_leases(cast)
            pid = renderers.renderer("claimed=Poison")
        hold_back(cast.project.created_at)  # its pauses are tested elsewhere
        return state(poison) == "failed" and state(healthy) == "done"

    wait_for(sweeping(over), "the end of the poison and of the others", renderers.log)
    dead = Job.objects.get(chunk__request__pk=poison)
    assert (killed, dead.state, dead.attempt, dead.failures) == (3, "dead", 3, 3)
    assert set(Job.objects.filter(chunk__request__pk=healthy).values_list("state", "failures")) == {("done", 0)}
    assert len(files(healthy)) == 100
    told = client.get(f"{API}/generations/{poison}/").json()
    assert (told["state"], told["progress"]["done"]) == ("failed", 0)
    assert told["error"].endswith("fell silent.")

    stop(pid)
    renderers.renderer()  # whatever killed it is mended
    assert client.post(f"{API}/generations/{poison}/retries/").status_code == 202
    wait_for(lambda: state(poison) == "done", "the retried job", renderers.log)


def test_r12_a_full_disk_shows_no_partial_file_and_the_job_goes_on_once_there_is_room(
    committed_cast: Cast, tiny: ModelVersion, renderers: Nursery, storage_folder: Path
) -> None:
    cast, client = committed_cast, client_of(committed_cast.alice)
    make_prompts(cast.project, *(f"cat {number}" for number in range(4)))
    storage_folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        mount = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "easel", str(storage_folder)], capture_output=True, check=False
        )
        if mount.returncode:
            pytest.skip(f"a disk of its own needs the right to mount: {mount.stderr.decode().strip()}")
        stack.callback(subprocess.run, ["umount", "--lazy", str(storage_folder)], check=True)
        ballast = storage_folder / "ballast"
        with ballast.open("wb") as file:
            room = os.statvfs(storage_folder)
            file.write(bytes(room.f_bavail * room.f_frsize - 2 * room.f_frsize))  # room for two folders, or two files

        request = ask(cast, client)
        renderers.renderer()
        full = Job.objects.filter(chunk__request__pk=request, error_code="storage_full")
        wait_for(sweeping(lambda: full.filter(state=Job.State.QUEUED).exists()), "a job that waits", renderers.log)
        storage = Storage(storage_folder.as_uri())
        for key in pictures(storage):
            assert hashlib.sha256(storage.read(key)).hexdigest() == Path(key).stem
        waiting = full[0]
        assert (waiting.failures, waiting.error.count("\n")) == (0, 0)
        assert "No space left" in waiting.error
        assert "the work goes on by itself" in waiting.error

        ballast.unlink()
        hold_back(cast.project.created_at)
        wait_for(sweeping(lambda: state(request) == "done"), "the rest, once there is room", renderers.log)
        assert pictures(storage) == set(files(request).values())
        assert len(files(request)) == 16
        assert not list(storage_folder.rglob(".writing-*"))
        assert set(Job.objects.values_list("failures", flat=True)) == {0}


def test_r10_full_memory_halves_the_batch_and_what_never_fits_is_dead_with_a_reason_and_the_others_finish(
    committed_cast: Cast, tiny: ModelVersion, renderers: Nursery, settings: Settings
) -> None:
    cast, client = committed_cast, client_of(committed_cast.alice)
    settings.CHUNK_IMAGES = 8
    make_prompts(cast.project, "cat")
    warm = ask(cast, client, images_per_prompt=1, seeds=[1])
    pid = renderers.renderer(batch=8)
    wait_for(sweeping(lambda: state(warm) == "done"), "a warm pipeline", renderers.log)
    status = Path(f"/proc/{pid}/status").read_text()
    size = int(re.search(r"VmSize:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]
    # Of this model, eight images of 256 x 256 pixels take 210 MB and more, one less than 100. The limit counts
    # addresses, of which the heap keeps some that are free: it must not be as tight as the arithmetic allows.
    resource.prlimit(pid, resource.RLIMIT_AS, (size + 160 * 2**20, resource.RLIM_INFINITY))

    larger = {"width": 256, "height": 256, "steps": 1}
    huge = {"width": 2048, "height": 2048, "steps": 1}
    fits = ask(cast, client, settings=larger, images_per_prompt=8, seeds=list(range(8)))
    never = ask(cast, client, settings=huge, images_per_prompt=1, seeds=[1])
    behind = ask(cast, client)
    over = sweeping(lambda: (state(fits), state(never), state(behind)) == ("done", "failed", "done"))
    wait_for(over, "all three requests", renderers.log)
    assert is_alive(pid)  # it was one process all along
    assert "out of memory with 8 images at a time; going on with 4" in renderers.log.read_text()
    assert len(files(fits)) == 8
    dead = Job.objects.get(chunk__request__pk=never)
    assert (dead.error_code, dead.failures) == ("out_of_memory", 1)
    assert "2048 x 2048 pixels" in dead.error
    assert "\n" not in dead.error
