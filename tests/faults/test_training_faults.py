"""R14: training is killed at random steps, and ends with the very weights that it would have had."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from django.utils import timezone
from easel.common.models import Job
from easel.embedded.commands import TRAIN_WORKER, WEB_WORKER
from easel.registry.models import ModelVersion
from easel.training.models import FinetunePoint, FinetuneRun
from easel.training.services import start_finetune

from finetune.types import TrainSettings
from generation.failpoints import VARIABLE
from generation.fetched import PREFIX
from tests.cast import Cast
from tests.easel.training.stage import frozen
from tests.faults.processes import run_out_the_leases, running, sweeping, wait_for

pytestmark = pytest.mark.processes

KILLS = ("process", "process", "worker", "process", "process", "worker", "process", "process", "worker", "process")
STEPS = 90
SETTINGS = TrainSettings(steps=STEPS, batch=1, checkpoint_every=9, lora_rank=2, warmup_steps=0, learning_rate=1e-3)


def test_r14_a_run_whose_process_or_worker_is_killed_ten_times_ends_with_bitwise_the_weights_of_one_left_alone(
    committed_cast: Cast,
    tiny: ModelVersion,
    environment: dict[str, str],
    renderer_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    cast, log, chance = committed_cast, tmp_path / "train.log", random.Random(14)
    snapshot = frozen(cast, 4)

    def start() -> FinetuneRun:
        return start_finetune(
            cast.project, cast.dave, timezone.now(), snapshot=snapshot, base=tiny, method="dpo", settings=SETTINGS
        )

    def finish(run: FinetuneRun) -> ModelVersion:
        def done() -> bool:
            found = FinetuneRun.objects.with_parts().get(pk=run.pk)
            assert found.state != "failed", found.job.error
            return found.state == "done"

        with running(TRAIN_WORKER, renderer_environment, log):
            wait_for(sweeping(done), f"the end of run {run.number}", log)
        made = FinetuneRun.objects.with_parts().get(pk=run.pk).made
        assert made is not None
        return made

    with running(WEB_WORKER, environment, tmp_path / "web.log"):
        alone = start()
        whole = finish(alone)

        disturbed = start()
        job = Job.objects.filter(finetune=disturbed)
        checkpoints = Path(renderer_environment["EASEL_HOME"]) / "training" / str(disturbed.pk) / "out" / "checkpoints"
        killed_at = []
        for what in KILLS:
            saved = max((int(path.name.removeprefix("step-")) for path in checkpoints.glob("step-*")), default=0)
            killed_at.append(saved + chance.randint(1, 7))
            place = "trained_step" if what == "process" else "heard_step"
            doomed = renderer_environment | {VARIABLE: f"{place}={killed_at[-1]}"}
            with running(TRAIN_WORKER, doomed, log) as worker:
                if what == "process":
                    lost = sweeping(job.filter(state=Job.State.QUEUED, error_code="process_lost").exists)
                    wait_for(lost, f"the death of a process at step {killed_at[-1]}", log)
                else:
                    dead = sweeping(lambda worker=worker: worker.poll() is not None)  # type: ignore[misc]
                    wait_for(dead, f"the death of a worker at step {killed_at[-1]}", log)
                    run_out_the_leases(cast)
                    wait_for(sweeping(job.filter(state=Job.State.QUEUED).exists), "the return of its job", log)
            # Three failures bury a job, and pauses grow: what is tested here is what an attempt leaves behind.
            job.update(failures=0, error_code="", not_before=timezone.now())
        assert killed_at[-1] < STEPS
        again = finish(disturbed)

    assert again == whole  # the same file under the same hash is the same model version
    assert again.location.startswith(PREFIX)
    assert job.get().attempt == len(KILLS) + 1
    losses = [
        {step: values["loss"] for step, values in FinetunePoint.objects.filter(run=run).values_list("step", "values")}
        for run in (alone, disturbed)
    ]
    assert losses[0].keys() == set(range(1, STEPS + 1))
    assert all(losses[0][step] == loss for step, loss in losses[1].items())
