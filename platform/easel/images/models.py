"""Generation requests, the chunks that workers render, and the candidates that come of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import models
from django.db.models import Count, Exists, F, Max, Min, OuterRef, Prefetch, Q, Subquery, Sum
from django.db.models.functions import Coalesce, Mod

from easel.accounts.models import User
from easel.common.ids import uuid7
from easel.common.models import Job
from easel.forms.models import TemplateVersion
from easel.projects.models import Project
from easel.prompts.models import ConditioningImage, Prompt
from easel.registry.models import ModelVersion
from generation.types import RenderPrompt, RenderSettings


class GenerationRequestQuerySet(models.QuerySet["GenerationRequest"]):
    """Reads of generation requests."""

    def of_project(self, project: Project) -> GenerationRequestQuerySet:
        """A project's requests, newest first, with their progress."""
        found = self.filter(project=project).exclude(kind=GenerationRequest.Kind.GOLD).with_progress().order_by("-id")
        return found.select_related("model", "created_by").prefetch_related("compared")

    def shown(self) -> GenerationRequestQuerySet:
        """All but previews and live attempts: those are shown where they were asked for."""
        return self.exclude(kind__in=[GenerationRequest.Kind.PREVIEW, GenerationRequest.Kind.LIVE])

    def ungathered(self, project: Project | None, singles: Collection[UUID] = ()) -> GenerationRequestQuerySet:
        """Requests whose images have not all become items.

        One image alone is an item only where it was made live, and where the project's form judges each image by
        itself: `singles` are the template versions that do.
        """
        kinds = GenerationRequest.Kind
        alone = Q(kind__in=[kinds.RENDER, kinds.IMPORT], project__template_version__in=singles)
        waiting = self.exclude(kind=kinds.GOLD).filter(gathered_at=None).order_by("id")
        waiting = waiting.filter(Q(images_per_prompt__gte=2) | Q(kind=kinds.LIVE) | alone)
        return waiting.filter(project=project) if project else waiting

    def with_progress(self) -> GenerationRequestQuerySet:
        """Each request with `images_done`, and with its chunks counted by state."""
        recorded = Candidate.objects.filter(request=OuterRef("pk")).order_by().values("request").annotate(n=Count("*"))
        return self.annotate(  # type: ignore[no-redef]  # declared below, for its readers
            images_done=Coalesce(Subquery(recorded.values("n")), 0),
            chunks=Count("chunk"),
            chunks_done=Count("chunk", filter=Q(chunk__job__state=Job.State.DONE)),
            chunks_dead=Count("chunk", filter=Q(chunk__job__state=Job.State.DEAD)),
            chunks_started=Count("chunk", filter=Q(chunk__job__attempt__gt=0)),
        )

    def attempts(self) -> GenerationRequestQuerySet:
        """Live attempts with their progress and with what they are told by."""
        found = self.filter(kind=GenerationRequest.Kind.LIVE).with_progress()
        images = Prefetch("candidates", Candidate.objects.order_by("position"), to_attr="made")
        found = found.select_related("model", "project", "attempt__prompt")
        return found.prefetch_related(images)  # type: ignore[no-redef]  # `made` is declared below, for its readers

    def attempts_of(self, project: Project, annotator: User) -> GenerationRequestQuerySet:
        """What somebody asked for in a project's form, newest first."""
        return self.attempts().filter(attempt__project=project, attempt__annotator=annotator).order_by("-id")

    def still_made(self) -> GenerationRequestQuerySet:
        """Those that a worker has, or will get, something to do for."""
        return self.filter(Exists(Chunk.objects.filter(request=OuterRef("pk"), job__state__in=Job.UNFINISHED)))


