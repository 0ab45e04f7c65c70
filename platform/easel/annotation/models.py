"""Items, the leases on them, and what annotators answered."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, OuterRef, Q

from easel.accounts.models import User
from easel.common.ids import uuid7
from easel.common.states import Moves
from easel.forms.models import TemplateVersion
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project
from easel.prompts.models import Prompt


def audiences_of(annotator: User, *, sent: bool = False) -> list[str]:
    """What an annotator may be given: items for everybody, and for a person those for people.

    What is for simulated annotators is had only by those that a simulation sends to it.
    """
    if sent:
        return [GenerationRequest.Audience.SIMULATED]
    if annotator.kind == User.Kind.SIMULATED:
        return [GenerationRequest.Audience.ALL]
    return [GenerationRequest.Audience.ALL, GenerationRequest.Audience.PEOPLE]


class ItemQuerySet(models.QuerySet["Item"]):
    """Reads of items."""

    def left_for(self, annotator: User, project: Project) -> ItemQuerySet:
        """Items that this annotator could still be given."""
        mine = Assignment.objects.filter(item=OuterRef("pk"), annotator=annotator).exclude(state=Assignment.State.OPEN)
        return self.filter(~Exists(mine), project=project, state=Item.State.READY, audience__in=audiences_of(annotator))

    def counting(self) -> ItemQuerySet:
        """Those that a project's figures count: not what only simulated annotators rank, for it waits for nobody, and
        of live attempts only what was ranked, for the others are history.
        """
        unranked = Q(audience=GenerationRequest.Audience.REQUESTER, state=Item.State.READY)
        return self.exclude(unranked | Q(audience=GenerationRequest.Audience.SIMULATED))

    def version_to_answer(self, project: Project, wanted: str) -> TemplateVersion:
        """The version of the form to answer: the wanted one where items of the project have it, else the project's."""
        try:
            found = self.filter(project=project, template_version=UUID(wanted)).first() if wanted else None
        except ValueError:
            found = None
        return found.template_version if found else project.template_version


class Item(models.Model):
    """What one annotator sees at once: a prompt and its candidates under a template version."""

    class State(models.TextChoices):
        """Where an item stands."""

        READY = "ready"
        DONE = "done"

    MOVES: ClassVar[Moves] = {State.DONE: frozenset({State.READY})}

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="items")
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="items")
    request = models.ForeignKey(
        GenerationRequest,
        on_delete=models.CASCADE,
        related_name="items",
        null=True,
        help_text="Where its images come from; null: it is a text alone.",
    )
    template_version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, related_name="+")
    group = models.PositiveSmallIntegerField(db_default=0, default=0, help_text="Which of the seeds of a comparison.")
    candidates = models.ManyToManyField(Candidate, related_name="items")
    state = models.CharField(max_length=10, choices=State.choices, default=State.READY)
    priority = models.SmallIntegerField(default=0)
    audience = models.CharField(
        max_length=10,
        choices=GenerationRequest.Audience.choices,
        default=GenerationRequest.Audience.ALL,
        db_default="",
        blank=True,
        help_text="Who ranks it, as its request says.",
    )
    overlap = models.PositiveSmallIntegerField(
        null=True, help_text="How many annotators rank it; null: as many as the project says."
    )
    created_at = models.DateTimeField()

    prompt_text: str
    prompt_negative: str
    prompt_messages: str | None
    """Its prompt's words, and its conversation as JSON, where the row came off the queue."""
    picture: UUID | None
    picture_width: int
    picture_height: int
    """What its images start from, where that is known: it is where the row came off the queue."""

    objects = ItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "prompt", "group"], name="item_once"),
            models.UniqueConstraint(fields=["prompt"], condition=Q(request=None), name="text_item_once"),
        ]
        indexes = [
            models.Index("project", models.F("priority").desc(), "id", condition=Q(state="ready"), name="item_ready"),
        ]

    def __str__(self) -> str:
        return f"item {self.id}"

    @property
    def needs(self) -> int:
        """How many annotators it needs."""
        return self.overlap or self.project.overlap


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    """Reads of assignments."""

    def locked(self, *, skip_locked: bool = False) -> AssignmentQuerySet:
        """Assignments with their items, both locked, in one statement, for the rest of the transaction."""
        rows = self.select_related("item__project")
        return rows.select_for_update(no_key=True, of=("self", "item"), skip_locked=skip_locked)

    def taking_part(self, at: datetime) -> AssignmentQuerySet:
        """Assignments that count towards an item's overlap: submitted ones (not surplus ones) and live leases."""
        return self.filter(Q(state=Assignment.State.SUBMITTED) | Q(state=Assignment.State.OPEN, expires_at__gt=at))

    def of_attempts(self, requests: Collection[GenerationRequest]) -> AssignmentQuerySet:
        """Those of live attempts, with what is shown of them."""
        rows = self.filter(item__request__in=requests)
        return rows.select_related("item__prompt__conditioning", "item__request__conditioning")

    def submitted(self, item: Item) -> AssignmentQuerySet:
        """Those of an item that count; surplus ones do not."""
        return self.filter(item=item, state=Assignment.State.SUBMITTED)


