"""Orders to a renderer that is at work: cancel, pause, resume, live work first; and an image that is made again."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from easel.common.models import Job
from easel.env import REPOSITORY
from easel.images.models import Candidate
from easel.registry.models import ModelVersion
from pytest_django import Settings

from tests.cast import API, Cast, client_of, make_prompts
from tests.faults.processes import Nursery, ask, files, is_alive, state, sweeping, wait_for

pytestmark = [
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("platform_worker"),
]


def test_a_running_part_stops_at_its_next_step_when_it_is_cancelled_or_paused(
    committed_cast: Cast, tiny: ModelVersion, renderers: Nursery
) -> None:
    cast, client = committed_cast, client_of(committed_cast.alice)
    make_prompts(cast.project, "a fox")
    (hen,) = make_prompts(cast.project, "a hen")
    slow = {"steps": 150, "width": 128, "height": 128}
    first = ask(cast, client, settings=slow)
    pid = renderers.renderer()
    running = Job.objects.filter(chunk__request__pk=first, state=Job.State.RUNNING)
    wait_for(sweeping(lambda: running.filter(step__gt=0).exists()), "a step", renderers.log)
    told = client.get(f"{API}/generations/{first}/").json()
    assert (told["state"], told["progress"]["steps"]) == ("running", 150)
    assert "step" in told["progress"]["note"]

    assert client.post(f"{API}/generations/{first}/pause/").status_code == 202
    second = ask(cast, client, prompts=[str(hen.pk)])
    begun = time.monotonic()
    wait_for(lambda: state(second) == "done", "the request that was behind it", renderers.log)
    print(f"{time.monotonic() - begun:.1f} s from the pause to the end of the request behind")
    assert (state(first), files(first)) == ("paused", {})
    assert is_alive(pid)

    assert client.post(f"{API}/generations/{first}/resume/").status_code == 202
    wait_for(sweeping(lambda: running.filter(step__gt=0).exists()), "a step again", renderers.log)
    assert client.post(f"{API}/generations/{first}/cancel/").status_code == 202
    third = ask(cast, client, prompts=[str(hen.pk)])
    wait_for(lambda: state(third) == "done", "the request that was behind it", renderers.log)
    assert (state(first), files(first)) == ("cancelled", {})
    assert files(third) == files(second)
    assert set(Job.objects.values_list("failures", flat=True)) == {0}


def test_live_work_waits_for_a_part_of_the_batch_work_not_for_all(
    committed_cast: Cast, tiny: ModelVersion, renderers: Nursery, settings: Settings
) -> None:
    cast, client = committed_cast, client_of(committed_cast.alice)
    prompts = make_prompts(cast.project, *(f"cat {number}" for number in range(60)))
    batch = ask(cast, client)
    renderers.renderer()
    wait_for(sweeping(lambda: len(files(batch)) >= 8), "a busy renderer", renderers.log)
    live = ask(cast, client, prompts=[str(prompts[0].pk)], lane="live")
    wait_for(lambda: state(live) == "done", "the live request", renderers.log)
    parts = list(Job.objects.filter(chunk__request__pk=batch, claimed_at__isnull=False).order_by("claimed_at"))
    job = Job.objects.get(chunk__request__pk=live)
    assert job.claimed_at is not None
    between = [one for one in parts if one.claimed_at and job.created_at < one.claimed_at < job.claimed_at]
    print(f"the live request waited {(job.claimed_at - job.created_at).total_seconds():.2f} s")
    assert len(between) <= 1  # at most a claim that was on its way
    assert state(batch) == "running"


def test_an_image_that_is_made_again_is_the_same_and_another_one_is_not(
    committed_cast: Cast, tiny: ModelVersion, renderers: Nursery, environment: dict[str, str]
) -> None:
    cast, client = committed_cast, client_of(committed_cast.alice)
    make_prompts(cast.project, "a fox")
    request = ask(cast, client)
    renderers.renderer()
    wait_for(sweeping(lambda: state(request) == "done"), "the images", renderers.log)
    one, other, *_ = Candidate.objects.order_by("position")

    def verify(candidate: Candidate, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "easel.cli", "verify", str(candidate.pk), *options]
        return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)

    same = verify(one)
    assert (same.returncode, same.stdout) == (0, "same: every pixel is the same\n"), same.stderr
    Candidate.objects.filter(pk=one.pk).update(key=other.key)
    different = verify(one, "--json")
    assert different.returncode == 1
    found = json.loads(different.stdout)
    assert (found["same"], found["bitwise"]) == (False, False)
    assert found["mean_difference"] > 0
