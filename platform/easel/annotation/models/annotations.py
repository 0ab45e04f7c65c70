"""Annotations: what annotators answered, and what they have done in a project."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Case, F, When
from django.db.models.functions import Left, Length

from easel.accounts.models import User
from easel.annotation.models.assignments import Assignment
from easel.annotation.models.items import Item
from easel.common.ids import uuid7
from easel.projects.models import Project

FLAGS_AN_IMAGE = models.Func(
    models.F("answers"),
    models.Value('strict $.* ? (@.type() == "object").* ? (@.type() == "array")[*] ? (@.type() == "string")'),
    models.Value("{}"),
    models.Value(True),  # whatever else answers hold is no error
    function="jsonb_path_exists",
    output_field=models.BooleanField(),
)
"""Whether an annotation flags an image: only answers of image flags are lists of texts by image."""


class AnnotationQuerySet(models.QuerySet["Annotation"]):
    """Reads of annotations."""

    def collected(self, project: Project) -> AnnotationQuerySet:
        """What a project has collected: neither gold nor repeats, which measure annotators and are told apart here."""
        return self.filter(project=project, purpose=Item.Purpose.RANK)

    def of_project(self, project: Project) -> AnnotationQuerySet:
        """A project's annotations, newest first."""
        return self.collected(project).select_related("annotator", "item__prompt", "assignment").order_by("-id")

    def exportable(self, project: Project, *, include_simulated: bool) -> AnnotationQuerySet:
        """A project's annotations, oldest first, with all that an export names."""
        rows = self.collected(project)
        if not include_simulated:
            rows = rows.filter(annotator__kind=User.Kind.HUMAN)
        return rows.select_related(
            "annotator", "assignment", "item__prompt", "item__request", "item__template_version__template"
        ).order_by("id")

    def since(self, project: Project, annotator: User, start: datetime) -> AnnotationQuerySet:
        """What an annotator submitted in a project since a moment."""
        return self.filter(project=project, annotator=annotator, created_at__gte=start)


class Annotation(models.Model):
    """The answers of one assignment that count now: the one source of every export and preference.

    What they were before a correction is kept as a `Revision`.
    """

    class ReviewState(models.TextChoices):
        """What a reviewer said of it; empty: nobody is to look at it."""

        WAITING = "waiting"
        ACCEPTED = "accepted"
        RETURNED = "returned"
        FIXED = "fixed"

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
    purpose = models.CharField(
        max_length=10,
        choices=Item.Purpose.choices,
        default=Item.Purpose.RANK,
        db_default=Item.Purpose.RANK,
        help_text="Of its item.",
    )
    passed = models.BooleanField(null=True, help_text="Of gold: whether it was right; null: nobody can say.")
    review_state = models.CharField(max_length=10, choices=ReviewState.choices, default="", db_default="", blank=True)
    revision = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="How often it was corrected.")
    created_at = models.DateTimeField()

    objects = AnnotationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["project", "-id"], condition=models.Q(purpose="rank"), name="annotation_newest"),
            models.Index(
                fields=["project", "id"], condition=models.Q(review_state="waiting"), name="annotation_to_review"
            ),
            models.Index(fields=["project", "annotator", "created_at"], name="annotation_by_person"),
            models.Index(
                fields=["project", "created_at"], condition=models.Q(purpose="rank"), name="annotation_by_time"
            ),
            models.Index(fields=["project", "item"], condition=models.Q(all_bad=True), name="annotation_all_bad"),
            models.Index(
                fields=["project", "review_state", "item"],
                condition=~models.Q(review_state=""),
                name="annotation_reviewed",
            ),
            models.Index(fields=["project", "item"], condition=models.Q(FLAGS_AN_IMAGE), name="annotation_flags"),
        ]

    def __str__(self) -> str:
        return f"annotation {self.id}"


class Revision(models.Model):
    """What an annotation said before it was corrected."""

    class Reason(models.TextChoices):
        """Why it was replaced."""

        RETURNED = "returned", "The annotator corrected it"
        FIXED = "fixed", "A reviewer corrected it"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    annotation = models.ForeignKey(Annotation, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveSmallIntegerField(help_text="0: what was submitted first.")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", help_text="Who gave these answers.")
    answers = models.JSONField()
    ranking = models.JSONField()
    ties_are_equal = models.BooleanField()
    all_bad = models.BooleanField()
    active_ms = models.PositiveIntegerField()
    reason = models.CharField(max_length=10, choices=Reason.choices)
    created_at = models.DateTimeField(help_text="When it was replaced.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["annotation", "number"], name="revision_once")]

    def __str__(self) -> str:
        return f"revision {self.number} of {self.annotation_id}"


class RecordQuerySet(models.QuerySet["Record"]):
    """Writes to records that are no submissions."""

    def uncount(self, annotation: Annotation) -> None:
        """Take back what an annotation had counted, which is the annotator's newest one."""
        mine = self.filter(project=annotation.project_id, annotator=annotation.annotator_id)
        mine.update(
            submitted=F("submitted") - 1,
            submitted_on_day=Case(
                When(day=annotation.created_at.date(), then=F("submitted_on_day") - 1),
                default=F("submitted_on_day"),
                output_field=models.PositiveIntegerField(),
            ),
        )
        if annotation.passed is not None:
            mine.update(
                gold=F("gold") - 1,
                gold_passed=F("gold_passed") - int(annotation.passed),
                gold_recent=Left("gold_recent", Length("gold_recent") - 1),
            )


class Record(models.Model):
    """What one annotator has done in a project, counted as it is done: the queue asks it what comes next."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="records")
    annotator = models.ForeignKey(User, on_delete=models.CASCADE, related_name="records")
    submitted = models.PositiveIntegerField(default=0, db_default=0, help_text="Gold and repeats too; training not.")
    day = models.DateField(null=True, help_text="The last day (UTC) on which something was submitted.")
    submitted_on_day = models.PositiveIntegerField(default=0, db_default=0)
    gold = models.PositiveIntegerField(default=0, db_default=0, help_text="Gold items answered that could be scored.")
    gold_passed = models.PositiveIntegerField(default=0, db_default=0)
    gold_recent = models.CharField(
        max_length=20,
        default="",
        db_default="",
        blank=True,
        help_text="The last of them, oldest first; 1: passed.",
    )
    trained_at = models.DateTimeField(null=True, help_text="When the training was passed, or waived.")
    training = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Training items answered this round."
    )
    training_passed = models.PositiveSmallIntegerField(default=0, db_default=0)
    after = models.UUIDField(null=True, help_text="The item of the queue that was answered furthest on: see queue.py.")
    after_priority = models.SmallIntegerField(null=True, help_text="Of that item.")

    objects = RecordQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "annotator"], name="record_once")]

    def __str__(self) -> str:
        return f"record of {self.annotator_id} in {self.project_id}"
