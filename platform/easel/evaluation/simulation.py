"""Simulated annotators at work: accounts of their own that lease and submit as people do."""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.text import slugify

from easel.accounts.models import User
from easel.accounts.roles import Role
from easel.accounts.services import create_user
from easel.annotation.access import assignment_for
from easel.annotation.models import Assignment, Item
from easel.annotation.services import lease_next, skip, submit
from easel.common.broker import send_on_commit
from easel.common.errors import Conflict, InvalidInput
from easel.evaluation.models import Evaluation, Score, ScoreJob, Simulation
from easel.evaluation.scoring import ADVANCE, knows, request_scores
from easel.evaluation.tastes import MAX_NOISE, TASTES, ranking
from easel.forms.components.ranking import Ranking
from easel.forms.definition import Definition
from easel.forms.models import form_of
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Membership, Project
from easel.projects.services import add_member
from easel.registry.models import ModelVersion
from finetune.types import Judge

TASTE: Judge = "taste"
MAX_ANNOTATORS = 20
MAX_RANKINGS = 100_000
BATCH = 20
"""Rankings of one transaction."""
TIES = 0.1
NOISE = 0.2
FILLED = {"textarea": "A simulated annotator ranked this.", "all_bad": False}
"""What they answer to other components that are required."""


@transaction.atomic
def start_simulation(
    project: Project,
    by: User,
    at: datetime,
    *,
    taste: str,
    rankings: int,
    noise: float = NOISE,
    ties: float = TIES,
    annotators: int = 3,
    seed: int = 0,
    evaluation: Evaluation | None = None,
) -> Simulation:
    """Send simulated annotators to a project's items, or to an evaluation's. Their accounts are made where missing.

    Raises InvalidInput for a taste that does not exist, shares that are none, a form that they cannot fill in, and
    images that their judge knows nothing about.
    """
    _refuse_what_cannot_be(taste, rankings, noise, ties, annotators)
    if reason := _unanswerable(project.template_version.form):
        raise InvalidInput(reason)
    if evaluation is None:
        _refuse_unknown_pictures(project, taste)
    simulation = Simulation.objects.create(
        project=project,
        evaluation=evaluation,
        taste=taste,
        noise=noise,
        ties=ties,
        rankings=rankings,
        seed=seed,
        created_by=by,
        created_at=at,
    )
    people = [_account(taste, noise, number) for number in range(1, annotators + 1)]
    members = set(Membership.objects.filter(project=project, user__in=people).values_list("user", flat=True))
    for one in people:
        if one.pk not in members:
            add_member(project, one, Role.ANNOTATOR, at)
    simulation.annotators.set(people)
    send_on_commit(ADVANCE)
    return simulation


def _refuse_what_cannot_be(taste: str, rankings: int, noise: float, ties: float, annotators: int) -> None:
    if taste not in TASTES:
        message = f"There is no taste {taste[:40]!r}; choose one of {', '.join(TASTES)}."
        raise InvalidInput(message, fields={"taste": [message]})
    bounds = {
        "noise": (noise, 0, MAX_NOISE, "the share of pairs that come out the wrong way round"),
        "ties": (ties, 0, 1, "how near two images are liked to share a place"),
        "annotators": (annotators, 1, MAX_ANNOTATORS, "how many simulated annotators rank"),
        "rankings": (rankings, 1, MAX_RANKINGS, "how many rankings they give together"),
    }
    for name, (value, low, high, meaning) in bounds.items():
        if not low <= value <= high:
            message = f"{name} is {value:g}; it is {meaning}, from {low} to {high:,}."
            raise InvalidInput(message, fields={name: [message]})


def _unanswerable(form: Definition) -> str:
    """Say why simulated annotators cannot fill in a form, or ""."""
    if form.first("ranking") is None:
        return "The project's form has no ranking, so there is nothing that they could answer."
    for part in form.walk():
        if part.required and part.answers and part.type not in {"ranking", *FILLED}:
            return f"The project's form requires an answer to {part.name!r}, which simulated annotators cannot give."
    return ""


def _refuse_unknown_pictures(project: Project, taste: str) -> None:
    """The judge `taste` was trained on the built-in model's pictures: of others it tells nonsense."""
    if taste not in TASTES or not TASTES[taste].measure:
        return
    ready = Candidate.objects.filter(items__in=_items(project, None))
    for model in ModelVersion.objects.filter(pk__in=ready.values("model")):
        if not knows(model):
            message = (
                f"Items with images of {model.name} wait to be ranked, and simulated annotators know the pictures of "
                "the built-in model only. Let people rank them, or use the taste careless."
            )
            raise InvalidInput(message, fields={"taste": [message]})


def _account(taste: str, noise: float, number: int) -> User:
    """Return the account of a simulated annotator: those of one taste and noise are the same in every project."""
    name = f"simulated-{slugify(taste)}-{round(noise * 100)}-{number}"
    found = User.objects.filter(username=name).first()
    if found is None:
        return create_user(name, None, kind=User.Kind.SIMULATED)
    if found.kind != User.Kind.SIMULATED:
        raise Conflict(f"The account {name!r} is a person's; simulated annotators need the name. Rename the account.")
    return found