class Assignment(models.Model):
    """A lease of one item to one annotator."""

    class State(models.TextChoices):
        """Where an assignment stands: surplus ones were submitted after the item had all it needed.

        A lease that ran out is an open one whose expiry has passed.
        """

        OPEN = "open"
        SUBMITTED = "submitted"
        SURPLUS = "surplus"
        SKIPPED = "skipped"

    MOVES: ClassVar[Moves] = {
        State.SUBMITTED: frozenset({State.OPEN, State.SKIPPED}),
        State.SURPLUS: frozenset({State.OPEN, State.SKIPPED}),
        State.SKIPPED: frozenset({State.OPEN}),
    }

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(User, on_delete=models.PROTECT, related_name="assignments")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    shown_order = ArrayField(models.UUIDField(), help_text="Candidate ids as this annotator sees them.")
    expires_at = models.DateTimeField()
    draft = models.JSONField(null=True)
    draft_version = models.PositiveIntegerField(default=0)
    skip_reason = models.CharField(max_length=30, default="", blank=True)
    created_at = models.DateTimeField()

    prompt_id: UUID
    prompt_text: str
    project_id: UUID
    template_version_id: UUID
    overlap: int
    item_overlap: int | None
    item_audience: str
    role: str
    """Of its item, its project and the asking user's membership, where the row came through an access door."""
    shown: list[Candidate]
    """The candidates in the shown order, where they have been loaded."""

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "annotator"], name="assignment_once")]
        indexes = [
            models.Index(fields=["annotator", "id"], condition=Q(state="open"), name="assignment_open"),
        ]

    def __str__(self) -> str:
        return f"assignment {self.id} ({self.state})"


class AnnotationQuerySet(models.QuerySet["Annotation"]):
    """Reads of annotations."""

    def of_project(self, project: Project) -> AnnotationQuerySet:
        """A project's annotations, newest first."""
        return self.filter(project=project).select_related("annotator", "item__prompt", "assignment").order_by("-id")

    def exportable(self, project: Project, *, include_simulated: bool) -> AnnotationQuerySet:
        """A project's annotations, oldest first, with all that an export names."""
        rows = self.filter(project=project)
        if not include_simulated:
            rows = rows.filter(annotator__kind=User.Kind.HUMAN)
        return rows.select_related(
            "annotator", "assignment", "item__prompt", "item__request", "item__template_version__template"
        ).order_by("id")

    def since(self, project: Project, annotator: User, start: datetime) -> AnnotationQuerySet:
        """What an annotator submitted in a project since a moment."""
        return self.filter(project=project, annotator=annotator, created_at__gte=start)


class Annotation(models.Model):
    """The submitted answers of one assignment. Append only: the one source of every export and preference."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    assignment = models.OneToOneField(Assignment, on_delete=models.PROTECT, related_name="annotation")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="annotations")
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="annotations")
    annotator = models.ForeignKey(User, on_delete=models.PROTECT, related_name="annotations")
    answers = models.JSONField(help_text="By component name, as validated.")
    ranking = models.JSONField(help_text="Ordered groups of candidate ids, best first; ties share a group.")
    ties_are_equal = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Whether images that share a group were judged equal; else they were not compared with each other.",
    )
    all_bad = models.BooleanField(default=False)
    active_ms = models.PositiveIntegerField(help_text="Active time; being idle does not count.")
    body_hash = models.CharField(max_length=64, help_text="Tells a repeated submission from another one.")
    created_at = models.DateTimeField()

    objects = AnnotationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["project", "-id"], name="annotation_newest"),
            models.Index(fields=["project", "annotator", "created_at"], name="annotation_by_person"),
        ]

    def __str__(self) -> str:
        return f"annotation {self.id}"
