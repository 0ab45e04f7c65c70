"""Model versions."""

from __future__ import annotations

from uuid import UUID

from django.db import models

from easel.accounts.models import User
from easel.common.ids import uuid7
from generation.types import ModelReference


class ModelVersionQuerySet(models.QuerySet["ModelVersion"]):
    """Reads of model versions."""

    def named(self, value: str) -> ModelVersion | None:
        """The model version of that id, or the newest of that name."""
        try:
            return self.filter(pk=UUID(value)).first()
        except ValueError:
            return self.filter(name=value).order_by("-created_at").first()


class ModelVersion(models.Model):
    """A model that images are generated with: immutable; other weights are another version."""

    class Kind(models.TextChoices):
        """What its files are."""

        PIPELINE = "pipeline"
        ADAPTER = "adapter"
        CONTROLNET = "controlnet"
        API = "api"
        IMPORTED = "imported"  # known only from images that came from elsewhere: nothing can be rendered with it

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PIPELINE)
    base = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="derived",
        help_text="What it was made from.",
    )
    family = models.CharField(max_length=100, help_text="The diffusers pipeline class, as StableDiffusionPipeline.")
    location = models.CharField(max_length=200, help_text="folder:NAME or hub:OWNER/NAME")
    sha256 = models.CharField(max_length=64, help_text="Over the weights and configuration files.")
    licence = models.CharField(max_length=100, default="", blank=True)
    note = models.TextField(default="", blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField()

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["location", "sha256"], name="model_version_weights")]

    def __str__(self) -> str:
        return self.name

    def reference(self) -> ModelReference:
        """What a worker needs to load it."""
        return ModelReference(id=self.id, name=self.name, location=self.location, sha256=self.sha256 or None)
