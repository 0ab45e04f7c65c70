"""The stages of the tour, each through the very services that pages and the API call, each waiting for its workers.

prompts -> images -> simulated rankings -> snapshot -> fine-tune -> blind evaluation -> contact sheet
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from django.db.models import QuerySet
from django.utils import timezone

from easel.accounts.models import User
from easel.annotation.gathering import gather
from easel.annotation.models import Annotation
from easel.common.errors import Refusal
from easel.common.models import Job
from easel.demo.services import MODEL, TEMPLATE, prepare
from easel.evaluation import services as evaluations
from easel.evaluation import simulation
from easel.evaluation.figures import Result, result_of
from easel.evaluation.models import Evaluation
from easel.evaluation.results import percent
from easel.forms.models import Template
from easel.images.models import GenerationRequest
from easel.images.services import failures, request_images
from easel.projects.models import Project
from easel.projects.services import create_project
from easel.prompts.models import Prompt
from easel.prompts.parsing import parse_file
from easel.prompts.services import add_prompts
from easel.registry.models import ModelVersion
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.services import take_snapshot
from easel.training.models import FinetuneRun
from easel.training.services import start_finetune
from finetune.types import TrainSettings
from generation.types import RenderSettings

PROMPTS = Path(__file__).parent / "prompts.csv"
IMAGES_PER_PROMPT = 4
VARIED = 1.0
"""Guidance of the images to be ranked: more makes the candidates alike, and of likes nothing is learned."""
COMPARED = 1.5
"""Guidance of the images that are compared."""
POLL = 0.25  # seconds
PATIENCE = timedelta(seconds=60)
"""How long a job may wait before we say that no worker is there."""


class TourStopped(Refusal):
    """A stage could not be done."""

    code = "tour_stopped"
    status = 409


@dataclass(frozen=True)
class Plan:
    """What a tour does."""

    taste: str = "3d"
    method: str = "listwise"
    rankings: int = 500
    noise: float = 0.2
    annotators: int = 4
    """Simulated ones; each item is ranked by all of them."""
    compared: int = 4
    """Images of each model and each held-out prompt that are compared."""
    steps: int | None = None
    """Of the fine-tune; None: the method's default."""
    seed: int = 0


@dataclass
class Stage:
    """A stage that is done: what was done, its figures in words, and how long it took."""

    name: str
    figures: str
    seconds: float


@dataclass
class Tour:
    """A tour on its way, and what has come of it."""

    plan: Plan
    project: Project
    by: User
    model: ModelVersion
    stages: list[Stage] = field(default_factory=list)
    snapshot: DatasetSnapshot | None = None
    run: FinetuneRun | None = None
    evaluation: Evaluation | None = None
    result: Result | None = None

    @property
    def seconds(self) -> float:
        """How long it took by now."""
        return sum(stage.seconds for stage in self.stages)


OnProgress = Callable[[str, int, int], None]
"""Told a stage's name, how much of it is done, and how much there is."""


def begin(plan: Plan, by: User, at: datetime) -> Tour:
    """Make the tour's project with its prompts, some of them held out."""
    began = time.monotonic()
    model = prepare(at)
    project = create_project(
        f"Tour {timezone.localtime(at):%Y-%m-%d %H:%M}",
        Template.objects.get(key=TEMPLATE).latest(),
        by,
        at,
        guidelines=f"Simulated annotators rank here. They prefer {plan.taste}.",
        overlap=plan.annotators,
    )
    add_prompts(project, parse_file(PROMPTS.name, PROMPTS.read_bytes(), 2**20), at)
    held_out = Prompt.objects.held_out(project).count()
    tour = Tour(plan, project, by, model)
    shown = Prompt.objects.of_project(project).count() - held_out
    tour.stages.append(
        Stage("prompts", f"{shown} to learn from, {held_out} held out", time.monotonic() - began),
    )
    return tour


def run(tour: Tour, on_progress: OnProgress) -> Iterator[Stage]:
    """Do the stages that are left, and yield each as it ends. Raises TourStopped, and what the services raise."""
    for work in (_generate, _rank, _freeze, _teach, _evaluate):
        began = time.monotonic()
        figures = work(tour, on_progress)
        stage = Stage(work.__name__.lstrip("_"), figures, time.monotonic() - began)
        tour.stages.append(stage)
        yield stage


