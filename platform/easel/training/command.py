"""Commands that teach a model."""

from __future__ import annotations

import sys
import time
from uuid import UUID

import click
from django.utils import timezone

from easel.common.errors import NotFound, Refusal
from easel.projects.console import json_option, owner_of, project_of, project_option, tell
from easel.registry.models import ModelVersion
from easel.snapshots.models import DatasetSnapshot
from easel.training import services as training
from easel.training.models import FinetunePoint, FinetuneRun


@click.command("finetune")
@project_option
@click.option("--snapshot", "snapshot_name", help="The snapshot's id or name; the newest frozen one if left out.")
@click.option("--method", type=click.Choice(FinetuneRun.Method.values), default="listwise", show_default=True)
@click.option("--base", "base_name", help="The model's id or name; the project's generator if left out.")
@click.option("--set", "settings_", multiple=True, metavar="NAME=VALUE", help="A setting, as learning_rate=1e-4.")
@click.option("--wait", is_flag=True, help="Wait until the run is over.")
@json_option
def finetune(
    project_pk: UUID,
    snapshot_name: str | None,
    method: str,
    base_name: str | None,
    settings_: tuple[str, ...],
    wait: bool,
    as_json: bool,
) -> None:
    """Teach a model what a frozen snapshot says. What comes of it is a new model version."""
    project = project_of(project_pk)
    snapshot = DatasetSnapshot.objects.named(project, snapshot_name)
    if snapshot is None:
        raise NotFound(f"snapshot {snapshot_name}" if snapshot_name else "frozen snapshot; `easel snapshot` takes one")
    base = ModelVersion.objects.named(base_name) if base_name else training.base_or_refuse(project)
    if base is None:
        raise NotFound(f"model {base_name}")
    unset = [one for one in settings_ if "=" not in one]
    if unset:
        raise click.UsageError(f"--set {unset[0]}: write NAME=VALUE")
    run = training.start_finetune(
        project,
        owner_of(project),
        timezone.now(),
        snapshot=snapshot,
        base=base,
        method=method,
        settings=training.read_settings(dict(one.split("=", 1) for one in settings_)),
    )
    if wait:
        _follow(run)
    _show_run(run.pk, as_json)


RUN_ACTS = {"pause": training.pause, "resume": training.resume, "cancel": training.cancel, "retry": training.retry}


@click.command("finetune-run")
@click.argument("run_pk", metavar="RUN", type=click.UUID)
@click.argument("act", type=click.Choice(["show", *RUN_ACTS]), default="show")
@click.option("--wait", is_flag=True, help="Wait until the run is over.")
@json_option
def finetune_run(run_pk: UUID, act: str, wait: bool, as_json: bool) -> None:
    """Show how far a fine-tune RUN has come; or pause, resume or cancel it, or retry it after a failure."""
    run = FinetuneRun.objects.filter(pk=run_pk).first()
    if run is None:
        raise NotFound(f"fine-tune {run_pk}")
    if act in RUN_ACTS:
        RUN_ACTS[act](run, timezone.now())
    if wait:
        _follow(run)
    _show_run(run_pk, as_json)


def _follow(run: FinetuneRun) -> None:
    """Show a bar until a run is over, or rests."""
    now = FinetuneRun.objects.with_parts().get(pk=run.pk)
    with click.progressbar(length=now.steps, label="Training", file=sys.stderr) as bar:
        while now.state in {"queued", "running"}:
            time.sleep(0.5)
            now = FinetuneRun.objects.with_parts().get(pk=run.pk)
            bar.length = now.steps
            bar.update(now.job.done - bar.pos)


def _show_run(pk: UUID, as_json: bool) -> None:
    run = FinetuneRun.objects.with_parts().get(pk=pk)
    if run.state == "failed":
        raise Refusal(f"Run {run.number} failed: {run.job.error}")
    body = {
        "id": str(pk),
        "number": run.number,
        "state": run.state,
        "done": run.job.done,
        "total": run.steps,
        "metrics": run.values or FinetunePoint.objects.newest(run),
        "stopped": run.stopped,
        "model_version": str(run.made.pk) if run.made else None,
    }
    made = f": {run.made.name} ({run.made.pk})" if run.made else f" ({pk})"
    early = f". It stopped early: {run.stopped}" if run.stopped else ""
    tell(as_json, body, f"Run {run.number}, {run.state}, {run.job.done} of {run.steps} steps{made}{early}")