class GenerationRequest(models.Model):
    """These prompts x these models x these seeds and settings. Its state is read off its chunks' jobs, never stored.

    An import of images from elsewhere is one too, with no chunk: it comes finished.
    """

    class Kind(models.TextChoices):
        """Where its images come from."""

        RENDER = "render"
        IMPORT = "import"
        PREVIEW = "preview"  # one image in the live lane, to try settings: it never becomes an item
        EVALUATION = "evaluation"  # model versions side by side: its items are ranked, and never trained on
        LIVE = "live"  # an annotator's attempt, asked for in the form and ranked at once
        GOLD = "gold"  # images spoilt on purpose, to measure annotators: they stand nowhere else

    class Audience(models.TextChoices):
        """Who ranks its images: all that rank in the project, people only, simulated annotators that are sent, or
        nobody but the person who asked for them.
        """

        ALL = ""
        PEOPLE = "people"
        SIMULATED = "simulated"
        REQUESTER = "requester"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="generation_requests")
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.RENDER)
    compared = models.ManyToManyField(
        ModelVersion,
        related_name="+",
        blank=True,
        help_text="The other models of a comparison: same prompts, same seeds.",
    )
    settings = models.JSONField(default=dict)
    conditioning = models.ForeignKey(
        ConditioningImage,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        help_text="What prompts without a picture of their own start from.",
    )
    images_per_prompt = models.PositiveSmallIntegerField()
    images_total = models.PositiveIntegerField()
    audience = models.CharField(
        max_length=10, choices=Audience.choices, default=Audience.ALL, db_default="", blank=True
    )
    overlap = models.PositiveSmallIntegerField(
        null=True, help_text="How many annotators rank each of its items; null: as many as the project says."
    )
    overlap_lead = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="With an overlap: the lead at which an item has enough; 0: at `overlap`."
    )
    overlap_cap = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="With a lead: at most this many rank an item."
    )
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    paused_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    gathered_at = models.DateTimeField(null=True, help_text="When the last of its images had become part of an item.")

    objects = GenerationRequestQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["project"], condition=Q(gathered_at=None), name="request_ungathered")]
        constraints = [
            models.CheckConstraint(
                condition=Q(images_per_prompt__gte=1, images_per_prompt__lte=64), name="images_per_prompt"
            )
        ]

    def __str__(self) -> str:
        return f"generation of {self.images_total} images"

    images_done: int
    chunks: int
    chunks_done: int
    chunks_dead: int
    chunks_started: int

    role: str
    """The asking user's role, where the row came through an access door."""
    made: list[Candidate]
    """Its candidates in order, where it was read as one of somebody's attempts."""

    @property
    def state(self) -> str:
        """queued, running, paused, cancelled, done, or failed (some chunks are dead, the others are finished)."""
        if self.chunks_done == self.chunks:
            return "done"
        if self.cancelled_at is not None:
            return "cancelled"
        if self.paused_at is not None:
            return "paused"
        if self.chunks_done + self.chunks_dead == self.chunks:
            return "failed"
        return "running" if self.chunks_started else "queued"

    @property
    def percent(self) -> int:
        """Images done, of a hundred."""
        return 100 * self.images_done // max(self.images_total, 1)

    @property
    def images_per_item(self) -> int:
        """Images that are ranked together: all of a prompt's, or in a comparison one of each model."""
        compared = len(self.compared.all())
        return compared + 1 if compared else self.images_per_prompt

    def render_settings(self) -> RenderSettings:
        """The settings as the worker reads them."""
        return RenderSettings.model_validate(self.settings)


