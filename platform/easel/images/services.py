"""Writes to generation requests and candidates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from django.conf import settings
from django.db import transaction

from easel.accounts.models import User
from easel.common import jobs
from easel.common.broker import send_on_commit
from easel.common.errors import Conflict, InvalidInput
from easel.common.ids import uuid7
from easel.common.models import Job
from easel.images.models import Candidate, Chunk, GenerationRequest
from easel.projects.models import Project
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion
from generation.types import Claim, ImageSlot, Lease, RenderedImages, RenderPrompt, RenderRequest, RenderSettings

RENDER = "render"
GATHER = "easel.annotation.gather"  # annotation lies above this app: it is rung by name, never imported
MAX_IMAGES = 200_000


@transaction.atomic
def request_images(
    project: Project,
    model: ModelVersion,
    prompts: Sequence[Prompt],
    by: User,
    at: datetime,
    *,
    images_per_prompt: int,
    seeds: Sequence[int] | None = None,
    settings_: RenderSettings | None = None,
    lane: str = Job.Lane.BATCH,
) -> GenerationRequest:
    """Record a request and its jobs; the workers hear of it once it is committed.

    With `seeds`, every prompt's images use these; without, each image has a seed of its own.
    Raises InvalidInput where there is nothing to render, too much, or fewer seeds than images.
    """
    if not prompts:
        raise InvalidInput(
            "There are no prompts to generate images for. Add prompts first.", fields={"prompts": ["none"]}
        )
    total = len(prompts) * images_per_prompt
    if total > MAX_IMAGES:
        raise InvalidInput(
            f"{total:,} images are too many for one request; at most {MAX_IMAGES:,}. Choose fewer prompts."
        )
    if seeds is not None and len(seeds) != images_per_prompt:
        message = f"{len(seeds)} seeds are given for {images_per_prompt} images a prompt; give one for each."
        raise InvalidInput(message, fields={"seeds": [message]})
    request = GenerationRequest.objects.create(
        project=project,
        model=model,
        settings=(settings_ or RenderSettings()).model_dump(mode="json"),
        images_per_prompt=images_per_prompt,
        images_total=total,
        created_by=by,
        created_at=at,
    )
    chunks, planned = [], []
    for part in _in_chunks(prompts, max(1, settings.CHUNK_IMAGES // images_per_prompt)):
        count = len(part) * images_per_prompt
        job = jobs.plan(RENDER, lane, count, at)
        planned.append(job)
        render = [_render_prompt(request.pk, prompt, images_per_prompt, seeds) for prompt in part]
        chunks.append(
            Chunk(request=request, job=job, prompts=[one.model_dump(mode="json") for one in render], images=count)
        )
    Job.objects.bulk_create(planned, batch_size=1_000)
    Chunk.objects.bulk_create(chunks, batch_size=500)
    jobs.ring(lane)
    return request


def _in_chunks(prompts: Sequence[Prompt], size: int) -> Iterator[Sequence[Prompt]]:
    for start in range(0, len(prompts), size):
        yield prompts[start : start + size]


def _render_prompt(request: UUID, prompt: Prompt, count: int, seeds: Sequence[int] | None) -> RenderPrompt:
    return RenderPrompt(
        id=prompt.pk,
        text=prompt.text,
        negative=prompt.negative,
        slots=tuple(
            ImageSlot(position=position, seed=seeds[position] if seeds else _own_seed(request, prompt.pk, position))
            for position in range(count)
        ),
    )


def _own_seed(request: UUID, prompt: UUID, position: int) -> int:
    """Return a seed that no other image is likely to have; 32 bits, which every tool that reads metadata can hold."""
    return int.from_bytes(sha256(f"{request}/{prompt}/{position}".encode()).digest()[:4], "big")


@transaction.atomic
def claim_render(claim: Claim, at: datetime) -> RenderRequest | None:
    """Lease the next chunk to a worker and return all that it needs, or None when nothing waits."""
    job = jobs.claim(RENDER, list(claim.lanes), claim.worker, at)
    if job is None:
        return None
    chunk = Chunk.objects.select_related("request__model").get(job=job)
    assert job.token is not None
    return RenderRequest(
        lease=Lease(job=job.pk, token=job.token, attempt=job.attempt),
        lane="live" if job.lane == Job.Lane.LIVE else "batch",
        model=chunk.request.model.reference(),
        settings=chunk.request.render_settings(),
        prompts=chunk.render_prompts(),
        storage_url=settings.STORAGE_URL,
    )


@transaction.atomic
def record_images(answer: RenderedImages, at: datetime) -> int:
    """Record finished images, and finish the job with its last one. Returns how many are recorded for the job.

    Recording the same images twice changes nothing. Raises StaleLease for a worker that was given up on, Conflict for
    images that the job was not about.
    """
    job = jobs.hold(answer.lease)
    chunk = Chunk.objects.select_related("request").get(job=job)
    wanted = {(prompt.id, slot.position): slot.seed for prompt in chunk.render_prompts() for slot in prompt.slots}
    for image in answer.images:
        seed = image.manifest.seed if image.manifest.service is None else wanted.get((image.prompt, image.position))
        if seed is None or wanted.get((image.prompt, image.position)) != seed:  # a service takes no seed
            raise Conflict(
                f"job {job.pk} did not ask for image {image.position} of prompt {image.prompt} with this seed"
            )
    Candidate.objects.bulk_create(
        [
            Candidate(
                id=uuid7(),
                request=chunk.request,
                chunk=chunk,
                prompt_id=image.prompt,
                model_id=chunk.request.model_id,
                position=image.position,
                seed=image.manifest.seed,
                key=image.key,
                sha256=image.sha256,
                width=image.width,
                height=image.height,
                size=image.bytes,
                manifest=image.manifest.model_dump(mode="json"),
                created_at=at,
            )
            for image in answer.images
        ],
        ignore_conflicts=True,
    )
    recorded = Candidate.objects.filter(chunk=chunk).count()
    if recorded == chunk.images:
        jobs.complete(job, at)
    send_on_commit(GATHER, project=str(chunk.request.project_id))
    return recorded


def retry_failed(request: GenerationRequest, at: datetime) -> int:
    """Give the dead chunks of a request three new attempts; return how many. Raises Conflict when none is dead."""
    dead = Chunk.objects.filter(request=request, job__state=Job.State.DEAD).values_list("job_id", flat=True)
    retried = 0
    for pk in list(dead):
        jobs.retry(pk, at)
        retried += 1
    if not retried:
        raise Conflict("No part of this request has failed; there is nothing to retry.")
    return retried


def failures(request: GenerationRequest) -> list[Job]:
    """Return the dead jobs of a request, with their reasons."""
    return list(Job.objects.filter(chunk__request=request, state=Job.State.DEAD).order_by("id"))
