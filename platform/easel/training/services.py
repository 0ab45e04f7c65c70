"""Writes to fine-tunes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any, cast
from uuid import UUID

from django.conf import settings as django_settings
from django.db import transaction
from django.db.models import Max
from pydantic import ValidationError

from easel.accounts.models import User
from easel.common import jobs
from easel.common.errors import Conflict, InvalidInput
from easel.common.models import Job
from easel.projects.models import Project
from easel.prompts.models import Prompt
from easel.registry import inspection
from easel.registry.models import ModelVersion
from easel.registry.services import TrainedModel, register_trained
from easel.snapshots.models import DatasetSnapshot
from easel.training.methods import KNOBS, REWARD_DEFAULTS
from easel.training.models import MAX_GRIDS, MAX_POINTS, FinetuneGrid, FinetunePoint, FinetuneRun
from finetune import defaults
from finetune.errors import WrongBaseError
from finetune.types import Method, SamplePrompt, TrainClaim, TrainReport, TrainRequest, TrainResult, TrainSettings
from generation import fetched
from generation.storage import ModelNotFoundError, model_folder
from generation.types import Lease

TRAIN = "train"
SAMPLES = 4
"""Fixed prompts of a run's grids."""


def read_settings(given: Mapping[str, Any]) -> TrainSettings:
    """Return settings that somebody wrote. Raises InvalidInput that names the one that is unknown or out of range."""
    try:
        return TrainSettings.model_validate(dict(given))
    except ValidationError as error:
        problem = error.errors()[0]
    name = ".".join(map(str, problem["loc"])) or "config"
    message = f"{name}: {problem['msg']}."
    if problem["type"] == "extra_forbidden":
        message = f"There is no setting {name!r}. The settings are: {', '.join(sorted(TrainSettings.model_fields))}."
    raise InvalidInput(message, fields={name: [message]})


def default_base(project: Project) -> ModelVersion | None:
    """Return the model that a project's next run would teach: its generator, else the newest pipeline."""
    return ModelVersion.objects.usual_of(project.generator)


def base_or_refuse(project: Project) -> ModelVersion:
    """Return `default_base`. Raises InvalidInput where no model is registered."""
    found = default_base(project)
    if found is None:
        message = "No model is registered on this Easel, so none can be taught. Ask whoever runs it."
        raise InvalidInput(message, fields={"base_model": [message]})
    return found


def settings_with_defaults(method: str, base: ModelVersion, asked: TrainSettings) -> TrainSettings | None:
    """Return the settings with the method's defaults for this base, or None where the base is not on this machine."""
    if method == FinetuneRun.Method.REWARD:
        return REWARD_DEFAULTS.model_copy(update=asked.model_dump(exclude_none=True))
    where, _, name = base.layers()[0].location.partition(":")
    try:
        folder = inspection.hub_folder(name) if where == "hub" else model_folder(f"folder:{name}")
        return defaults.fill(cast("Method", method), defaults.weights_of(folder), asked) if folder else None
    except (ModelNotFoundError, WrongBaseError):
        return None


@transaction.atomic
def start_finetune(
    project: Project,
    by: User,
    at: datetime,
    *,
    snapshot: DatasetSnapshot,
    base: ModelVersion,
    method: str,
    settings: TrainSettings | None = None,
) -> FinetuneRun:
    """Record a run and its job; the workers hear of it once it is committed.

    Raises InvalidInput where the snapshot holds nothing to learn from, the base cannot be taught, or the method has no
    such setting.
    """
    assert snapshot.project_id == project.pk
    asked = settings or TrainSettings()
    _refuse_what_cannot_be(snapshot, base, method)
    _refuse_foreign_knobs(method, asked)
    filled = settings_with_defaults(method, base, asked)
    turn = jobs.next_turn(TRAIN, Job.Lane.TRAIN, at)
    job = jobs.plan(TRAIN, Job.Lane.TRAIN, (filled or asked).steps or 1, at, turn)  # the worker knows it better
    job.save(force_insert=True)
    # Two who start one at the same moment wait for each other, so that each has a number of its own.
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    last = FinetuneRun.objects.filter(project=project).aggregate(last=Max("number"))["last"] or 0
    run = FinetuneRun.objects.create(
        project=project,
        number=last + 1,
        snapshot=snapshot,
        base=base,
        method=method,
        settings=asked.model_dump(mode="json", exclude_defaults=True),
        filled=filled.model_dump(mode="json") if filled else {},
        samples=[one.model_dump(mode="json") for one in _fixed_prompts(project)] if method != "reward" else [],
        job=job,
        created_by=by,
        created_at=at,
    )
    jobs.ring(Job.Lane.TRAIN)
    return run