def _generate(tour: Tour, on_progress: OnProgress) -> str:
    wanted = -(-tour.plan.rankings // tour.plan.annotators)
    prompts = list(Prompt.objects.of_project(tour.project).filter(held_out=False)[:wanted])
    if len(prompts) < wanted:
        raise TourStopped(
            f"{tour.plan.rankings} rankings by {tour.plan.annotators} annotators need {wanted} prompts, and the tour "
            f"has {len(prompts)}. Ask for at most {len(prompts) * tour.plan.annotators} rankings."
        )
    asked = request_images(
        tour.project,
        tour.model,
        prompts,
        tour.by,
        timezone.now(),
        images_per_prompt=IMAGES_PER_PROMPT,
        settings_=RenderSettings(guidance_scale=VARIED),
    )
    for _ in _waiting(Job.objects.filter(chunk__request=asked)):
        now = GenerationRequest.objects.with_progress().get(pk=asked.pk)
        on_progress("images", now.images_done, now.images_total)
        if now.state == "done":
            break
        if now.state in {"failed", "cancelled"}:
            raise TourStopped(f"Images could not be made: {_first_failure(now)}")
    gather(timezone.now(), tour.project)
    return f"{asked.images_total} by {MODEL[0]}"


def _rank(tour: Tour, on_progress: OnProgress) -> str:
    plan = tour.plan
    made = simulation.start_simulation(
        tour.project,
        tour.by,
        timezone.now(),
        taste=plan.taste,
        rankings=plan.rankings,
        noise=plan.noise,
        annotators=plan.annotators,
        seed=plan.seed,
    )
    for _ in _waiting(Job.objects.filter(scorejob__request__project=tour.project)):
        simulation.advance(made, timezone.now())
        on_progress("rankings", made.done, plan.rankings)
        if made.finished_at is not None:
            break
    if made.done < plan.rankings:
        raise TourStopped(made.ended)
    given = Annotation.objects.collected(tour.project).count()
    return f"{given} by {plan.annotators} simulated annotators who prefer {plan.taste}, {plan.noise:.0%} noise"


def _freeze(tour: Tour, on_progress: OnProgress) -> str:
    taken = take_snapshot(tour.project, tour.by, timezone.now(), name="Tour", include_simulated=True)
    for _ in _waiting(Job.objects.filter(pk=taken.job_id)):
        taken.refresh_from_db()
        taken = DatasetSnapshot.objects.select_related("job").get(pk=taken.pk)
        on_progress("snapshot", taken.job.done, taken.job.total)
        if taken.state == "failed":
            raise TourStopped(f"The snapshot could not be frozen: {taken.error}")
        if taken.state == "frozen":
            break
    tour.snapshot = taken
    return f"{taken.total('rows')} items, {taken.total('pairs')} pairs, sha256 {taken.sha256[:12]}"


def _teach(tour: Tour, on_progress: OnProgress) -> str:
    assert tour.snapshot is not None
    run = start_finetune(
        tour.project,
        tour.by,
        timezone.now(),
        snapshot=tour.snapshot,
        base=tour.model,
        method=tour.plan.method,
        settings=TrainSettings(steps=tour.plan.steps, seed=tour.plan.seed),
    )
    for _ in _waiting(Job.objects.filter(pk=run.job_id)):
        run = FinetuneRun.objects.select_related("job", "made").get(pk=run.pk)
        on_progress("fine-tune", run.job.done, run.steps)
        if run.state in {"failed", "cancelled"}:
            raise TourStopped(f"The fine-tune did not succeed: {run.job.error or run.state}")
        if run.made is not None:
            break
    tour.run = run
    accuracy = run.values.get("held_out_implicit_accuracy", run.values.get("implicit_accuracy"))
    learned = "" if accuracy is None else f", implicit accuracy {accuracy:.2f}"
    return f"{tour.plan.method}, {run.steps_done} steps{learned}{'; ' + run.stopped if run.stopped else ''}"


def _evaluate(tour: Tour, on_progress: OnProgress) -> str:
    assert tour.run is not None
    assert tour.run.made is not None
    made = evaluations.start_evaluation(
        tour.project,
        tour.by,
        timezone.now(),
        a=tour.model,
        b=tour.run.made,
        images_per_prompt=tour.plan.compared,
        judges=f"simulated:{tour.plan.taste}",
        settings_=RenderSettings(guidance_scale=COMPARED),
    )
    for _ in _waiting(Job.objects.filter(scorejob__request=made.request_id)):
        now = Evaluation.objects.with_state().get(pk=made.pk)
        on_progress("evaluation", now.request.images_done + now.items_done, now.request.images_total + now.items_total)
        if now.finished_at is not None:
            break
        if now.state == "failed":
            raise TourStopped(now.problem or f"Images could not be made: {_first_failure(now.request)}")
        evaluations.advance_evaluation(now, timezone.now())
    tour.evaluation = now
    tour.result = result_of(now)
    rate = tour.result.tally.rate
    return (
        f"the taught model wins {percent(rate.estimate)}% ({percent(rate.low)} to {percent(rate.high)}) "
        f"of {tour.result.tally.votes} blind comparisons"
    )


def _first_failure(asked: GenerationRequest) -> str:
    found = failures(asked)
    return found[0].error if found else "they were cancelled"


def _waiting(jobs: QuerySet[Job]) -> Iterator[None]:
    """Come back a few times a second. Raises TourStopped where for a long while no worker has taken any of the jobs."""
    began = timezone.now()
    while True:
        yield
        time.sleep(POLL)
        if timezone.now() - began > PATIENCE and jobs.exists() and not jobs.filter(attempt__gt=0).exists():
            raise TourStopped(
                f"No worker has taken the work for {PATIENCE.seconds} s. Is Easel running? Start it with ./run up."
            )
