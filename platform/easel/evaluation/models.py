"""Scores of images, simulated annotators at work, evaluations, and what was promoted."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import models
from django.db.models import Count, F, OuterRef, Prefetch, Q, Subquery
from django.db.models.functions import Coalesce

from easel.accounts.models import User
from easel.annotation.models import Item
from easel.annotation.stopping import Rule
from easel.common.ids import uuid7
from easel.common.models import Job
from easel.evaluation.tastes import CARELESS, TASTES
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project
from easel.registry.models import ModelVersion


class ScoreJobQuerySet(models.QuerySet["ScoreJob"]):
    """Reads of measuring jobs."""

    def open(self) -> ScoreJobQuerySet:
        """Those that a worker still has to do."""
        return self.filter(job__state__in=[Job.State.QUEUED, Job.State.RUNNING])

    def failed(self) -> ScoreJobQuerySet:
        """Those that will not be done unless somebody retries them, newest first, with their jobs."""
        return self.filter(job__state=Job.State.DEAD).select_related("job").order_by("-id")


class ScoreJob(models.Model):
    """Images of one request and one model that a training worker measures at once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    job = models.OneToOneField(Job, on_delete=models.CASCADE)
    request = models.ForeignKey(GenerationRequest, on_delete=models.CASCADE, related_name="score_jobs")
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+", help_text="It made the images.")
    judge = models.CharField(max_length=10, default="", blank=True, help_text="finetune.types.Judge; empty: see below.")
    reward_model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+", null=True)
    prompts = models.PositiveIntegerField(help_text="That have two images or more here: diversity is told of these.")
    diversity = models.FloatField(null=True, help_text="Mean distance between the images of a prompt, 0 to 1.")

    objects = ScoreJobQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(judge="") ^ Q(reward_model=None), name="score_job_one_measure"),
        ]

    def __str__(self) -> str:
        return f"scores of {self.model} by {self.judge or self.reward_model}"


class ScoreQuerySet(models.QuerySet["Score"]):
    """Reads of scores."""

    def by(self, judge: str) -> ScoreQuerySet:
        """What a judge has measured."""
        return self.filter(judge=judge, values__isnull=False)

    def of(self, candidates: Collection[UUID], judge: str) -> dict[UUID, dict[str, float]]:
        """What a judge measured of these images, by id; those that are not measured yet are left out."""
        rows = self.by(judge).filter(candidate__in=candidates).values_list("candidate", "values")
        return {candidate: values or {} for candidate, values in rows}


class Score(models.Model):
    """What a judge or a reward model says of an image. Its values are empty until it is measured."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    candidate = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="scores")
    part = models.ForeignKey(ScoreJob, on_delete=models.CASCADE, related_name="scores")
    judge = models.CharField(max_length=10, default="", blank=True)
    reward_model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+", null=True)
    values = models.JSONField(null=True, help_text="finetune.types.ImageScore.values")

    objects = ScoreQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["candidate", "judge", "reward_model"], name="score_once", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return f"score of {self.candidate_id}"


class EvaluationQuerySet(models.QuerySet["Evaluation"]):
    """Reads of evaluations."""

    def of_project(self, project: Project) -> EvaluationQuerySet:
        """A project's evaluations, newest first, with what their states are told by."""
        return self.filter(project=project).with_state().order_by("-id")

    def with_state(self) -> EvaluationQuerySet:
        """Each with its models, its request's progress, and how much of it is judged."""
        own = Item.objects.to_rank().filter(request=OuterRef("request"))
        items = own.order_by().values("request").annotate(n=Count("*"))

        def count(state: str) -> Coalesce:
            return Coalesce(Subquery(items.filter(state=state).values("n")), 0)

        return (
            self.select_related("a", "b", "project", "created_by", "simulation")
            .prefetch_related(Prefetch("request", GenerationRequest.objects.with_progress()))
            .annotate(  # type: ignore[no-redef]  # declared below, for their readers
                items_done=count(Item.State.DONE), items_ready=count(Item.State.READY)
            )
        )

    def unfinished(self) -> EvaluationQuerySet:
        """Those that may still need something."""
        return self.filter(finished_at=None)


