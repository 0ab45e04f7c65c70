"""What was measured last of a project and of each of its annotators, and how agreement went day by day."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import models

from easel.accounts.models import User
from easel.common.ids import uuid7
from easel.preferences.figures import AnnotatorFigures, DayFigures, Flag, ProjectFigures
from easel.projects.models import Project

REST = 20
"""Times as long as the last measurement took, a project is left alone."""


class ProjectQuality(models.Model):
    """The figures of a project, as of its last measurement."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="quality")
    measured_at = models.DateTimeField(null=True, help_text="Null: it is about to be measured for the first time.")
    watermark = models.UUIDField(null=True, help_text="The newest annotation that was counted.")
    seconds = models.FloatField(default=0, help_text="What the measurement took: what takes long is done less often.")
    figures = models.JSONField(default=dict)
    told = models.JSONField(default=list, help_text="Alarms that admins were told of, as long as they last.")

    def __str__(self) -> str:
        return f"quality of {self.project_id}"

    @property
    def rest(self) -> float:
        """For how many seconds the project is left alone after its last measurement."""
        return REST * self.seconds

    @property
    def found(self) -> ProjectFigures:
        """The figures, read."""
        return ProjectFigures.model_validate(self.figures)


class AnnotatorQualityQuerySet(models.QuerySet["AnnotatorQuality"]):
    """Reads of annotators' figures."""

    def of_project(self, project: Project) -> AnnotatorQualityQuerySet:
        """Those of a project, with their people."""
        return self.filter(project=project).select_related("annotator")

    def of_person(self, project: Project, user: UUID) -> AnnotatorQuality | None:
        """Those of one person in a project."""
        return self.of_project(project).filter(annotator=user).first()


class AnnotatorQuality(models.Model):
    """The figures of one annotator of a project, and what should be looked at."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="annotator_qualities")
    annotator = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    measured_at = models.DateTimeField()
    figures = models.JSONField(default=dict)
    flags = models.JSONField(default=list)
    verdict = models.CharField(max_length=500, default="", blank=True, help_text="A recommendation, and no more.")
    told = models.JSONField(default=list, help_text="Alarms that admins were told of, as long as they last.")

    objects = AnnotatorQualityQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "annotator"], name="annotator_quality_once")]

    def __str__(self) -> str:
        return f"quality of {self.annotator_id} in {self.project_id}"

    @property
    def found(self) -> AnnotatorFigures:
        """The figures, read."""
        return AnnotatorFigures.model_validate(self.figures)

    @property
    def found_flags(self) -> list[Flag]:
        """The flags, read."""
        return [Flag.model_validate(flag) for flag in self.flags]


class QualityDayQuerySet(models.QuerySet["QualityDay"]):
    """Reads of days."""

    def of_kind(self, project: Project, kind: str) -> QualityDayQuerySet:
        """A project's days by people, or by simulated annotators, oldest first."""
        return self.filter(project=project, kind=kind).order_by("day")

    def since(self, project: Project, kind: str, start: datetime) -> list[QualityDay]:
        """The same from a moment on."""
        return list(self.of_kind(project, kind).filter(day__gte=start.date()))


class QualityDay(models.Model):
    """How far annotators agreed on the items of one day."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="quality_days")
    day = models.DateField(help_text="UTC; of the last annotation of its items.")
    kind = models.CharField(max_length=10, choices=User.Kind.choices, default=User.Kind.HUMAN)
    figures = models.JSONField(default=dict)

    objects = QualityDayQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "day", "kind"], name="quality_day_once")]

    def __str__(self) -> str:
        return f"{self.day} of {self.project_id}"

    @property
    def found(self) -> DayFigures:
        """The figures, read."""
        return DayFigures.model_validate(self.figures)
