"""Snapshots: the preferences of a moment, frozen for training."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import models

from easel.accounts.models import User
from easel.common.ids import uuid7
from easel.common.models import Job
from easel.projects.models import Project
from easel.snapshots.filters import Filters
from easel.snapshots.splits import Shares
from finetune.snapshot import SPLITS
from finetune.types import SnapshotReference, StoredFile


class DatasetSnapshotQuerySet(models.QuerySet["DatasetSnapshot"]):
    """Reads of snapshots."""

    def of_project(self, project: Project) -> DatasetSnapshotQuerySet:
        """A project's snapshots, newest first, with how far they have come."""
        return self.filter(project=project).select_related("job", "created_by").order_by("-id")

    def frozen(self, project: Project) -> DatasetSnapshotQuerySet:
        """A project's snapshots that can be trained on, newest first."""
        return self.of_project(project).filter(frozen_at__isnull=False)

    def named(self, project: Project, value: str | None) -> DatasetSnapshot | None:
        """A project's snapshot of that id, or the newest of that name; without a value, the newest frozen one."""
        if value is None:
            return self.frozen(project).first()
        try:
            return self.of_project(project).filter(pk=UUID(value)).first()
        except ValueError:
            return self.of_project(project).filter(name=value).first()


class DatasetSnapshot(models.Model):
    """Preferences frozen for training. Once `frozen_at` is set nothing of it changes: the database refuses."""

    class State(models.TextChoices):
        """Where a snapshot stands: read off its job, never stored."""

        WAITING = "waiting"
        FREEZING = "freezing"
        FROZEN = "frozen"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="snapshots")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=100)
    filters = models.JSONField(default=dict, help_text="easel.snapshots.filters.Filters, as JSON")
    split_seed = models.PositiveIntegerField(default=0)
    validation_share = models.FloatField()
    test_share = models.FloatField()
    include_simulated = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    frozen_at = models.DateTimeField(null=True)
    sha256 = models.CharField(max_length=64, default="", blank=True, help_text="Over its rows and its images' bytes.")
    files = models.JSONField(default=list, blank=True, help_text="finetune.types.StoredFile, as JSON")
    manifest = models.JSONField(default=dict, blank=True, help_text="finetune.snapshot.Manifest, as JSON")

    role: str
    """The asking user's role, where the row came through an access door."""

    objects = DatasetSnapshotQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(frozen_at=None) | ~models.Q(sha256=""), name="snapshot_frozen_has_hash"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """Where it stands."""
        if self.frozen_at is not None:
            return self.State.FROZEN
        if self.job.state == Job.State.DEAD:
            return self.State.FAILED
        return self.State.FREEZING if self.job.state == Job.State.RUNNING else self.State.WAITING

    @property
    def live(self) -> bool:
        """Whether a page should look again soon."""
        return self.state in {self.State.WAITING, self.State.FREEZING}

    @property
    def percent(self) -> int:
        """Annotations weighed, of a hundred."""
        return 100 * self.job.done // max(self.job.total, 1)

    @property
    def error(self) -> str:
        """Why it could not be frozen."""
        return self.job.error if self.state == self.State.FAILED else ""

    @property
    def counts(self) -> dict[str, Any]:
        """Counts by split; empty until it is frozen."""
        found: dict[str, Any] = self.manifest.get("counts", {})
        return found

    def splits(self) -> list[tuple[str, dict[str, Any]]]:
        """The splits with their counts, in their order."""
        return [(split, self.counts[split]) for split in SPLITS if split in self.counts]

    def total(self, name: str) -> int:
        """A count over all splits: rows, prompts, images, judgements or pairs."""
        return sum(one[name] for one in self.counts.values())

    def wanted(self) -> Filters:
        """Its filters as they were asked for."""
        return Filters.model_validate(self.filters)

    def shares(self) -> Shares:
        """Its split as it was asked for."""
        return Shares(validation=self.validation_share, test=self.test_share, seed=self.split_seed)

    def stored_files(self) -> tuple[StoredFile, ...]:
        """Its files in storage; the images lie beside them under their hashes."""
        return tuple(StoredFile.model_validate(file) for file in self.files)

    def reference(self) -> SnapshotReference:
        """What a trainer needs to fetch it. Only a frozen one has it."""
        return SnapshotReference(id=self.pk, name=self.name, sha256=self.sha256, files=self.stored_files())
