"""Writes to evaluations: started, brought forward, promoted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from easel.accounts.models import User
from easel.annotation.gathering import gather
from easel.annotation.stopping import Rule
from easel.common import jobs
from easel.common.broker import send_on_commit
from easel.common.errors import Conflict, InvalidInput, Refusal
from easel.evaluation import simulation as simulated
from easel.evaluation.models import Evaluation, Promotion, ScoreJob, Simulation
from easel.evaluation.scoring import ADVANCE, knows, request_scores
from easel.images.models import Candidate, GenerationRequest
from easel.images.services import request_images
from easel.projects.models import Membership, Project
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion
from easel.training.models import FinetuneRun
from finetune.types import Judge
from generation.types import RenderSettings

logger = logging.getLogger(__name__)

REFEREE: Judge = "referee"
MAX_OVERLAP = 9
ADAPTIVE = Rule(start=3, lead=3, cap=MAX_OVERLAP)
"""Of evaluations by people: where single people are right in 70 %, 89 % of the verdicts are, for 5.6 votes each.
A fixed number as good is 8.3 (docs/explanation/labels-saved.md)."""


def judges_of(text: str) -> tuple[str, str]:
    """Read who judges: `people`, or `simulated:TASTE`. Returns the kind and the taste. Raises InvalidInput."""
    kind, _, taste = text.strip().partition(":")
    if (kind == Evaluation.Judges.PEOPLE and not taste) or (kind == Evaluation.Judges.SIMULATED and taste):
        return kind, taste.strip()
    message = f"judges is {text[:60]!r}; give people, or simulated: with a taste, as simulated:3d."
    raise InvalidInput(message, fields={"judges": [message]})


@transaction.atomic
def start_evaluation(
    project: Project,
    by: User,
    at: datetime,
    *,
    a: ModelVersion,
    b: ModelVersion,
    prompts: Sequence[Prompt] | None = None,
    images_per_prompt: int = 1,
    judges: str = "people",
    noise: float = 0.0,
    ties: float = simulated.TIES,
    overlap: int = 1,
    adaptive: bool = False,
    seeds: Sequence[int] | None = None,
    settings_: RenderSettings | None = None,
) -> Evaluation:
    """Have two models make the same images, and judge them blindly. `a` is the baseline, `b` the challenger.

    prompts: None are the project's held-out ones. images_per_prompt: of each model; each is compared with the other
    model's of the same seed. overlap: how many annotators judge each comparison; with `adaptive`, which is for people,
    three do and then more until one verdict is ahead (`ADAPTIVE`). noise and ties are for simulated judges.
    Raises InvalidInput for what cannot be compared, and what `request_images` raises.
    """
    kind, taste = judges_of(judges)
    if a == b:
        message = "A and B are the same model; there is nothing to compare. Choose two."
        raise InvalidInput(message, fields={"b": [message]})
    form = project.template_version.form
    if not form.orders:
        raise InvalidInput("The project's form has no ranking, so nobody could say which image is better.")
    if form.live:
        raise InvalidInput(
            "The project's form is a live one: its annotators rank the images that they ask for. Compare models in a "
            "project with a form for images that are made ahead of time."
        )
    rule = _adaptive(project, kind) if adaptive else Rule(overlap)
    if not 1 <= rule.start <= MAX_OVERLAP:
        message = f"overlap is {overlap}; each comparison is judged by 1 to {MAX_OVERLAP} annotators."
        raise InvalidInput(message, fields={"overlap": [message]})
    chosen = list(Prompt.objects.held_out(project)) if prompts is None else list(prompts)
    if not chosen:
        message = (
            "The project has no held-out prompts: nothing is ever trained on those, so they show what a model has "
            "really learned. Hold some out on the Prompts page, import some, or name prompts."
        )
        raise InvalidInput(message, fields={"prompts": [message]})
    is_simulated = kind == Evaluation.Judges.SIMULATED
    if is_simulated:
        _refuse_unknown_pictures([a, b])
    audience = GenerationRequest.Audience.SIMULATED if is_simulated else GenerationRequest.Audience.PEOPLE
    request = request_images(
        project,
        a,
        chosen,
        by,
        at,
        images_per_prompt=images_per_prompt,
        seeds=seeds,
        settings_=settings_,
        kind=GenerationRequest.Kind.EVALUATION,
        compared=[b],
        audience=audience,
        overlap=rule.start,
        overlap_lead=int(rule.lead),
        overlap_cap=rule.cap,
    )
    evaluation = Evaluation.objects.create(
        project=project, a=a, b=b, request=request, judges=kind, created_by=by, created_at=at
    )
    if is_simulated:
        simulated.start_simulation(
            project,
            by,
            at,
            taste=taste,
            rankings=len(chosen) * images_per_prompt * overlap,
            noise=noise,
            ties=ties,
            annotators=overlap,
            evaluation=evaluation,
        )
    send_on_commit(ADVANCE)
    return evaluation


def _adaptive(project: Project, kind: str) -> Rule:
    """Return the rule of an evaluation with adaptive overlap. Its cap is never more than there are people to ask."""
    if kind != Evaluation.Judges.PEOPLE:
        message = "Simulated judges are a fixed number: adaptive overlap is for people. Leave adaptive out."
        raise InvalidInput(message, fields={"adaptive": [message]})
    people = Membership.objects.rankers(project).count()
    if people < ADAPTIVE.start:
        message = (
            f"Adaptive overlap asks {ADAPTIVE.start} annotators or more, and {people} may rank in this project. Invite "
            "more, or give a fixed number of judges."
        )
        raise InvalidInput(message, fields={"adaptive": [message]})
    return Rule(ADAPTIVE.start, ADAPTIVE.lead, min(ADAPTIVE.cap, people))


def _refuse_unknown_pictures(models: Sequence[ModelVersion]) -> None:
    for model in models:
        if not knows(model):
            message = (
                f"Simulated annotators know the pictures of the built-in model only, and {model.name} is another. "
                "Have people judge."
            )
            raise InvalidInput(message, fields={"judges": [message]})


def advance(at: datetime) -> int:
    """Bring every evaluation and simulation forward as far as it can get by now; return how many rankings were given.

    Idempotent: whatever was asked for or ranked before is not again.
    """
    rankings = 0
    for evaluation in Evaluation.objects.unfinished().with_state():
        try:
            rankings += advance_evaluation(evaluation, at)
        except Refusal as refusal:  # one that cannot go on must not stop those behind it
            logger.warning("evaluation %s cannot go on: %s", evaluation.pk, refusal.detail)
    for simulation in Simulation.objects.unfinished().filter(evaluation=None).select_related("project"):
        rankings += _simulate(simulation, at)
    return rankings


def _simulate(simulation: Simulation, at: datetime) -> int:
    """Bring simulated annotators forward; those who may not go on end, with the reason."""
    try:
        return simulated.advance(simulation, at)
    except Refusal as refusal:
        simulated.end(simulation, at, f"The simulated annotators could not go on: {refusal.detail}")
        return 0


def advance_evaluation(evaluation: Evaluation, at: datetime) -> int:
    """Bring one evaluation forward: its images become items and are measured, and simulated judges judge them."""
    rankings = 0
    if evaluation.request.gathered_at is None:
        gather(at, evaluation.project)
    if evaluation.request.state in {"done", "failed", "cancelled"}:
        images = Candidate.objects.filter(request=evaluation.request_id)
        if knows(evaluation.a) and knows(evaluation.b):
            request_scores(images.exclude(scores__judge=REFEREE), at, judge=REFEREE)
        reward = _reward_model(evaluation.project)
        if reward is not None and evaluation.finished_at is None:
            request_scores(images.exclude(scores__reward_model=reward), at, reward_model=reward)
    if evaluation.judges == Evaluation.Judges.SIMULATED:
        rankings = _simulate(evaluation.simulation, at)
    fresh = Evaluation.objects.with_state().get(pk=evaluation.pk)
    measured = not ScoreJob.objects.filter(request=evaluation.request_id).open().exists()
    if fresh.request.state in {"done", "cancelled"} and fresh.state in {"done", "cancelled"} and measured:
        Evaluation.objects.filter(pk=evaluation.pk, finished_at=None).update(finished_at=at)
    return rankings


@transaction.atomic
def retry(evaluation: Evaluation, at: datetime) -> int:
    """Have measured anew what could not be measured, and judged what waits for it; return how many parts that were.

    Raises Conflict where nothing has failed. Images that could not be made are retried on the Generate page.
    """
    parts = list(ScoreJob.objects.filter(request=evaluation.request_id).failed().values_list("job", flat=True))
    for pk in parts:
        jobs.retry(pk, at)
    ended = Simulation.objects.filter(evaluation=evaluation).exclude(ended="")
    reopened = ended.update(ended="", finished_at=None)
    if not parts and not reopened:
        raise Conflict("Nothing of this evaluation has failed; there is nothing to retry.")
    Evaluation.objects.filter(pk=evaluation.pk).update(finished_at=None)
    send_on_commit(ADVANCE)
    return len(parts)


def _reward_model(project: Project) -> ModelVersion | None:
    """The newest reward model that a project's rankings taught."""
    runs = FinetuneRun.objects.filter(project=project, method=FinetuneRun.Method.REWARD, made__isnull=False)
    newest = runs.select_related("made").order_by("-id").first()
    return newest.made if newest else None


@transaction.atomic
def promote(evaluation: Evaluation, by: User, at: datetime, model: ModelVersion | None = None) -> Promotion:
    """Make one of an evaluation's two models, B if none is named, the one that makes the next round's images.

    Promoting the other one takes it back. Raises InvalidInput for a third model, Conflict for what it is already.
    """
    model = model or evaluation.b
    if model not in (evaluation.a, evaluation.b):
        message = f"{model.name} is none of the two models of this evaluation."
        raise InvalidInput(message, fields={"model": [message]})
    project = Project.objects.select_for_update(no_key=True).get(pk=evaluation.project_id)
    if project.generator_id == model.pk:
        raise Conflict(f"{model.name} makes the images of this project's next round already.")
    Project.objects.filter(pk=project.pk).update(generator=model)
    return Promotion.objects.create(
        project=project,
        evaluation=evaluation,
        model=model,
        previous_id=project.generator_id,
        created_by=by,
        created_at=at,
    )
