"""What was made with each model, as far as the person who asks may see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from easel.accounts.models import User
from easel.images.models import Candidate
from easel.projects.access import inspected_by
from easel.registry.models import ModelVersion

SAMPLES = 12


@dataclass(frozen=True)
class ModelRow:
    """One model of the list, in its place in the tree of what was made from what."""

    model: ModelVersion
    depth: int
    images: int
    samples: list[UUID]


def visible_candidates(user: User) -> QuerySet[Candidate]:
    """Candidates of the projects in which the user may know which model made what: annotators judge blindly."""
    return Candidate.objects.collected().filter(request__project__in=inspected_by(user).values("pk"))


def model_rows(user: User) -> list[ModelRow]:
    """Return all models, each below what it was made from; otherwise the newest first."""
    own = visible_candidates(user).filter(model=OuterRef("pk"))
    counted = own.order_by().values("model").annotate(n=Count("*")).values("n")
    found = list(
        ModelVersion.objects.select_related("base")
        .annotate(images=Coalesce(Subquery(counted), 0), samples=ArraySubquery(own.order_by("-id").values("pk")[:4]))
        .order_by("-created_at", "-id")
    )
    below: dict[UUID | None, list[ModelVersion]] = {}
    for model in found:
        below.setdefault(model.base_id, []).append(model)

    def walk(base: UUID | None, depth: int) -> Iterator[ModelRow]:
        for model in below.get(base, []):
            yield ModelRow(model, depth, model.images, model.samples)  # type: ignore[attr-defined]  # annotated above
            yield from walk(model.pk, depth + 1)

    return list(walk(None, 0))


def samples_of(model: ModelVersion, user: User) -> list[Candidate]:
    """Return the newest images of a model that the user may see, one of each prompt."""
    newest = visible_candidates(user).filter(model=model).order_by("prompt", "-id").distinct("prompt").values("pk")
    return list(Candidate.objects.filter(pk__in=newest).select_related("prompt").order_by("-id")[:SAMPLES])


def images_made(model: ModelVersion, user: User) -> int:
    """Return how many images of a model the user may see."""
    return visible_candidates(user).filter(model=model).count()
