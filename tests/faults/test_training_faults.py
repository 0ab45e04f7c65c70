"""R14: training is killed at random steps, and ends with the very weights that it would have had."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from django.utils import timezone
from easel.common.models import Job
from easel.embedded.commands import TRAIN_WORKER
from easel.registry.models import ModelVersion
from easel.training.models import FinetunePoint, FinetuneRun

from finetune.types import TrainSettings
from generation.fetched import PREFIX
from tests.cast import Cast
from tests.easel.training.stage import frozen
from tests.faults.processes import run_out_the_leases, running, sweeping, wait_for

pytestmark = pytest.mark.processes

KILLS = 10
STEPS = 60
SETTINGS = TrainSettings(steps=STEPS, batch=1, checkpoint_every=7, lora_rank=2, warmup_steps=0, learning_rate=1e-3)


def test_r14_runs_whose_process_or_worker_is_killed_ten_times_end_with_bitwise_the_weights_of_one_that_is_left_alone(
    committed_cast: Cast,
    tiny: ModelVersion,
    renderer_environment: dict[str, str],
    platform_worker: None,
    tmp_path: Path,
) -> None:
    from easel.training.services import start_finetune

    cast, log, chance = committed_cast, tmp_path / "train.log", random.Random(14)
    snapshot = frozen(cast, 4)

    def start() -> FinetuneRun:
        return start_finetune(
            cast.project, cast.dave, timezone.now(), snapshot=snapshot, base=tiny, method="dpo", settings=SETTINGS
        )

    def now(run: FinetuneRun) -> FinetuneRun:
        return FinetuneRun.objects.with_parts().get(pk=run.pk)

    def finished(run: FinetuneRun) -> Callable[[], object]:
        def look() -> bool:
            found = now(run)
            assert found.state != "failed", found.job.error
            return found.state == "done"

        return sweeping(look)

    alone = start()
    with running(TRAIN_WORKER, renderer_environment, log):
        wait_for(finished(alone), "the run that is left alone", log)

    disturbed = start()
    killed: list[str] = []
    reached = 0
    while len(killed) < KILLS:
        with running(TRAIN_WORKER, renderer_environment, log) as worker:
            while len(killed) < KILLS:
                goal = min(reached + chance.randint(1, 4), STEPS - 2)

                def trained(goal: int = goal) -> bool:
                    newest = FinetunePoint.objects.filter(run=disturbed).order_by("-step").first()
                    return newest is not None and newest.step >= goal

                wait_for(sweeping(trained), f"step {goal} after {len(killed)} kills", log)
                children = psutil.Process(worker.pid).children()
                if not children:
                    continue  # it is between two steps of its own: ended and not yet started again
                reached = now(disturbed).job.done or goal
                (child,) = children
                if len(killed) % 3 == 2:
                    os.kill(worker.pid, signal.SIGKILL)
                    killed.append("worker")
                    psutil.wait_procs([child], timeout=20)
                    assert not child.is_running(), "the training outlived its worker"
                    break
                os.kill(child.pid, signal.SIGKILL)
                killed.append("process")
                wait_for(
                    lambda: Job.objects.exclude(state=Job.State.RUNNING).filter(finetune=disturbed), "its end", log
                )
                # Three failures bury a job; what is tested here is what an attempt leaves behind.
                Job.objects.filter(finetune=disturbed).update(failures=0, not_before=timezone.now())
        if killed[-1] == "worker":
            run_out_the_leases(cast)
            wait_for(sweeping(lambda: Job.objects.filter(finetune=disturbed, state="queued").exists()), "its return")
            Job.objects.filter(finetune=disturbed).update(failures=0, not_before=timezone.now())
    with running(TRAIN_WORKER, renderer_environment, log):
        wait_for(finished(disturbed), "the run that was killed ten times", log)

    assert killed.count("worker") >= 3
    assert killed.count("process") >= 6
    assert now(disturbed).job.attempt > KILLS
    one, other = now(alone).made, now(disturbed).made
    assert one is not None
    assert one == other  # the same file under the same hash is the same model version
    assert one.location.startswith(PREFIX)
    figures = [
        {row["step"]: row["values"]["loss"] for row in FinetunePoint.objects.filter(run=run).values("step", "values")}
        for run in (alone, disturbed)
    ]
    assert figures[0].keys() == set(range(1, STEPS + 1))
    assert all(figures[0][step] == loss for step, loss in figures[1].items())
