"""Model versions."""

from __future__ import annotations

from typing import TypedDict
from uuid import UUID

from django.db import models

from easel.accounts.models import User
from easel.common.errors import InvalidInput
from easel.common.ids import uuid7
from generation.types import AdapterReference, ModelReference, WeightsReference


class NotRenderable(InvalidInput):
    """A model that no image can be rendered with."""

    code = "not_renderable"


class Weights(TypedDict):
    """The fields of a WeightsReference."""

    id: UUID
    name: str
    location: str
    sha256: str | None


class ModelVersionQuerySet(models.QuerySet["ModelVersion"]):
    """Reads of model versions."""

    def renderable(self) -> ModelVersionQuerySet:
        """Those that images can be asked of, newest first. A ControlNet among them needs a control picture."""
        silent = [ModelVersion.Kind.IMPORTED, ModelVersion.Kind.REWARD]
        return self.exclude(kind__in=silent).select_related("base").order_by("-created_at")

    def renderable_from_words(self) -> ModelVersionQuerySet:
        """Those that need no more than a prompt."""
        return self.renderable().exclude(kind=ModelVersion.Kind.CONTROLNET)

    def usual_of(self, generator: ModelVersion | None) -> ModelVersion | None:
        """What makes images where nobody names a model: the project's generator, else the newest pipeline."""
        return generator or self.filter(kind=ModelVersion.Kind.PIPELINE).order_by("-created_at").first()

    def derived(self) -> ModelVersionQuerySet:
        """Those that images can be asked of and that lie on another or were made from it, newest first."""
        return self.renderable().filter(base__isnull=False)

    def bases(self) -> ModelVersionQuerySet:
        """Those that something can lie on, or be made from, by name."""
        return self.filter(kind__in=[ModelVersion.Kind.PIPELINE, ModelVersion.Kind.ADAPTER]).order_by("name")

    def made_from(self, base: ModelVersion) -> ModelVersionQuerySet:
        """What lies directly on a model or was made from it, newest first."""
        return self.filter(base=base).order_by("-created_at")

    def locations(self) -> set[str]:
        """Where the registered models lie."""
        return set(self.values_list("location", flat=True))

    def learn_hash(self, location: str, sha256: str) -> None:
        """Fix the hash of a version that was registered without one: from now on, other weights are refused."""
        if not self.filter(location=location, sha256=sha256).exists():
            self.filter(location=location, sha256="", kind=ModelVersion.Kind.PIPELINE).update(sha256=sha256)

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

        PIPELINE = "pipeline", "Pipeline"
        ADAPTER = "adapter", "LoRA adapter"
        CONTROLNET = "controlnet", "ControlNet"
        API = "api", "API service"
        REWARD = "reward", "Reward model"  # scores images, and makes none
        IMPORTED = (
            "imported",
            "Imported",
        )  # known only from images that came from elsewhere: nothing can be rendered with it

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
    location = models.CharField(max_length=200, help_text="folder:NAME, hub:OWNER/NAME, api:NAME or storage:KEY")
    sha256 = models.CharField(
        max_length=64,
        default="",
        blank=True,
        help_text="Over the weights and configuration files; empty until it is known, and for services.",
    )
    licence = models.CharField(max_length=100, default="", blank=True)
    note = models.TextField(default="", blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField()

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["location", "sha256", "base"], name="model_version_weights", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=~models.Q(kind__in=["adapter", "controlnet"]) | models.Q(base__isnull=False),
                name="model_version_has_base",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def on_top(self) -> bool:
        """Whether it is put on a pipeline, and is nothing without one."""
        return self.kind in {self.Kind.ADAPTER, self.Kind.CONTROLNET}

    def lineage(self) -> list[ModelVersion]:
        """What it was made from, the oldest ancestor first, itself last."""
        line = [self]
        while line[0].base is not None:
            line.insert(0, line[0].base)
        return line

    def layers(self) -> list[ModelVersion]:
        """The pipeline (or service) that renders, then what is put on it, itself last."""
        layers = [self]
        while layers[0].on_top:
            assert layers[0].base is not None  # the constraint model_version_has_base
            layers.insert(0, layers[0].base)
        return layers

    def reference(self) -> ModelReference:
        """What a worker needs to render with it: the pipeline, with the adapters and the ControlNet that lie on it.

        Raises NotRenderable for what nothing can be rendered with.
        """
        if self.kind == self.Kind.IMPORTED:
            raise NotRenderable(f"{self.name} is known from imported images only; nothing can be rendered with it.")
        if self.kind == self.Kind.REWARD:
            raise NotRenderable(f"{self.name} scores images; nothing can be rendered with it.")
        pipeline, *layers = self.layers()
        controlnets = [layer for layer in layers if layer.kind == self.Kind.CONTROLNET]
        return ModelReference(
            **pipeline.weights(),
            adapters=tuple(AdapterReference(**layer.weights()) for layer in layers if layer.kind == self.Kind.ADAPTER),
            controlnet=WeightsReference(**controlnets[0].weights()) if controlnets else None,
        )

    def weights(self) -> Weights:
        """Which files it is itself, without what it lies on."""
        return {"id": self.pk, "name": self.name, "location": self.location, "sha256": self.sha256 or None}