def _refuse_foreign_knobs(method: str, asked: TrainSettings) -> None:
    known = {knob.name for knob in KNOBS if method in knob.methods}
    said = asked.model_dump(exclude_unset=True, exclude_none=True)
    if foreign := sorted(said.keys() - known):
        message = f"{method} has no {' and no '.join(foreign)}. Leave {'it' if len(foreign) == 1 else 'them'} out."
        raise InvalidInput(message, fields={name: [message] for name in foreign})


def _refuse_what_cannot_be(snapshot: DatasetSnapshot, base: ModelVersion, method: str) -> None:
    message = ""
    if snapshot.state != DatasetSnapshot.State.FROZEN:
        message = f"Snapshot {snapshot.name} is not frozen: it is {snapshot.state}. Wait until it is, or take another."
    elif not snapshot.counts.get("train", {}).get("pairs"):
        message = (
            f"Snapshot {snapshot.name} holds no pairs to learn from: in none of its rows was an image put before "
            "another. Collect more rankings and take another snapshot."
        )
    if message:
        raise InvalidInput(message, fields={"snapshot": [message]})
    kinds = ModelVersion.Kind
    if base.kind not in {kinds.PIPELINE, kinds.ADAPTER}:
        label = kinds(base.kind).label
        message = f"{base.name} is of kind {label}, and cannot be taught. Choose a pipeline, or a LoRA adapter on one."
        raise InvalidInput(message, fields={"base_model": [message]})


def _fixed_prompts(project: Project) -> list[SamplePrompt]:
    """Return what the grids show: prompts that nothing is trained on, where there are any."""
    prompts = Prompt.objects.of_project(project)
    chosen = prompts.filter(held_out=True)[:SAMPLES] or prompts.filter(conditioning=None)[:SAMPLES]
    return [SamplePrompt(text=prompt.text, seed=seed) for seed, prompt in enumerate(chosen)]


@transaction.atomic
def claim_run(claim: TrainClaim, at: datetime, token: UUID | None = None) -> TrainRequest | None:
    """Lease the next run to a worker and return all that it needs, or None when nothing waits.

    A claim that comes twice under the same token leases once: see `jobs.claim`.
    """
    job = jobs.claim(TRAIN, [Job.Lane.TRAIN], claim.worker, at, token)
    if job is None:
        return None
    run = FinetuneRun.objects.select_related("snapshot", "base").get(job=job)
    assert job.token is not None
    return TrainRequest(
        lease=Lease(job=job.pk, token=job.token, attempt=job.attempt),
        run=run.pk,
        method=FinetuneRun.Method(run.method).value,
        base=run.base.reference(),
        snapshot=run.snapshot.reference(),
        settings=run.asked(),
        samples=run.sample_prompts(),
        storage_url=django_settings.STORAGE_URL,
    )


@transaction.atomic
def report(told: TrainReport, at: datetime) -> None:
    """Keep what a run measured and made. Twice is as good as once. Raises StaleLease."""
    job = jobs.hold(told.lease)
    run = FinetuneRun.objects.get(job=job)
    if told.steps is not None:
        jobs.resize(job, told.steps)
    room = MAX_POINTS - FinetunePoint.objects.filter(run=run).count()
    FinetunePoint.objects.bulk_create(
        [
            FinetunePoint(run=run, step=one.step, values=one.values, created_at=at)
            for one in told.points[: max(0, room)]
        ],
        ignore_conflicts=True,
    )
    room = MAX_GRIDS - FinetuneGrid.objects.filter(run=run).count()
    FinetuneGrid.objects.bulk_create(
        [
            FinetuneGrid(run=run, step=one.step, images=[image.model_dump(mode="json") for image in one.images])
            for one in told.grids[: max(0, room)]
        ],
        ignore_conflicts=True,
    )


