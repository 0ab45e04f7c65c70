"""Images are measured by training workers: asked for once, claimed, recorded. Every write to scores is here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import groupby
from uuid import UUID

from django.conf import settings
from django.db import transaction

from easel.common import jobs
from easel.common.broker import send_on_commit
from easel.common.errors import Conflict, InvalidInput
from easel.common.models import Job
from easel.evaluation.models import Score, ScoreJob
from easel.images.models import Candidate, GenerationRequest
from easel.registry.models import ModelVersion
from finetune.types import Judge, ScoreImage, ScoreRequest, ScoreResult, TrainClaim
from generation.types import Lease, ModelReference

SCORE = "score"
ADVANCE = "easel.evaluation.advance"
MAX_IMAGES = 2_000
"""Images of one job; a prompt's stay together, for their diversity."""
JUDGED = "folder:easel-icons"
"""The judges know the built-in model's pictures, and those of what was made from it; no others."""


def knows(model: ModelVersion) -> bool:
    """Tell whether the judges can tell anything about a model's pictures: it is the built-in one, or lies on it."""
    return model.layers()[0].location == JUDGED


@transaction.atomic
def request_scores(
    candidates: Iterable[Candidate],
    at: datetime,
    *,
    judge: Judge | None = None,
    reward_model: ModelVersion | None = None,
) -> list[ScoreJob]:
    """Have images measured by a judge or by a reward model; what was asked for before is not asked for again.

    Returns the new jobs, each about one model's images of one request. The workers hear of it once it is committed.
    """
    if (judge is None) == (reward_model is None):
        raise InvalidInput("Images are measured by a judge or by a reward model: name one of them.")
    wanted = {one.pk: one for one in candidates}
    requests = {one.request_id for one in wanted.values()}
    # Two who ask at once wait for each other here, so that no image is measured twice.
    list(GenerationRequest.objects.select_for_update(no_key=True).filter(pk__in=requests).order_by("pk"))
    measure = {"judge": judge or "", "reward_model": reward_model}
    asked = Score.objects.filter(candidate__in=list(wanted), **measure).values_list("candidate", flat=True)
    missing = [wanted[pk] for pk in wanted.keys() - set(asked)]
    made: list[ScoreJob] = []
    for part in _parts(missing):
        job = jobs.plan(SCORE, Job.Lane.TRAIN, len(part), at)
        job.save(force_insert=True)
        prompts = sum(count > 1 for count in Counter(one.prompt_id for one in part).values())
        request, model = part[0].request_id, part[0].model_id
        made.append(ScoreJob.objects.create(job=job, request_id=request, model_id=model, prompts=prompts, **measure))
        Score.objects.bulk_create([Score(candidate=one, part=made[-1], **measure) for one in part], batch_size=1_000)
    if made:
        jobs.ring(Job.Lane.TRAIN)
    return made


def _parts(candidates: Collection[Candidate]) -> Iterator[list[Candidate]]:
    """Deal images into jobs: one request and one model each, a prompt's images together."""

    def whose(one: Candidate) -> tuple[UUID, UUID]:
        return one.request_id, one.model_id

    ordered = sorted(candidates, key=lambda one: (*whose(one), one.prompt_id, one.position))
    for _, group in groupby(ordered, whose):
        part: list[Candidate] = []
        for _, of_prompt in groupby(group, lambda one: one.prompt_id):
            images = list(of_prompt)
            if part and len(part) + len(images) > MAX_IMAGES:
                yield part
                part = []
            part += images
        yield part


@transaction.atomic
def claim_scores(claim: TrainClaim, at: datetime, token: UUID | None = None) -> ScoreRequest | None:
    """Lease the next images to be measured to a worker, or return None when none wait.

    A claim that comes twice under the same token leases once: see `jobs.claim`.
    """
    job = jobs.claim(SCORE, [Job.Lane.TRAIN], claim.worker, at, token)
    if job is None:
        return None
    part = ScoreJob.objects.select_related("reward_model").get(job=job)
    assert job.token is not None
    rows = part.scores.select_related("candidate__prompt").order_by("candidate__prompt", "candidate__position")
    return ScoreRequest.model_validate(
        {
            "lease": Lease(job=job.pk, token=job.token, attempt=job.attempt),
            "judge": part.judge or None,
            "reward_model": ModelReference(**part.reward_model.weights()) if part.reward_model else None,
            "images": tuple(
                ScoreImage(id=row.candidate_id, key=row.candidate.key, prompt=row.candidate.prompt.text) for row in rows
            ),
            "storage_url": settings.STORAGE_URL,
        }
    )


@transaction.atomic
def record_scores(answer: ScoreResult, at: datetime) -> int:
    """Record what a worker measured, and finish its job; returns how many images that were.

    Raises StaleLease for a worker that was given up on, Conflict where images are missing, or are not the job's.
    """
    job = jobs.hold(answer.lease)
    part = ScoreJob.objects.get(job=job)
    values = {score.id: score.values for score in answer.scores}
    rows = list(part.scores.all())
    if {row.candidate_id for row in rows} != values.keys():
        raise Conflict(f"job {job.pk} is about {len(rows)} images, and the answer about {len(values)} or others")
    for row in rows:
        row.values = values[row.candidate_id]
    Score.objects.bulk_update(rows, ["values"], batch_size=500)
    ScoreJob.objects.filter(pk=part.pk).update(diversity=answer.diversity)
    jobs.complete(job, at)
    send_on_commit(ADVANCE)
    return len(rows)