class Chunk(models.Model):
    """The part of a request that one job renders."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    request = models.ForeignKey(GenerationRequest, on_delete=models.CASCADE)
    job = models.OneToOneField(Job, on_delete=models.CASCADE)
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+", null=True)
    prompts = models.JSONField(help_text="generation.types.RenderPrompt, as JSON")
    images = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.images} images of {self.request_id}"

    def render_prompts(self) -> tuple[RenderPrompt, ...]:
        """The prompts and seeds as the worker reads them."""
        return tuple(RenderPrompt.model_validate(prompt) for prompt in self.prompts)


class CandidateQuerySet(models.QuerySet["Candidate"]):
    """Reads of candidates."""

    def collected(self) -> CandidateQuerySet:
        """All but those that were spoilt on purpose, to measure annotators: no figure counts them, no list has them."""
        return self.exclude(request__kind=GenerationRequest.Kind.GOLD)

    def of_project(self, project: Project) -> CandidateQuerySet:
        """A project's candidates, newest first."""
        return self.collected().filter(request__project=project).select_related("prompt", "model").order_by("-id")

    def pace(self, request: GenerationRequest, at: datetime) -> float | None:
        """Images a second that came of a request in the last two minutes, or None where they are too few to tell."""
        return self.paces([request.pk], at).get(request.pk)

    def paces(self, requests: Collection[UUID], at: datetime) -> dict[UUID, float]:
        """The pace of each request that it can be told of: images a second in the last two minutes.

        Images are recorded in batches; those of the first batch were made before it was recorded, so they are left out.
        """
        recent: models.QuerySet[Any] = (
            self.filter(request__in=requests, created_at__gt=at - timedelta(minutes=2))
            .order_by()
            .values("request")
            .annotate(
                n=Count("*"),
                batches=Count("created_at", distinct=True),
                first=Min("created_at"),
                last=Max("created_at"),
            )
        )
        return {
            row["request"]: row["n"]
            * (row["batches"] - 1)
            / row["batches"]
            / (row["last"] - row["first"]).total_seconds()
            for row in recent
            if row["batches"] > 1
        }

    def complete_sets(
        self, request: GenerationRequest, without: Collection[tuple[UUID, int]]
    ) -> Iterator[tuple[UUID, int, list[UUID]]]:
        """What can be ranked of a request: a prompt, a group of its images that are all there, and their ids.

        A comparison has a group for each seed, with one image of each model; any other request has one group, 0.
        `without` names the prompts and groups that are known already.
        """
        if request.kind == GenerationRequest.Kind.IMPORT:
            yield from self._imported_sets(request, without)
            return
        together = request.images_per_item
        groups = request.images_per_prompt // together
        known = Counter(prompt for prompt, _ in without)
        sets: models.QuerySet[Any] = (
            self.filter(request=request)
            .exclude(prompt__in=[prompt for prompt, count in known.items() if count == groups])
            .annotate(group=Mod(F("position"), groups))
            .values("prompt", "group")
            .annotate(ids=ArrayAgg("id", order_by="position"), found=Count("*"))
            .filter(found=together)
            .order_by("prompt", "group")
        )
        for row in sets:
            if (row["prompt"], row["group"]) not in without:
                yield row["prompt"], row["group"], row["ids"]

    def _imported_sets(
        self, request: GenerationRequest, without: Collection[tuple[UUID, int]]
    ) -> Iterator[tuple[UUID, int, list[UUID]]]:
        """Of imported images all are there; as many of a prompt's are ranked at once as the project's form shows.

        One image alone is nothing to rank, but where the form shows a single one. More than fit are dealt out evenly,
        so that no group is left with one.
        """
        shown = request.project.template_version.form.images or 4
        rows = self.filter(request=request).values("prompt").annotate(ids=ArrayAgg("id", order_by="position"))
        for row in rows.order_by("prompt"):
            ids = row["ids"]
            groups = min(-(-len(ids) // shown), len(ids) // min(shown, 2))
            for group in range(groups):
                if (row["prompt"], group) not in without:
                    yield row["prompt"], group, ids[group::groups]


class Candidate(models.Model):
    """One generated image, with everything needed to render it again."""

    class Likeness(models.IntegerChoices):
        """How far it has been compared with the others of its project, see likeness.py."""

        UNKNOWN = 0
        HASHED = 1
        COMPARED = 2
        UNREADABLE = 3

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    request = models.ForeignKey(GenerationRequest, on_delete=models.CASCADE, related_name="candidates")
    chunk = models.ForeignKey(Chunk, on_delete=models.CASCADE, related_name="candidates", null=True)
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="candidates")
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField(help_text="Its place among the prompt's images of this request.")
    seed = models.BigIntegerField(null=True, help_text="Unknown for some imported images.")
    key = models.CharField(max_length=80, help_text="Where its file lies in storage.")
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField(help_text="Pixels.")
    height = models.PositiveIntegerField(help_text="Pixels.")
    size = models.PositiveIntegerField(help_text="Bytes.")
    manifest = models.JSONField(help_text="generation.types.Manifest, as JSON; empty for an imported image.")
    metadata = models.JSONField(default=dict, help_text="What an imported file said about itself.")
    preview_key = models.CharField(
        max_length=80, default="", help_text="Its WebP copy without metadata, which annotators see."
    )
    phash = models.BigIntegerField(null=True, help_text="What it looks like, in 64 bits; null: not known (yet).")
    likeness = models.PositiveSmallIntegerField(
        choices=Likeness.choices, default=Likeness.UNKNOWN, db_default=Likeness.UNKNOWN
    )
    created_at = models.DateTimeField()

    role: str
    """The asking user's role, where the row came through an access door that asks for one."""

    objects = CandidateQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "prompt", "position"], name="candidate_once")]
        indexes = [
            models.Index(fields=["likeness", "id"], condition=Q(likeness__lt=2), name="candidate_to_liken"),
        ]

    def __str__(self) -> str:
        return f"candidate {self.position} of {self.prompt_id}"


class AttemptQuerySet(models.QuerySet["Attempt"]):
    """Reads of attempts."""

    def images_since(self, start: datetime, project: Project, annotator: User | None = None) -> int:
        """How many images were asked for in a project's form since a moment, by one person or by all."""
        asked = self.filter(project=project, created_at__gte=start)
        if annotator is not None:
            asked = asked.filter(annotator=annotator)
        return asked.aggregate(n=Sum("request__images_total"))["n"] or 0


class Attempt(models.Model):
    """What somebody entered in a live form to have images made: the other half of a request of the kind `live`."""

    request = models.OneToOneField(GenerationRequest, on_delete=models.CASCADE, primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    annotator = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    template_version = models.ForeignKey(
        TemplateVersion, on_delete=models.PROTECT, related_name="+", help_text="The form that was filled in."
    )
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="+")
    varies = models.ForeignKey(
        Candidate, on_delete=models.SET_NULL, related_name="+", null=True, help_text="The image that it started from."
    )
    values = models.JSONField(help_text="By component name, as they were entered: the page shows them again.")
    created_at = models.DateTimeField()

    objects = AttemptQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["project", "annotator", "created_at"], name="attempt_by_person"),
            models.Index(fields=["project", "created_at"], name="attempt_by_day"),
        ]

    def __str__(self) -> str:
        return f"attempt at {self.prompt_id}"


class ImageImport(models.Model):
    """Files that were uploaded and read, and wait for their preview to be confirmed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    accepted = models.JSONField(help_text="images.imports.Picture, as JSON")
    rejected = models.JSONField(help_text="File names with reasons.")
    created_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"import of {len(self.accepted)} images"