@transaction.atomic
def finish(result: TrainResult, at: datetime) -> FinetuneRun:
    """Make a model version of a run's weights, and finish its job. Raises StaleLease."""
    job = jobs.hold(result.lease)
    run = FinetuneRun.objects.with_parts().get(job=job)
    if len(result.files) != 1:
        raise Conflict(f"job {job.pk} made a model of {len(result.files)} files; one is expected")
    location = fetched.PREFIX + result.files[0].key
    scores = run.method == FinetuneRun.Method.REWARD
    run.made = register_trained(
        TrainedModel(
            name=f"{run.base.name[:70]}, {run.method}",
            kind=ModelVersion.Kind.REWARD if scores else ModelVersion.Kind.ADAPTER,
            base=run.base,
            location=location,
            sha256=PurePath(location).stem if scores else fetched.hash_of(location),
            note=_lineage(run, result),
        ),
        run.created_by,
        at,
    )
    run.filled = result.settings.model_dump(mode="json")
    run.steps_done, run.stopped, run.values = result.steps, result.stopped, result.values
    run.commit, run.versions, run.device = result.commit, result.versions, result.device[:200]
    run.save(update_fields=["made", "filled", "steps_done", "stopped", "values", "commit", "versions", "device"])
    jobs.complete(job, at)
    return run


def _lineage(run: FinetuneRun, result: TrainResult) -> str:
    """Say in words where a model version comes from.

    Everybody on this Easel sees the registry, so neither the project nor its snapshot is named: members find the run.
    """
    made = [
        f"Fine-tuned from {run.base.name} by {FinetuneRun.Method(run.method).label.lower()}: {result.steps} steps, "
        f"seed {result.settings.seed}, snapshot with the hash {run.snapshot.sha256}.",
    ]
    if result.stopped:
        made.append(f"It stopped early: {result.stopped}")
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))
    made.append(" ".join(filter(None, [f"Commit {result.commit or 'unknown'}.", libraries and f"{libraries}."])))
    return "\n".join(made)


def _lock(run: FinetuneRun) -> FinetuneRun:
    """Have pause, resume, cancel and retry of a run wait for each other, for the rest of the transaction."""
    return FinetuneRun.objects.select_for_update(no_key=True, of=("self",)).select_related("job").get(pk=run.pk)


@transaction.atomic
def pause(run: FinetuneRun, at: datetime) -> None:
    """Stop a run until it is resumed; a worker stops at its next step and keeps a checkpoint. Raises Conflict."""
    locked = _lock(run)
    if not jobs.pause(Job.objects.filter(pk=locked.job_id)):
        raise Conflict(f"This run is {locked.state}; only one that waits or runs can be paused.")
    FinetuneRun.objects.filter(pk=run.pk).update(paused_at=at)


@transaction.atomic
def resume(run: FinetuneRun, at: datetime) -> None:
    """Let a paused run go on from its last checkpoint. Raises Conflict when it is not paused."""
    locked = _lock(run)
    if not jobs.resume(Job.objects.filter(pk=locked.job_id), at):
        raise Conflict(f"This run is {locked.state}, not paused; there is nothing to resume.")
    FinetuneRun.objects.filter(pk=run.pk).update(paused_at=None)


@transaction.atomic
def cancel(run: FinetuneRun, at: datetime) -> None:
    """End a run: a worker stops at its next step, and nothing is made of it. Raises Conflict when it is over."""
    locked = _lock(run)
    if not jobs.cancel(Job.objects.filter(pk=locked.job_id), at):
        raise Conflict(f"This run is {locked.state}; there is nothing to cancel.")
    FinetuneRun.objects.filter(pk=run.pk).update(cancelled_at=at, paused_at=None)


@transaction.atomic
def retry(run: FinetuneRun, at: datetime) -> None:
    """Give a failed run three new attempts, from its last checkpoint on. Raises Conflict when it has not failed."""
    locked = _lock(run)
    if locked.job.state != Job.State.DEAD:
        raise Conflict(f"This run is {locked.state}, not failed; there is nothing to retry.")
    jobs.retry(locked.job_id, at)
