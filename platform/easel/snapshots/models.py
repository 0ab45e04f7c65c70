"""Snapshots: the preferences of a moment, frozen for training."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models

from easel.accounts.models import User
from easel.common.ids import uuid7
from easel.common.models import Job
from easel.projects.models import Project
from easel.snapshots.filters import Filters
from easel.snapshots.splits import Shares
from finetune.types import SnapshotReference, StoredFile


class DatasetSnapshotQuerySet(models.QuerySet["DatasetSnapshot"]):
    """Reads of snapshots."""

    def of_project(self, project: Project) -> DatasetSnapshotQuerySet:
        """A project's snapshots, newest first, with how far they have come."""
        return self.filter(project=project).select_related("job", "created_by").order_by("-id")

    def frozen(self) -> DatasetSnapshotQuerySet:
        """Those that can be trained on."""
        return self.filter(frozen_at__isnull=False)


class DatasetSnapshot(models.Model):
    """Preferences frozen for training. Once `frozen_at` is set nothing of it changes: the database refuses."""

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
        """waiting, freezing, frozen or failed: read off its job, never stored."""
        if self.frozen_at is not None:
            return "frozen"
        if self.job.state == Job.State.DEAD:
            return "failed"
        return "freezing" if self.job.state == Job.State.RUNNING else "waiting"

    @property
    def error(self) -> str:
        """Why it could not be frozen."""
        return self.job.error if self.state == "failed" else ""

    @property
    def counts(self) -> dict[str, Any]:
        """Counts by split; empty until it is frozen."""
        found: dict[str, Any] = self.manifest.get("counts", {})
        return found

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


def latest_of(project: Project, at: datetime) -> DatasetSnapshot | None:
    """The newest snapshot of a project that can be trained on."""
    return DatasetSnapshot.objects.of_project(project).frozen().filter(created_at__lte=at).first()
