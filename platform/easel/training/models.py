"""Fine-tunes: what was asked for, what the worker measured on the way, and the model version that came of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Max, Min

from easel.accounts.models import User
from easel.common.ids import uuid7
from easel.common.models import Job
from easel.projects.models import Project
from easel.registry.models import ModelVersion
from easel.snapshots.models import DatasetSnapshot
from finetune.types import MetricPoint, SampleGrid, SamplePrompt, StoredFile, TrainSettings

MAX_POINTS = 5_000
"""Points of one run that are kept; the worker sends fewer."""
MAX_GRIDS = 200
_PACE = timedelta(minutes=2)


class FinetuneRunQuerySet(models.QuerySet["FinetuneRun"]):
    """Reads of fine-tunes."""

    def of_project(self, project: Project) -> FinetuneRunQuerySet:
        """A project's runs, newest first, with what a list shows of them."""
        return self.filter(project=project).with_parts().order_by("-id")

    def with_parts(self) -> FinetuneRunQuerySet:
        """Each run with its job, snapshot, models and person: none of them costs a query of its own."""
        return self.select_related("job", "snapshot", "base", "made", "created_by", "project")

    def unfinished(self, project: Project) -> FinetuneRunQuerySet:
        """A project's runs that wait, run or rest."""
        return self.filter(project=project, job__state__in=[Job.State.QUEUED, Job.State.RUNNING, Job.State.PAUSED])

    def timed(self, method: str, base: ModelVersion) -> FinetuneRun | None:
        """The newest finished run of a method on a base (or on its pipeline), to tell how long another will take."""
        pipeline = base.layers()[0]
        finished = self.filter(method=method, job__state=Job.State.DONE, steps_done__gt=0).order_by("-id")
        for run in finished.select_related("base__base", "project")[:50]:
            if run.seconds_a_step and run.base.layers()[0] == pipeline:
                return run
        return None


class FinetuneRun(models.Model):
    """One fine-tune. Its state is its job's, never stored twice."""

    class Method(models.TextChoices):
        """How it learns from the snapshot."""

        LISTWISE = "listwise", "Listwise"
        DPO = "dpo", "Pairs (DPO)"
        RWR = "rwr", "Reward-weighted"
        REWARD = "reward", "Reward model"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="finetunes")
    number = models.PositiveIntegerField(help_text="Counts the project's runs.")
    snapshot = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="finetunes")
    base = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+", help_text="What it starts from.")
    method = models.CharField(max_length=10, choices=Method.choices)
    settings = models.JSONField(default=dict, help_text="finetune.types.TrainSettings as asked for, as JSON")
    samples = models.JSONField(default=list, help_text="finetune.types.SamplePrompt of the grid, as JSON")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="finetune")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    paused_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)

    made = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="finetunes", null=True)
    filled = models.JSONField(default=dict, help_text="The settings with every default filled in, as JSON")
    steps_done = models.PositiveIntegerField(default=0, help_text="Optimizer steps behind the weights.")
    stopped = models.CharField(max_length=500, default="", blank=True, help_text="Why it stopped before its last step.")
    values = models.JSONField(default=dict, help_text="The last figures, by name.")
    commit = models.CharField(max_length=64, default="", blank=True, help_text="Of the trainer's code.")
    versions = models.JSONField(default=dict, help_text="Of the trainer's libraries.")
    device = models.CharField(max_length=200, default="", blank=True)

    role: str
    """The asking user's role, where the row came through an access door."""

    objects = FinetuneRunQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="finetune_number")]

    def __str__(self) -> str:
        return f"run {self.number} of {self.project_id} ({self.method})"

    @property
    def state(self) -> str:
        """queued, running, paused, cancelled, done or failed."""
        return "failed" if self.job.state == Job.State.DEAD else str(self.job.state)

    @property
    def steps(self) -> int:
        """Optimizer steps that it takes in all, where it does not stop early."""
        return self.job.total

    @property
    def percent(self) -> int:
        """Steps done, of a hundred."""
        return 100 * min(self.job.done, self.steps) // max(self.steps, 1)

    @property
    def seconds_a_step(self) -> float | None:
        """How long one of its steps took, where it is finished and said so."""
        seconds = self.values.get("seconds")
        return seconds / self.steps_done if seconds and self.steps_done else None

    def asked(self) -> TrainSettings:
        """The settings as they were asked for."""
        return TrainSettings.model_validate(self.settings)

    def sample_prompts(self) -> tuple[SamplePrompt, ...]:
        """The fixed prompts of its grids."""
        return tuple(SamplePrompt.model_validate(one) for one in self.samples)


class FinetunePointQuerySet(models.QuerySet["FinetunePoint"]):
    """Reads of points."""

    def of_run(self, run: FinetuneRun) -> list[MetricPoint]:
        """What a run measured, by step."""
        rows = self.filter(run=run).order_by("step").values_list("step", "values")
        return [MetricPoint(step=step, values=values) for step, values in rows]

    def newest(self, run: FinetuneRun) -> dict[str, float]:
        """The newest value of each figure; held-out ones are measured at checkpoints only."""
        found: dict[str, float] = {}
        for values in reversed(list(self.filter(run=run).order_by("-step").values_list("values", flat=True)[:300])):
            found |= values
        return found

    def pace(self, run: FinetuneRun, at: datetime) -> float | None:
        """Steps a second in the last two minutes, or None where it cannot be told."""
        recent: dict[str, Any] = self.filter(run=run, created_at__gt=at - _PACE).aggregate(
            low=Min("step"), high=Max("step"), first=Min("created_at"), last=Max("created_at")
        )
        if recent["low"] is None or recent["last"] == recent["first"]:
            return None
        return float(recent["high"] - recent["low"]) / float((recent["last"] - recent["first"]).total_seconds())


class FinetunePoint(models.Model):
    """What a run measured at one step. A step that is trained again after a kill measures the same."""

    run = models.ForeignKey(FinetuneRun, on_delete=models.CASCADE, related_name="points")
    step = models.PositiveIntegerField()
    values = models.JSONField(help_text="By name: see finetune.types.MetricPoint.")
    created_at = models.DateTimeField()

    objects = FinetunePointQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "step"], name="finetune_point_once")]

    def __str__(self) -> str:
        return f"step {self.step} of {self.run_id}"


class FinetuneGridQuerySet(models.QuerySet["FinetuneGrid"]):
    """Reads of grids."""

    def of_run(self, run: FinetuneRun) -> list[SampleGrid]:
        """What a run's checkpoints made of the fixed prompts, by step."""
        return [grid.samples() for grid in self.filter(run=run).order_by("step")]

    def at(self, run: FinetuneRun, step: int) -> FinetuneGrid | None:
        """The samples of one checkpoint."""
        return self.filter(run=run, step=step).first()


class FinetuneGrid(models.Model):
    """The images that one checkpoint made of the run's fixed prompts."""

    run = models.ForeignKey(FinetuneRun, on_delete=models.CASCADE, related_name="grids")
    step = models.PositiveIntegerField()
    images = models.JSONField(help_text="finetune.types.StoredFile, one a prompt, as JSON")

    objects = FinetuneGridQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "step"], name="finetune_grid_once")]

    def __str__(self) -> str:
        return f"samples at step {self.step} of {self.run_id}"

    def samples(self) -> SampleGrid:
        """The grid as the worker sent it."""
        return SampleGrid(step=self.step, images=tuple(StoredFile.model_validate(one) for one in self.images))
