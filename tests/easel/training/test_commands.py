"""Fine-tunes from the command line."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone
from easel.common.errors import InvalidInput, NotFound, Refusal
from easel.training import services
from easel.training.models import FinetuneRun

from tests.cast import Cast
from tests.easel.test_cli import run
from tests.easel.training.stage import claim, failed, frozen, result


def test_a_run_is_started_shown_ordered_about_and_handed_in(cast: Cast) -> None:
    snapshot = frozen(cast)
    started = run(
        *("finetune", "--project", cast.project.pk, "--snapshot", "First rankings", "--method", "dpo"),
        *("--base", "Painter", "--set", "steps=40", "--set", "learning_rate=1e-4", "--json"),
    )
    said = json.loads(started.stdout)
    assert (said["state"], said["done"], said["total"], said["model_version"]) == ("queued", 0, 40, None)
    made = FinetuneRun.objects.get()
    assert (made.snapshot, made.created_by, made.asked().learning_rate) == (snapshot, cast.alice, 1e-4)
    assert run("finetune-run", made.pk, "pause").stdout == f"Run 1, paused, 0 of 40 steps ({made.pk})\n"
    assert run("finetune-run", made.pk, "resume", "--json").exit_code == 0
    services.finish(result(claim()), timezone.now())
    shown = run("finetune-run", made.pk, "--wait").stdout
    assert shown.startswith("Run 1, done, 40 of 40 steps: Painter, dpo (")


def test_what_cannot_be_is_refused_in_one_line(cast: Cast) -> None:
    with pytest.raises(NotFound, match="`easel snapshot` takes one"):
        run("finetune", "--project", cast.project.pk)
    frozen(cast)
    with pytest.raises(InvalidInput, match="There is no setting 'speed'"):
        run("finetune", "--project", cast.project.pk, "--base", "Painter", "--set", "speed=3")
    assert run("finetune", "--project", cast.project.pk, "--set", "steps").exit_code == 2
    with pytest.raises(NotFound, match="model nothing"):
        run("finetune", "--project", cast.project.pk, "--base", "nothing")
    assert run("finetune", "--project", cast.project.pk).exit_code == 0
    failed(claim())
    with pytest.raises(Refusal, match="Run 1 failed: a batch of 8 does not fit"):
        run("finetune-run", FinetuneRun.objects.get().pk)
