"""Images that look the same, as the comparing of perceptual hashes found them (curate/likeness.py)."""

from __future__ import annotations

from django.db import models

from easel.annotation.models.items import Item
from easel.common.ids import uuid7
from easel.images.models import Candidate
from easel.projects.models import Project


class Alike(models.Model):
    """An image that looks like another one of its project. Those of one group look the same, in steps perhaps."""

    candidate = models.OneToOneField(Candidate, on_delete=models.CASCADE, primary_key=True, related_name="alike")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="alike")
    group = models.UUIDField(help_text="The id of one of the group's images.")

    class Meta:
        indexes = [
            models.Index(fields=["project", "item"], name="alike_of_item"),
            models.Index(fields=["group", "candidate"], name="alike_group"),
        ]

    def __str__(self) -> str:
        return f"{self.candidate_id} in {self.group}"


class Twins(models.Model):
    """An item of which two images look the same: to rank them tells nothing."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="twins")
    first = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="+")
    second = models.ForeignKey(Candidate, on_delete=models.CASCADE, related_name="+")
    distance = models.PositiveSmallIntegerField(help_text="Bits that differ, of 64.")

    class Meta:
        indexes = [models.Index(fields=["project", "item"], name="twins_of_item")]

    def __str__(self) -> str:
        return f"two of {self.item_id}"
