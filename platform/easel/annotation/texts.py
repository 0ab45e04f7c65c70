"""Items of texts: where a project's form shows no images, each prompt is one by itself."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from easel.annotation.labels import label
from easel.annotation.models import Item
from easel.forms.models import form_of
from easel.projects.models import Project
from easel.prompts.models import Prompt


def gather_texts(versions: Collection[UUID], at: datetime, project: Project | None = None) -> int:
    """Make an item of every prompt of the projects that use these versions; return how many were made. Idempotent.

    versions: of templates whose form shows no images. Held-out prompts stay out, as they do of rounds of images.
    """
    waiting = _without_item().filter(project__template_version__in=versions)
    if project is not None:
        waiting = waiting.filter(project=project)
    return sum(_gather_project(pk, at) for pk in waiting.order_by().values_list("project", flat=True).distinct())


@transaction.atomic
def _gather_project(pk: UUID, at: datetime) -> int:
    # The project's row makes one gather wait for another, and for a move to another form.
    project = Project.objects.select_for_update(no_key=True).get(pk=pk)
    if form_of(project.template_version_id).images:
        return 0
    prompts = _without_item().filter(project=project).order_by("id").values_list("pk", flat=True)
    items = [
        Item(project=project, prompt_id=prompt, template_version_id=project.template_version_id, created_at=at)
        for prompt in prompts
    ]
    Item.objects.bulk_create(items, batch_size=1_000)
    label(items)
    return len(items)


def _without_item() -> QuerySet[Prompt]:
    """Prompts that are no item of texts yet."""
    return Prompt.objects.filter(~Exists(Item.objects.filter(prompt=OuterRef("pk"), request=None)), held_out=False)
