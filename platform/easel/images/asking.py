"""Asking for images in one act: the prompt that was typed, the request, or the previews of its settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Max, Min

from easel.accounts.models import User
from easel.common.models import Job
from easel.images.models import Candidate, GenerationRequest
from easel.images.services import request_images
from easel.projects.models import Project
from easel.prompts.models import ConditioningImage, Prompt
from easel.prompts.parsing import Parsed, Row
from easel.prompts.services import add_prompts
from easel.registry.models import ModelVersion
from generation.storage import ModelNotFoundError, model_folder
from generation.types import RenderSettings

MAX_PREVIEWS = 4
"""Models that are tried at once: as many as are seen side by side."""


@dataclass(frozen=True)
class Asked:
    """A filled-in form."""

    models: tuple[ModelVersion, ...]
    prompts: tuple[Prompt, ...]
    images_per_prompt: int
    """Of each model."""
    new_prompt: tuple[str, str] | None = None
    """Text and negative of a prompt that is typed, in place of `prompts`."""
    seeds: Sequence[int] | None = None
    settings: RenderSettings = field(default_factory=RenderSettings)
    start: ConditioningImage | None = None


@transaction.atomic
def ask(project: Project, asked: Asked, by: User, at: datetime) -> GenerationRequest:
    """Request the images, of one model or of several that are compared. Raises what `request_images` raises."""
    return request_images(
        project,
        asked.models[0],
        _prompts(project, asked, at),
        by,
        at,
        images_per_prompt=asked.images_per_prompt,
        seeds=asked.seeds,
        settings_=asked.settings,
        compared=asked.models[1:],
        conditioning=asked.start,
    )


@transaction.atomic
def preview(project: Project, asked: Asked, by: User, at: datetime) -> list[GenerationRequest]:
    """Have each model make one image in the live lane, to try the settings: a request each, which never becomes items.

    Raises what `request_images` raises.
    """
    prompts = _prompts(project, asked, at)
    return [
        request_images(
            project,
            model,
            prompts,
            by,
            at,
            images_per_prompt=1,
            seeds=asked.seeds,
            settings_=asked.settings,
            lane=Job.Lane.LIVE,
            kind=GenerationRequest.Kind.PREVIEW,
            conditioning=asked.start,
        )
        for model in asked.models[:MAX_PREVIEWS]
    ]


def _prompts(project: Project, asked: Asked, at: datetime) -> Sequence[Prompt]:
    """The prompts to render; a typed one joins the project, or is the one that it has already."""
    if asked.new_prompt is None:
        return asked.prompts
    return [typed_prompt(project, *asked.new_prompt, at)]


def typed_prompt(project: Project, text: str, negative: str, at: datetime) -> Prompt:
    """Return the prompt of these words: the one that the project has already, or a new one."""
    row = Row(1, text, negative)
    known = Prompt.objects.of_project(project).filter(digest=row.digest).first()
    if known is not None:
        return known
    (made,), _ = add_prompts(project, Parsed([row], []), at)
    return made


@dataclass(frozen=True)
class Defaults:
    """What a model renders with where a request leaves it open; None: not known here."""

    steps: int | None = None
    guidance_scale: float | None = None
    width: int | None = None
    height: int | None = None


def defaults_of(model: ModelVersion) -> Defaults:
    """What the `defaults.json` of a model's folder says, where it lies on this machine."""
    pipeline = model.layers()[0]
    if not pipeline.location.startswith("folder:"):
        return Defaults()
    try:
        said = json.loads((model_folder(pipeline.location) / "defaults.json").read_text())
    except (ModelNotFoundError, OSError, ValueError):  # optional, and only a hint: the worker reads its own
        return Defaults()
    return Defaults(**{name: said.get(name) for name in Defaults.__dataclass_fields__})


def last_pace(project: Project) -> float | None:
    """Images a second of the newest request that says something about it, or None."""
    recent = GenerationRequest.objects.filter(project=project, kind=GenerationRequest.Kind.RENDER).order_by("-id")[:3]
    rows = {
        row["request"]: row
        for row in Candidate.objects.filter(request__in=list(recent.values_list("pk", flat=True)))
        .order_by()
        .values("request")
        .annotate(
            n=Count("*"), batches=Count("created_at", distinct=True), first=Min("created_at"), last=Max("created_at")
        )
    }
    for _, row in sorted(rows.items(), reverse=True):
        if row["batches"] > 1:
            # The first batch was made before it was recorded, so it is left out.
            later = row["n"] * (row["batches"] - 1) / row["batches"]
            return float(later / (row["last"] - row["first"]).total_seconds())
    return None
