"""Gold: items whose right answer is known. They measure annotators, and nothing is ever trained on them."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import models

from easel.accounts.models import User
from easel.annotation.models.items import Item
from easel.common.ids import uuid7
from easel.images.models import Candidate
from easel.projects.models import Project


class GoldQuerySet(models.QuerySet["Gold"]):
    """Reads of gold.

    What was made by the dozen is retired from the moment on that it was made, until somebody has looked at it.
    """

    def of_project(self, project: Project) -> GoldQuerySet:
        """A project's gold, with what is shown of it."""
        rows = self.filter(project=project).select_related("item__prompt", "item__template_version", "made_by")
        return rows.prefetch_related("item__candidates", "pictures").order_by("-pk")

    def in_use(self) -> GoldQuerySet:
        """What annotators get."""
        return self.filter(retired_at=None)

    def waiting(self) -> GoldQuerySet:
        """What nobody has looked at yet."""
        return self.filter(retired_at=models.F("created_at"))

    def retired(self) -> GoldQuerySet:
        """What was taken out of use."""
        return self.exclude(retired_at=None).exclude(retired_at=models.F("created_at"))

    def among(self, items: Collection[UUID]) -> GoldQuerySet:
        """Those of these items."""
        return self.filter(pk__in=items)

    def for_training(self) -> GoldQuerySet:
        """What training rounds are made of."""
        return self.in_use().filter(training=True)


class Gold(models.Model):
    """The right answer of an item that was made to measure annotators."""

    class Source(models.TextChoices):
        """How the right answer is known."""

        HAND = "hand", "Made by hand"
        UNANIMOUS = "unanimous", "Everybody agreed"
        DEGRADED = "degraded", "One image was spoilt"
        MISMATCHED = "mismatched", "One image is of another prompt"

    item = models.OneToOneField(Item, on_delete=models.CASCADE, primary_key=True, related_name="gold")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="gold")
    source = models.CharField(max_length=10, choices=Source.choices)
    answer = models.JSONField(
        help_text='{"pairs": [[better, worse], ...], "all_bad": null, true or false}; ids of candidates.'
    )
    note = models.CharField(max_length=500, default="", blank=True, help_text="Why; annotators in training read it.")
    training = models.BooleanField(default=False, help_text="Whether it is for training rounds, and not among others.")
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, help_text="Since when nobody gets it any more.")

    role: str
    """The asking user's role, where the row came through an access door."""

    objects = GoldQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["project", "item"], condition=models.Q(retired_at=None), name="gold_in_use")]

    def __str__(self) -> str:
        return f"gold {self.item_id}"

    @property
    def state(self) -> str:
        """in use, waiting (nobody has looked at it yet) or retired."""
        if self.retired_at is None:
            return "in use"
        return "waiting" if self.retired_at == self.created_at else "retired"


class MadePicture(models.Model):
    """A picture that was spoilt on purpose: which image it was made of, and how."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    gold = models.ForeignKey(Gold, on_delete=models.CASCADE, related_name="pictures")
    original = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="+")
    candidate = models.OneToOneField(Candidate, on_delete=models.CASCADE, related_name="+")
    how = models.CharField(max_length=20, help_text="blur, noise, blocks, ...")

    def __str__(self) -> str:
        return f"{self.how} of {self.original_id}"