def _items(project: Project, evaluation: Evaluation | None) -> QuerySet[Item]:
    """Items that wait to be ranked by simulated annotators, those that come first, first."""
    rows = Item.objects.to_rank().filter(project=project, state=Item.State.READY)
    waiting = rows.filter(request__isnull=False).order_by("-priority", "id")  # a text has no images
    if evaluation is not None:
        return waiting.filter(request=evaluation.request_id)
    return waiting.filter(audience=GenerationRequest.Audience.ALL)


def advance(simulation: Simulation, at: datetime) -> int:
    """Have the annotators rank whatever can be ranked by now; return how many rankings that were.

    What their judge has not seen is measured first; they come back to it.
    """
    if simulation.finished_at is not None:
        return 0
    if simulation.needs_scores:
        left = simulation.rankings - simulation.done
        items = list(_items(simulation.project, simulation.evaluation).values_list("pk", flat=True)[:left])
        unseen = Candidate.objects.filter(items__in=items).exclude(scores__judge=TASTE).distinct()
        request_scores(unseen, at, judge=TASTE)
    given = 0
    while some := _rank_some(simulation.pk, at):
        given += some
    simulation.refresh_from_db()
    return given


@transaction.atomic
def _rank_some(pk: UUID, at: datetime) -> int:
    """Rank a few items, one annotator after the other. Whoever comes while another does this is not needed."""
    mine = Simulation.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    simulation = mine.select_related("project__template_version", "evaluation").filter(pk=pk, finished_at=None).first()
    if simulation is None:
        return 0
    people = list(simulation.annotators.order_by("username"))
    request = simulation.evaluation.request_id if simulation.evaluation else None
    given = idle = waiting = 0
    while given < min(BATCH, simulation.rankings - simulation.done) and idle < len(people):
        number = (simulation.done + given + idle) % len(people)
        assignment = lease_next(simulation.project, people[number], at, request=request)
        if assignment is not None and _unanswerable(form_of(assignment.item.template_version_id)):
            skip(assignment, "other")  # made for an earlier form of the project; people answer it
            continue
        answers = _answers(simulation, number, assignment) if assignment else None
        if assignment is None or answers is None:
            idle += 1
            waiting += assignment is not None
            continue
        submit(assignment_for(people[number], assignment.pk, lock=True), answers, 0, at)
        given, idle, waiting = given + 1, 0, 0
    simulation.done += given
    changes: dict[str, Any] = {"done": simulation.done}
    if simulation.done >= simulation.rankings:
        changes["finished_at"] = at
    elif idle and (reason := _nothing_to_come(simulation, waiting=waiting > 0)):
        changes |= {"finished_at": at, "ended": reason[:500]}
    Simulation.objects.filter(pk=pk).update(**changes)
    return given


def _answers(simulation: Simulation, number: int, assignment: Assignment) -> dict[str, Any] | None:
    """Return what an annotator answers, or None where an image is not measured yet.

    The same images and the same seed give the same answer, whenever and in whatever order they are shown.
    """
    candidates = list(Candidate.objects.filter(pk__in=assignment.shown_order).order_by("position"))
    scores = Score.objects.of([one.pk for one in candidates], TASTE) if simulation.needs_scores else {}
    if simulation.needs_scores and len(scores) < len(candidates):
        return None
    form = form_of(assignment.item.template_version_id)
    part = next(part for part in form.walk() if isinstance(part, Ranking))
    pictures = ",".join(one.sha256 for one in candidates)
    said = ranking(
        [scores.get(one.pk, {}) for one in candidates],
        simulation.taste,
        simulation.noise,
        simulation.ties,
        Random(f"{simulation.seed}/{number}/{pictures}"),  # noqa: S311 -- reproducible chance is the point
        levels=len(part.buckets) or (part.levels if part.ties else None),
    )
    groups = said if part.ties or part.buckets else [[image] for group in said for image in group]
    groups = [*groups, *([] for _ in range(len(part.buckets) - len(groups)))]  # the lowest buckets stay empty
    filled = {one.name: FILLED[one.type] for one in form.walk() if one.required and one.type in FILLED}
    return {**filled, part.name: [[str(candidates[image].pk) for image in group] for group in groups]}


def _nothing_to_come(simulation: Simulation, *, waiting: bool) -> str:
    """Say why the annotators will never have more to rank, or nothing where they may."""
    if waiting:
        parts = ScoreJob.objects.filter(judge=TASTE, request__project=simulation.project)
        if parts.open().exists():
            return ""
        dead = parts.failed().first()
        return f"Images could not be measured: {dead.job.error}" if dead else ""
    requests = GenerationRequest.objects.ungathered(simulation.project).with_progress()
    if simulation.evaluation is not None:
        requests = requests.filter(pk=simulation.evaluation.request_id)
    else:
        requests = requests.filter(audience=GenerationRequest.Audience.ALL)
    if any(one.state in {"queued", "running", "paused", "done"} for one in requests):
        return ""
    return f"Nothing was left to rank after {simulation.done:,} of {simulation.rankings:,} rankings."


def end(simulation: Simulation, at: datetime, why: str) -> bool:
    """End a simulation before it is done; what was ranked stays. Returns whether it was still going on."""
    mine = Simulation.objects.filter(pk=simulation.pk, finished_at=None)
    return bool(mine.update(finished_at=at, ended=why[:500]))


def cancel(simulation: Simulation, at: datetime) -> None:
    """End a simulation. Raises Conflict where it is over."""
    if not end(simulation, at, "Cancelled."):
        raise Conflict("These simulated annotators are finished; there is nothing to cancel.")
