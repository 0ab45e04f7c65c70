"""The loop as it stands: rounds, models, win rates over rounds, and the next sensible step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from easel.annotation.models import Annotation
from easel.annotation.progress import MANY
from easel.evaluation.figures import tallies_of
from easel.evaluation.models import Evaluation, Promotion
from easel.evaluation.results import Tally
from easel.images.models import GenerationRequest
from easel.projects.models import Project
from easel.registry.models import ModelVersion
from easel.snapshots.models import DatasetSnapshot
from easel.training.models import FinetuneRun

ROUNDS = 8
"""Rounds that are shown, the newest."""


@dataclass(frozen=True)
class Round:
    """A fine-tune, what it learned from, what it made, and whether that was better."""

    run: FinetuneRun
    rankings: int
    """Judgements in its snapshot."""
    evaluation: Evaluation | None
    """The newest of the model that it made."""
    tally: Tally | None
    promoted: bool

    @property
    def height(self) -> float:
        """Its win rate on the chart: of 40 units."""
        rate = self.tally.rate.estimate if self.tally else None
        return 40 * rate if rate is not None else 0.0


@dataclass(frozen=True)
class Loop:
    """What the overview shows beyond prompts, images and rankings."""

    rounds: list[Round]
    """Oldest first."""
    models: int
    """Model versions that fine-tunes of this project made; reward models are not counted."""
    snapshots: int
    evaluations: int
    generator: ModelVersion | None
    training: FinetuneRun | None
    """The newest run that waits, runs or rests."""
    newest: Evaluation | None
    newest_tally: Tally | None
    to_evaluate: ModelVersion | None
    """The newest model that was made, where nobody has compared it yet."""
    to_promote: Evaluation | None
    """The newest evaluation, where it found its challenger better and that was never promoted."""
    judging: Evaluation | None
    untrained: DatasetSnapshot | None
    """The newest snapshot, where nothing was trained on it."""
    freezing: bool
    unfrozen: int
    """Rankings that came after the newest snapshot, counted up to `MANY`."""
    new_generator: bool
    """Whether a model was promoted and has made no images since."""

    @property
    def unfrozen_is_more(self) -> bool:
        """Whether more may have come than were counted."""
        return self.unfrozen == MANY

    @property
    def judged(self) -> list[Round]:
        """The rounds that have a win rate."""
        return [one for one in self.rounds if one.tally is not None and one.tally.votes]

    @property
    def live(self) -> bool:
        """Whether a page should look again soon."""
        return self.freezing or (self.training is not None and self.training.state in {"queued", "running"})


def loop_of(project: Project) -> Loop:
    """Return how far a project's loop has come."""
    runs = list(FinetuneRun.objects.of_project(project).exclude(method=FinetuneRun.Method.REWARD)[:ROUNDS])
    evaluations = list(Evaluation.objects.of_project(project)[:50])
    promoted = dict(Promotion.objects.filter(project=project).order_by("id").values_list("model", "created_at"))
    newest = evaluations[0] if evaluations else None
    newest_of = {one.b_id: one for one in reversed(evaluations)}
    shown = [newest_of[run.made_id] for run in runs if run.made_id in newest_of]
    tallies = tallies_of({one.pk: one for one in (*shown, *evaluations[:1])}.values())
    rounds = [_round(run, newest_of, tallies, promoted) for run in reversed(runs)]
    newest_tally = tallies[newest.pk] if newest else None
    snapshot = DatasetSnapshot.objects.frozen(project).first()
    of_images = Annotation.objects.collected(project).filter(item__request__isnull=False)
    rankings = of_images.exclude(item__request__kind=GenerationRequest.Kind.EVALUATION)
    made = next((run.made for run in runs if run.made), None)
    compared = {one.b_id for one in evaluations} | {one.a_id for one in evaluations}
    is_better = newest is not None and newest_tally is not None and newest_tally.outcome == "better"
    last_round = GenerationRequest.objects.filter(project=project, kind=GenerationRequest.Kind.RENDER).order_by("-id")
    last_promotion = max(promoted.values(), default=None)
    return Loop(
        rounds=rounds,
        models=FinetuneRun.objects.filter(project=project, made__isnull=False)
        .exclude(method=FinetuneRun.Method.REWARD)
        .count(),
        snapshots=DatasetSnapshot.objects.frozen(project).count(),
        evaluations=Evaluation.objects.filter(project=project).count(),
        generator=project.generator,
        training=FinetuneRun.objects.unfinished(project).with_parts().order_by("-id").first(),
        newest=newest,
        newest_tally=newest_tally,
        to_evaluate=made if made is not None and made.pk not in compared else None,
        to_promote=newest if newest and is_better and newest.state == "done" and newest.b_id not in promoted else None,
        judging=newest if newest and newest.state in {"generating", "judging"} else None,
        untrained=snapshot if snapshot and not snapshot.finetunes.exists() else None,
        freezing=any(one.live for one in DatasetSnapshot.objects.of_project(project)[:3]),
        unfrozen=(rankings.filter(created_at__gt=snapshot.created_at) if snapshot else rankings)[:MANY].count(),
        new_generator=last_promotion is not None and _before(last_round.first(), last_promotion),
    )


def _before(request: GenerationRequest | None, moment: datetime) -> bool:
    return request is None or request.created_at < moment


def _round(
    run: FinetuneRun,
    newest_of: Mapping[UUID, Evaluation],
    tallies: Mapping[UUID, Tally],
    promoted: Mapping[UUID, datetime],
) -> Round:
    found = newest_of.get(run.made_id) if run.made_id else None
    return Round(
        run=run,
        rankings=run.snapshot.total("judgements"),
        evaluation=found,
        tally=tallies[found.pk] if found else None,
        promoted=run.made_id is not None and run.made_id in promoted,
    )


def next_of(step: str, loop: Loop) -> str:
    """Return what the loop needs next, where its prompts, images and rankings need nothing (`step` is export).

    training, freezing, judging: wait for it. promote, evaluate, round, finetune, snapshot: to be done. Else export.
    """
    if step != "export":
        return step
    answers = {
        "training": loop.training is not None,
        "freezing": loop.freezing,
        "judging": loop.judging is not None,
        "promote": loop.to_promote is not None,
        "evaluate": loop.to_evaluate is not None,
        "round": loop.new_generator,
        "finetune": loop.untrained is not None,
        "snapshot": loop.unfrozen > 0,
    }
    return next((name for name, needed in answers.items() if needed), "export")
