"""Job: one piece of background work. The row is the truth; queue messages only ring its bell."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q

from easel.common.ids import uuid7
from easel.common.states import Moves

MAX_FAILURES = 3


class JobQuerySet(models.QuerySet["Job"]):
    """Reads of jobs."""

    def claimable(self, kind: str, lanes: list[str], at: datetime) -> JobQuerySet:
        """Jobs that a worker may take now, live ones first, then the oldest."""
        live_first = models.Case(models.When(lane=Job.Lane.LIVE, then=0), default=1)
        return self.filter(kind=kind, lane__in=lanes, state=Job.State.QUEUED, not_before__lte=at).order_by(
            live_first, "not_before", "id"
        )

    def abandoned(self, at: datetime) -> JobQuerySet:
        """Jobs whose worker has been silent for longer than its lease."""
        return self.filter(state=Job.State.RUNNING, lease_expires_at__lt=at)

    def waiting(self, at: datetime) -> JobQuerySet:
        """Jobs that nobody holds and that could start."""
        return self.filter(state=Job.State.QUEUED, not_before__lte=at)


class Job(models.Model):
    """Background work: claimed with a token, kept alive by heartbeats, dead with a reason after three failures."""

    class State(models.TextChoices):
        """Where a job stands."""

        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        DEAD = "dead"
        CANCELLED = "cancelled"

    class Lane(models.TextChoices):
        """Live work has a person waiting for it and goes first."""

        LIVE = "live"
        BATCH = "batch"

    MOVES: ClassVar[Moves] = {
        State.RUNNING: frozenset({State.QUEUED}),
        State.QUEUED: frozenset({State.RUNNING, State.DEAD}),
        State.DONE: frozenset({State.RUNNING}),
        State.DEAD: frozenset({State.RUNNING}),
        State.CANCELLED: frozenset({State.QUEUED, State.RUNNING}),
    }

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=20)
    lane = models.CharField(max_length=10, choices=Lane.choices, default=Lane.BATCH)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0, help_text="How often it was claimed.")
    failures = models.PositiveIntegerField(default=0, help_text="Attempts that failed by the job's own fault.")
    token = models.UUIDField(null=True, help_text="The newest lease; answers with another one are refused.")
    worker = models.CharField(max_length=200, default="", blank=True)
    lease_expires_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(help_text="When it may start: later than now after a failure.")
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=1)
    error_code = models.CharField(max_length=50, default="", blank=True)
    error = models.TextField(default="", blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["kind", "lane", "not_before", "id"], condition=Q(state="queued"), name="job_queued"),
            models.Index(fields=["lease_expires_at"], condition=Q(state="running"), name="job_running"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="running") | Q(token__isnull=False, lease_expires_at__isnull=False),
                name="job_running_is_leased",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} job {self.id} ({self.state})"
