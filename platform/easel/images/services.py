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
from easel.common.ids import uuid7_of
from easel.common.models import Job
from easel.images import previews
from easel.images.models import Candidate, Chunk, GenerationRequest
from easel.projects.models import Project
from easel.prompts.models import ConditioningImage, Prompt
from easel.prompts.services import GATHER
from easel.registry.models import ModelVersion
from generation.types import (
    Claim,
    Conditioning,
    ImageSlot,
    Lease,
    RenderedImages,
    RenderPrompt,
    RenderRequest,
    RenderSettings,
)

RENDER = "render"
MAX_IMAGES = 200_000
MAX_IMAGES_PER_PROMPT = 64
MAX_LIVE_IMAGES = 64  # a person waits for them


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
    kind: str = GenerationRequest.Kind.RENDER,
    compared: Sequence[ModelVersion] = (),
    conditioning: ConditioningImage | None = None,
    audience: str = GenerationRequest.Audience.ALL,
    overlap: int | None = None,
    overlap_lead: int = 0,
    overlap_cap: int = 0,
) -> GenerationRequest:
    """Record a request and its jobs; the workers hear of it once it is committed.

    With `seeds`, every prompt's images use these; without, each image has a seed of its own. With `compared`, each of
    these models makes the same images as `model`: `images_per_prompt` of each, from the same seeds. Prompts without a
    picture of their own start from `conditioning`. `audience` and the overlap say who ranks the images, and how many.
    Raises InvalidInput where there is nothing to render, too much, fewer seeds than images, or what does not fit.
    """
    models = [model, *compared]
    made_per_prompt = images_per_prompt * len(models)
    total = len(prompts) * made_per_prompt
    _refuse_what_cannot_be(prompts, models, made_per_prompt, total, lane)
    if seeds is not None and len(seeds) != images_per_prompt:
        message = f"{len(seeds)} seeds are given for {images_per_prompt} images a prompt; give one for each."
        raise InvalidInput(message, fields={"seeds": [message]})
    chosen = settings_ or RenderSettings()
    starts = _what_they_start_from(project, prompts, conditioning, chosen, models)
    request = GenerationRequest.objects.create(
        project=project,
        model=model,
        kind=kind,
        settings=chosen.model_dump(mode="json"),
        conditioning=conditioning,
        images_per_prompt=made_per_prompt,
        images_total=total,
        audience=audience,
        overlap=overlap,
        overlap_lead=overlap_lead,
        overlap_cap=overlap_cap,
        created_by=by,
        created_at=at,
    )
    request.compared.set(compared)
    chunks: list[Chunk] = []
    planned: list[Job] = []
    turn = jobs.next_turn(RENDER, lane, at)
    size = max(1, settings.CHUNK_IMAGES // images_per_prompt)
    # One model after the other, not one prompt after the other: loading a pipeline takes longer than a chunk.
    for number, one in enumerate(models):
        first = number * images_per_prompt
        for part in _in_chunks(prompts, size):
            render = [
                RenderPrompt(
                    id=prompt.pk,
                    text=prompt.text,
                    negative=prompt.negative,
                    conditioning=starts.get(prompt.pk),
                    slots=tuple(
                        ImageSlot(
                            position=first + seed, seed=seeds[seed] if seeds else _own_seed(request.pk, prompt.pk, seed)
                        )
                        for seed in range(images_per_prompt)
                    ),
                ).model_dump(mode="json")
                for prompt in part
            ]
            count = len(part) * images_per_prompt
            job = jobs.plan(RENDER, lane, count, at, turn + len(planned))
            planned.append(job)
            chunks.append(
                Chunk(request=request, job=job, model=one if compared else None, prompts=render, images=count)
            )
    Job.objects.bulk_create(planned, batch_size=1_000)
    Chunk.objects.bulk_create(chunks, batch_size=500)
    jobs.ring(lane)
    return request


def _refuse_what_cannot_be(
    prompts: Sequence[Prompt], models: Sequence[ModelVersion], per_prompt: int, total: int, lane: str
) -> None:
    if not prompts:
        raise InvalidInput(
            "There are no prompts to generate images for. Add prompts first.", fields={"prompts": ["none"]}
        )
    if len(set(models)) < len(models):
        message = "A model stands twice in the comparison. Name each once."
        raise InvalidInput(message, fields={"models": [message]})
    for model in models:
        if model.kind == ModelVersion.Kind.IMPORTED:
            message = f"{model.name} is known from imported images only; nothing can be rendered with it."
            raise InvalidInput(message, fields={"model": [message]})
    if per_prompt > MAX_IMAGES_PER_PROMPT:
        message = (
            f"{per_prompt} images of one prompt are too many; at most {MAX_IMAGES_PER_PROMPT}. "
            "Compare fewer models, or ask each for fewer images."
        )
        raise InvalidInput(message, fields={"images_per_prompt": [message]})
    if total > MAX_IMAGES:
        raise InvalidInput(
            f"{total:,} images are too many for one request; at most {MAX_IMAGES:,}. Choose fewer prompts."
        )
    if lane == Job.Lane.LIVE and total > MAX_LIVE_IMAGES:
        message = f"{total:,} images are too many for the live lane; at most {MAX_LIVE_IMAGES}. Use the batch lane."
        raise InvalidInput(message, fields={"lane": [message]})


def _what_they_start_from(
    project: Project,
    prompts: Sequence[Prompt],
    conditioning: ConditioningImage | None,
    chosen: RenderSettings,
    models: Sequence[ModelVersion],
) -> dict[UUID, Conditioning]:
    """Return what each prompt's images start from, by prompt. Raises InvalidInput for settings that nothing uses."""
    assert conditioning is None or conditioning.project_id == project.pk
    own = ConditioningImage.objects.in_bulk({one.conditioning_id for one in prompts if one.conditioning_id})
    starts = {}
    for prompt in prompts:
        picture = own[prompt.conditioning_id] if prompt.conditioning_id else conditioning
        if picture is not None:
            starts[prompt.pk] = picture.reference()
    kinds = {one.kind for one in starts.values()}
    if chosen.strength is not None and not kinds - {"control"}:
        message = "strength says how much of a starting picture is made anew, and no prompt has one. Leave it out."
        raise InvalidInput(message, fields={"settings": [message]})
    if chosen.control_scale is not None and "control" not in kinds:
        message = "control_scale says how much a ControlNet's picture counts, and no prompt has one. Leave it out."
        raise InvalidInput(message, fields={"settings": [message]})
    for model in models:
        controlled = model.reference().controlnet is not None
        if controlled and any(prompt.pk not in starts or starts[prompt.pk].kind != "control" for prompt in prompts):
            message = (
                f"{model.name} is a ControlNet: every prompt needs a control picture. Give one, or choose its base."
            )
            raise InvalidInput(message, fields={"model": [message]})
        if "control" in kinds and not controlled:
            message = f"{model.name} has no ControlNet, which a control picture needs. Choose a model with one."
            raise InvalidInput(message, fields={"model": [message]})
    return starts


def _in_chunks(prompts: Sequence[Prompt], size: int) -> Iterator[Sequence[Prompt]]:
    for start in range(0, len(prompts), size):
        yield prompts[start : start + size]


def _own_seed(request: UUID, prompt: UUID, position: int) -> int:
    """Return a seed that no other image is likely to have; 32 bits, which every tool that reads metadata can hold."""
    return int.from_bytes(sha256(f"{request}/{prompt}/{position}".encode()).digest()[:4], "big")


@transaction.atomic
def claim_render(claim: Claim, at: datetime, token: UUID | None = None) -> RenderRequest | None:
    """Lease the next chunk to a worker and return all that it needs, or None when nothing waits.

    A claim that comes twice under the same token leases once: see `jobs.claim`.
    """
    job = jobs.claim(RENDER, claim.lanes, claim.worker, at, token)
    if job is None:
        return None
    chunk = Chunk.objects.select_related("request__model", "model").get(job=job)
    assert job.token is not None
    model = chunk.model or chunk.request.model
    return RenderRequest(
        lease=Lease(job=job.pk, token=job.token, attempt=job.attempt),
        lane="live" if job.lane == Job.Lane.LIVE else "batch",
        model=model.reference(),
        settings=chunk.request.render_settings(),
        prompts=_missing(chunk) if model.kind == ModelVersion.Kind.API else chunk.render_prompts(),
        storage_url=settings.STORAGE_URL,
    )


def _missing(chunk: Chunk) -> tuple[RenderPrompt, ...]:
    """Return what of a chunk is not recorded yet: a service is not paid for an image twice.

    Images that are rendered here are rendered again: in a smaller batch, others would come out with other bits.
    """
    recorded = set(Candidate.objects.filter(chunk=chunk).values_list("prompt", "position"))
    wanted = (
        (prompt, tuple(slot for slot in prompt.slots if (prompt.id, slot.position) not in recorded))
        for prompt in chunk.render_prompts()
    )
    return tuple(prompt.model_copy(update={"slots": slots}) for prompt, slots in wanted if slots)


@transaction.atomic
def record_images(answer: RenderedImages, at: datetime) -> int:
    """Record finished images, and finish the job with its last one. Returns how many are recorded for the job.

    Recording the same images twice changes nothing. Raises StaleLease for a worker that was given up on, Conflict for
    images that the job was not about.
    """
    job = jobs.hold(answer.lease)
    chunk = Chunk.objects.select_related("request__model", "model").get(job=job)
    wanted = {(prompt.id, slot.position): slot.seed for prompt in chunk.render_prompts() for slot in prompt.slots}
    for image in answer.images:
        seed = image.manifest.seed if image.manifest.service is None else wanted.get((image.prompt, image.position))
        if seed is None or wanted.get((image.prompt, image.position)) != seed:  # a service takes no seed
            raise Conflict(
                f"job {job.pk} did not ask for image {image.position} of prompt {image.prompt} with this seed"
            )
    made = Candidate.objects.bulk_create(
        [
            Candidate(
                # Annotators see candidates by their ids: time would tell which model or seed is which.
                id=uuid7_of(chunk.request.created_at),
                request=chunk.request,
                chunk=chunk,
                prompt_id=image.prompt,
                model_id=chunk.model_id or chunk.request.model_id,
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
    pipeline = (chunk.model or chunk.request.model).layers()[0]
    if not pipeline.sha256 and (sha256 := answer.images[0].manifest.model_sha256):
        ModelVersion.objects.learn_hash(pipeline.location, sha256)
    recorded = Candidate.objects.filter(chunk=chunk).count()
    if recorded == chunk.images:
        jobs.complete(job, at)
    previews.ring([one.pk for one in made])
    send_on_commit(GATHER, project=str(chunk.request.project_id))
    return recorded


def _lock(request: GenerationRequest) -> GenerationRequest:
    """Have cancel, pause, resume and retry of a request wait for each other, for the rest of the transaction."""
    return GenerationRequest.objects.select_for_update(no_key=True).get(pk=request.pk)


@transaction.atomic
def retry_failed(request: GenerationRequest, at: datetime) -> int:
    """Give the dead chunks of a request three new attempts; return how many. Raises Conflict when none is dead."""
    locked = _lock(request)
    if locked.cancelled_at is not None:
        raise Conflict("This request was cancelled. Ask for the images anew.")
    if locked.paused_at is not None:
        raise Conflict("This request is paused. Resume it first.")
    dead = list(Job.objects.filter(chunk__request=request, state=Job.State.DEAD).values_list("pk", flat=True))
    if not dead:
        raise Conflict("No part of this request has failed; there is nothing to retry.")
    for pk in dead:
        jobs.retry(pk, at)
    return len(dead)


@transaction.atomic
def cancel(request: GenerationRequest, at: datetime) -> None:
    """End a request: what is made stays, what is at work stops at its next step. Raises Conflict when it is over."""
    if _lock(request).cancelled_at is not None:
        raise Conflict("This request was cancelled already.")
    if not jobs.cancel(Job.objects.filter(chunk__request=request), at):
        raise Conflict("This request is finished; there is nothing to cancel.")
    GenerationRequest.objects.filter(pk=request.pk).update(cancelled_at=at, paused_at=None)
    send_on_commit(GATHER, project=str(request.project_id))


@transaction.atomic
def pause(request: GenerationRequest, at: datetime) -> None:
    """Stop a request until it is resumed; what is at work stops at its next step, and starts again with its chunk.

    Raises Conflict when nothing of it waits or runs.
    """
    if _lock(request).paused_at is not None:
        raise Conflict("This request is paused already.")
    if not jobs.pause(Job.objects.filter(chunk__request=request)):
        raise Conflict("Nothing of this request waits or runs; there is nothing to pause.")
    GenerationRequest.objects.filter(pk=request.pk).update(paused_at=at)


@transaction.atomic
def resume(request: GenerationRequest, at: datetime) -> None:
    """Let a paused request go on. Raises Conflict when it is not paused."""
    if _lock(request).paused_at is None:
        raise Conflict("This request is not paused; there is nothing to resume.")
    jobs.resume(Job.objects.filter(chunk__request=request), at)
    GenerationRequest.objects.filter(pk=request.pk).update(paused_at=None)


def failures(request: GenerationRequest) -> list[Job]:
    """Return the dead jobs of a request, with their reasons."""
    return list(Job.objects.filter(chunk__request=request, state=Job.State.DEAD).order_by("id"))
