"""Items are made when all their images are there, or of texts alone."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from easel.annotation import live
from easel.annotation.labels import label
from easel.annotation.models import Item
from easel.annotation.texts import gather_texts
from easel.forms.models import form_of
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project


def gather(at: datetime, project: Project | None = None) -> int:
    """Make an item of every prompt whose images of a request are all there; return how many were made. Idempotent.

    A comparison gives an item for each prompt and seed, with one image of each model. Where a project's form shows no
    images, each prompt is an item as it is.
    """
    images = {pk: form_of(pk).images for pk in Project.objects.versions_in_use(project)}
    singles = [pk for pk, shown in images.items() if shown == 1]
    waiting = GenerationRequest.objects.ungathered(project, singles).values_list("pk", flat=True)
    made = sum(_gather_request(pk, at) for pk in waiting)
    of_texts = [pk for pk, shown in images.items() if not shown]
    return made + (gather_texts(of_texts, at, project) if of_texts else 0)


@transaction.atomic
def _gather_request(pk: UUID, at: datetime) -> int:
    # Two chunks may arrive at once: the request's row makes one gather wait for the other. Recording never locks it.
    request = (
        GenerationRequest.objects.select_for_update(no_key=True, of=("self",)).select_related("project").get(pk=pk)
    )
    if request.kind != GenerationRequest.Kind.LIVE and not form_of(request.project.template_version_id).images:
        return 0  # the form shows no images: they become items when the project has one that does
    made = []
    links = []
    known = set(Item.objects.filter(request=request).values_list("prompt_id", "group"))
    is_live = request.kind == GenerationRequest.Kind.LIVE
    version = request.attempt.template_version_id if is_live else request.project.template_version_id
    for prompt_id, group, candidates in Candidate.objects.complete_sets(request, without=known):
        item = Item(
            project=request.project,
            prompt_id=prompt_id,
            group=group,
            request=request,
            template_version_id=version,
            priority=request.kind == GenerationRequest.Kind.EVALUATION,  # somebody waits for its verdict
            audience=request.audience,
            overlap=request.overlap,
            overlap_lead=request.overlap_lead,
            overlap_cap=request.overlap_cap,
            created_at=at,
        )
        made.append(item)
        links += [Item.candidates.through(item_id=item.pk, candidate_id=candidate) for candidate in candidates]
    Item.objects.bulk_create(made, batch_size=1_000)
    Item.candidates.through.objects.bulk_create(links, batch_size=2_000)
    label(made)
    if is_live:
        live.lease(request, made, at)
    # No image comes after a cancel or to an import: what is complete by now is all that there will be.
    all_are_there = (len(known) + len(made)) * request.images_per_item == request.images_total
    imported = request.kind == GenerationRequest.Kind.IMPORT
    if all_are_there or imported or request.cancelled_at is not None:
        GenerationRequest.objects.filter(pk=pk).update(gathered_at=at)
    return len(made)
