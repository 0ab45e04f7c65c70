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

    def claimable(self, kind: str, lane: str, at: datetime) -> JobQuerySet:
        """Jobs that a worker may take now, those whose turn it is first: the order of the index `job_queued`."""
        return self.filter(kind=kind, lane=lane, state=Job.State.QUEUED, not_before__lte=at).order_by("turn", "id")

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
        PAUSED = "paused"

    class Lane(models.TextChoices):
        """Live work has a person waiting for it and goes first. The order here is the order of the lanes.

        Fine-tunes and scores have workers of their own; what is of the web lane the platform does itself.
        """

        LIVE = "live"
        BATCH = "batch"
        TRAIN = "train"
        WEB = "web"

    MOVES: ClassVar[Moves] = {
        State.RUNNING: frozenset({State.QUEUED}),
        State.QUEUED: frozenset({State.RUNNING, State.DEAD, State.PAUSED}),
        State.DONE: frozenset({State.RUNNING}),
        State.DEAD: frozenset({State.RUNNING}),
        State.PAUSED: frozenset({State.QUEUED, State.RUNNING}),
        State.CANCELLED: frozenset({State.QUEUED, State.RUNNING, State.PAUSED}),
    }

    UNFINISHED: ClassVar = (State.QUEUED, State.RUNNING, State.PAUSED)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=20)
    lane = models.CharField(max_length=10, choices=Lane.choices, default=Lane.BATCH)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0, help_text="How often it was claimed.")
    failures = models.PositiveIntegerField(default=0, help_text="Attempts that failed by the job's own fault.")
    token = models.UUIDField(null=True, unique=True, help_text="The newest lease; answers with another are refused.")
    worker = models.CharField(max_length=200, default="", blank=True)
    lease_expires_at = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(null=True, help_text="When its newest lease was taken.")
    not_before = models.DateTimeField(help_text="When it may start: later than now after a failure.")
    turn = models.PositiveIntegerField(
        db_default=0, default=0, help_text="Its place in its lane: see easel.common.jobs.next_turn."
    )
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=1)
    note = models.CharField(max_length=200, default="", blank=True, help_text="What its worker is doing.")
    step = models.PositiveIntegerField(default=0, help_text="Denoising steps done of the batch at hand.")
    steps = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=50, default="", blank=True)
    error = models.TextField(default="", blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["kind", "lane", "turn", "id"], condition=Q(state="queued"), name="job_queued"),
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