class Evaluation(models.Model):
    """Two models side by side on the same prompts and seeds, judged blindly: is b better than a?"""

    class Judges(models.TextChoices):
        """Who judges."""

        PEOPLE = "people"
        SIMULATED = "simulated"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="evaluations")
    a = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+", help_text="The baseline.")
    b = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+", help_text="The challenger.")
    request = models.OneToOneField(GenerationRequest, on_delete=models.CASCADE, related_name="evaluation")
    judges = models.CharField(max_length=10, choices=Judges.choices)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, help_text="When nothing more was to come of it.")

    role: str
    """The asking user's role, where the row came through an access door."""
    items_done: int
    """Comparisons that have all their judgements; this and the next of `with_state`, as the request's progress is."""
    items_ready: int
    """Comparisons that wait to be judged."""
    simulation: Simulation

    objects = EvaluationQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(a=F("b")), name="evaluation_of_two")]
        indexes = [models.Index(fields=["project"], condition=Q(finished_at=None), name="evaluation_unfinished")]

    def __str__(self) -> str:
        return f"{self.b} against {self.a}"

    @property
    def rule(self) -> Rule:
        """When a comparison has enough judges."""
        return Rule(self.request.overlap or 1, self.request.overlap_lead, self.request.overlap_cap)

    @property
    def items_total(self) -> int:
        """Comparisons that it will have when all its images are made."""
        return self.request.images_total // 2

    @property
    def state(self) -> str:
        """generating, judging, done; paused, cancelled or failed where its images, or its simulated judges, are."""
        images = self.request.state
        if images in {"queued", "running"}:
            return "generating"
        if images == "paused":
            return "paused"
        if self.problem:
            return "failed"
        if self.items_ready or (images == "done" and self.items_done < self.items_total):
            return "judging"
        return "done" if self.items_done else images

    @property
    def problem(self) -> str:
        """Why its simulated judges will not finish by themselves, or nothing."""
        if self.judges != self.Judges.SIMULATED or not self.items_ready:
            return ""
        return self.simulation.ended

    @property
    def judges_in_words(self) -> str:
        """As the API and the command line name them: `people`, or `simulated:3d`."""
        return f"simulated:{self.simulation.taste}" if self.judges == self.Judges.SIMULATED else self.judges


class SimulationQuerySet(models.QuerySet["Simulation"]):
    """Reads of simulations."""

    def of_project(self, project: Project) -> SimulationQuerySet:
        """A project's, newest first, without those that judge an evaluation."""
        return self.filter(project=project, evaluation=None).select_related("created_by").order_by("-id")

    def unfinished(self) -> SimulationQuerySet:
        """Those that still have to rank."""
        return self.filter(finished_at=None)


class Simulation(models.Model):
    """Simulated annotators of one taste, sent to rank."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="simulations")
    evaluation = models.OneToOneField(
        Evaluation, on_delete=models.CASCADE, related_name="simulation", null=True, help_text="Which it judges."
    )
    taste = models.CharField(max_length=30, choices=[(name, name) for name in TASTES])
    noise = models.FloatField(help_text="The share of decided pairs that come out the wrong way round: 0 to 0.5.")
    ties = models.FloatField(help_text="Images share a place where the taste likes them this much alike.")
    annotators = models.ManyToManyField(User, related_name="+")
    rankings = models.PositiveIntegerField(help_text="To be given, by all of them together.")
    done = models.PositiveIntegerField(default=0)
    seed = models.PositiveBigIntegerField(default=0)
    ended = models.CharField(max_length=500, default="", blank=True, help_text="Why it ended before it was done.")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    role: str
    """The asking user's role, where the row came through an access door."""

    objects = SimulationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(noise__gte=0, noise__lte=0.5), name="simulation_noise"),
        ]

    def __str__(self) -> str:
        return f"{self.rankings} rankings by {self.taste}"

    @property
    def state(self) -> str:
        """running, done, or ended (before it was done: `ended` says why)."""
        if self.finished_at is None:
            return "running"
        return "ended" if self.ended else "done"

    @property
    def needs_scores(self) -> bool:
        """Whether it looks at the images at all."""
        return self.taste != CARELESS


class Promotion(models.Model):
    """A model that was made the project's generator, and the one that it took over from."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="promotions")
    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="promotions")
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    previous = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+", null=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.model} promoted"
