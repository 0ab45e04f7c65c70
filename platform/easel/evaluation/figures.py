"""What an evaluation has shown by now, read off annotations and scores: nothing of it is stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from easel.annotation.models import Annotation, Assignment, Item
from easel.evaluation.models import Evaluation, Score, ScoreJob
from easel.evaluation.results import Tally, Vote, by_category, by_item, in_words, score_of, tally
from easel.evaluation.unbiased import kind_of, weights
from easel.images.models import Candidate
from easel.training.models import FinetunePoint, FinetuneRun
from finetune.types import Judgement

if TYPE_CHECKING:  # it needs numpy, which a web process loads with the first page that shows figures
    from easel.preferences.intervals import Interval

ATTRIBUTES = ("subject", "style", "colour", "background")
CATEGORY = "category"
"""The key of a prompt's metadata that tells its category."""


@dataclass(frozen=True)
class Beside:
    """A figure of both models, and how the challenger's compares."""

    name: str
    a: float | None
    b: float | None
    meaning: str = ""
    is_share: bool = True
    part: bool = False
    """Whether it is a part of the figure above it."""

    @property
    def ratio(self) -> float | None:
        """The challenger's figure by the baseline's."""
        return self.b / self.a if self.a and self.b is not None and self.a > 0 else None


@dataclass(frozen=True)
class Result:
    """An evaluation's figures."""

    tally: Tally
    sentence: str
    categories: list[tuple[str, Tally]]
    agreement: Interval | None
    """How often two judges agree on a comparison, a tie against an order half; None where nobody judged the same."""
    beside: list[Beside]
    measuring: bool
    """Whether images are still being measured."""
    unmeasured: str
    """Why they could not be measured, or nothing."""
    votes: list[Vote] = field(repr=False)

    def beside_named(self, name: str) -> Beside | None:
        """The figure of that name."""
        return next((one for one in self.beside if one.name == name), None)


def tallies_of(evaluations: Collection[Evaluation]) -> dict[UUID, Tally]:
    """Return the votes alone, counted, of several evaluations by their ids."""
    return {pk: tally(votes) for pk, (votes, _) in _said_of(evaluations).items()}


def result_of(evaluation: Evaluation) -> Result:
    """Return what an evaluation has shown by now."""
    votes, judgements = _said_of([evaluation])[evaluation.pk]
    counted = tally(votes)
    jobs = ScoreJob.objects.filter(request=evaluation.request_id).exclude(judge="taste")
    dead = jobs.failed().first()
    return Result(
        tally=counted,
        sentence=in_words(counted, evaluation.a.name, evaluation.b.name),
        categories=by_category(votes),
        agreement=_agreement(judgements),
        beside=[
            *_fidelity(evaluation),
            *_diversity(evaluation),
            *_rewards(evaluation),
            *_implicit_accuracy(evaluation),
        ],
        measuring=jobs.open().exists(),
        unmeasured=dead.job.error if dead else "",
        votes=votes,
    )


Said = tuple[list[Vote], dict[str, list[Judgement]]]
"""The votes that count, and by item the judgements behind them; surplus answers count nowhere."""


def _said_of(evaluations: Collection[Evaluation]) -> dict[UUID, Said]:
    """Return what was said in each evaluation, by its id."""
    pairs = _pairs_of(evaluations)
    whose = {one.request_id: one.pk for one in evaluations}
    rules = {one.request_id: one.rule for one in evaluations}
    rows = (
        Annotation.objects.filter(
            item__request__in=whose, purpose=Item.Purpose.RANK, assignment__state=Assignment.State.SUBMITTED
        )
        .order_by("id")
        .values_list(
            "item__request",
            "item",
            "item__prompt",
            "item__prompt__metadata",
            "annotator",
            "ranking",
            "all_bad",
            "ties_are_equal",
        )
    )
    found: dict[UUID, Said] = {one.pk: ([], {}) for one in evaluations}
    answers: dict[UUID, list[tuple[int, Vote | None]]] = {}
    requests: dict[UUID, UUID] = {}
    for request, item, prompt, metadata, annotator, ranking, all_bad, equal in rows:
        if item not in pairs:
            continue
        a, b = map(str, pairs[item])
        requests[item] = request
        score = score_of(ranking, a, b, all_bad=all_bad)
        vote = Vote(str(item), str(prompt), category_of(metadata), str(annotator), score) if score is not None else None
        kind = kind_of(ranking, a, b, all_bad=all_bad, ties_are_equal=equal)
        answers.setdefault(item, []).append((kind, vote))
        if score is not None:
            groups = ((1,), (0,)) if score == 1 else ((0,), (1,)) if score == 0 else ((0, 1),)
            judgements = found[whose[request]][1]
            judgements.setdefault(str(item), []).append(Judgement(annotator=str(annotator), groups=groups))
    for item, said in answers.items():
        rule = rules[requests[item]]
        weighed = weights([kind for kind, _ in said], rule) if rule.lead else [1.0] * len(said)
        votes = found[whose[requests[item]]][0]
        votes += [replace(vote, weight=weight) for (_, vote), weight in zip(said, weighed, strict=True) if vote]
    return found


def category_of(metadata: dict[str, Any]) -> str:
    """Return a prompt's category, or nothing."""
    return str(metadata.get(CATEGORY, "") or "")[:100]


def _pairs_of(evaluations: Collection[Evaluation]) -> dict[UUID, tuple[UUID, UUID]]:
    """Return the two images of each comparison, by its item: a's, then b's."""
    models = {one.request_id: (one.a_id, one.b_id) for one in evaluations}
    found: dict[tuple[UUID, UUID], dict[UUID, UUID]] = {}
    links = Item.candidates.through.objects.filter(item__request__in=models, item__purpose=Item.Purpose.RANK)
    for request, item, candidate, model in links.values_list("item__request", "item", "candidate", "candidate__model"):
        found.setdefault((request, item), {})[model] = candidate
    pairs = {}
    for (request, item), images in found.items():
        a, b = models[request]
        if a in images and b in images:
            pairs[item] = (images[a], images[b])
    return pairs


def _agreement(judgements: dict[str, list[Judgement]]) -> Interval | None:
    shared = [said for said in judgements.values() if len(said) > 1]
    if not shared:
        return None
    from easel.preferences.agreement import measure

    return measure(shared).pairs


def _fidelity(evaluation: Evaluation) -> list[Beside]:
    """The share of what prompts say that the images show, by the referee; then each attribute by itself."""
    rows = Score.objects.by("referee").filter(candidate__request=evaluation.request_id)
    seen: dict[UUID, dict[str, list[float]]] = {evaluation.a_id: {}, evaluation.b_id: {}}
    for model, values in rows.values_list("candidate__model", "values"):
        said = {name: (values or {})[name] for name in ATTRIBUTES if name in (values or {})}
        if said and model in seen:
            seen[model].setdefault("all", []).append(sum(said.values()) / len(said))
            for name, right in said.items():
                seen[model].setdefault(name, []).append(right)
    a, b = seen[evaluation.a_id], seen[evaluation.b_id]
    if not a and not b:
        return []
    whole = Beside(
        "Prompt fidelity",
        _mean(a.get("all")),
        _mean(b.get("all")),
        "Share of what the prompts say that the images show, by a judge that nothing was taught with.",
    )
    parts = [
        Beside(name.capitalize(), _mean(a.get(name)), _mean(b.get(name)), f"{name} as the prompt says", part=True)
        for name in ATTRIBUTES
        if name in a or name in b
    ]
    return [whole, *parts]


def _diversity(evaluation: Evaluation) -> list[Beside]:
    found: dict[UUID, list[tuple[float, int]]] = {}
    parts = ScoreJob.objects.filter(request=evaluation.request_id, judge="referee", prompts__gt=0)
    for model, diversity, prompts in parts.exclude(diversity=None).values_list("model", "diversity", "prompts"):
        found.setdefault(model, []).append((diversity or 0.0, prompts))

    def mean(model: UUID) -> float | None:
        of = found.get(model)
        return sum(value * count for value, count in of) / sum(count for _, count in of) if of else None

    if not found:
        return []
    meaning = "Mean distance between the images of one prompt: 0 where all are alike."
    return [Beside("Diversity", mean(evaluation.a_id), mean(evaluation.b_id), meaning, is_share=False)]


def _rewards(evaluation: Evaluation) -> list[Beside]:
    rows = Score.objects.filter(
        candidate__request=evaluation.request_id, reward_model__isnull=False, values__isnull=False
    ).select_related("reward_model")
    found: dict[str, dict[UUID, list[float]]] = {}
    for name, model, values in rows.values_list("reward_model__name", "candidate__model", "values"):
        if values and "reward" in values:
            found.setdefault(name, {}).setdefault(model, []).append(values["reward"])
    return [
        Beside(
            "Reward score",
            _mean(of.get(evaluation.a_id)),
            _mean(of.get(evaluation.b_id)),
            f"Mean score by {name}: higher is better; only the difference means something.",
            is_share=False,
        )
        for name, of in found.items()
    ]


def _implicit_accuracy(evaluation: Evaluation) -> list[Beside]:
    """What their fine-tunes measured on validation prompts: of pairs, how many the model itself puts the right way."""
    found = {}
    for run in FinetuneRun.objects.filter(made__in=[evaluation.a_id, evaluation.b_id]).order_by("id"):
        values = {**FinetunePoint.objects.newest(run), **run.values}
        if "held_out_implicit_accuracy" in values:
            found[run.made_id] = values["held_out_implicit_accuracy"]
    if not found:
        return []
    meaning = "Share of held-out pairs that the model itself, against its base, puts the way people did."
    return [Beside("Implicit accuracy", found.get(evaluation.a_id), found.get(evaluation.b_id), meaning)]


def _mean(values: Sequence[float] | None) -> float | None:
    return sum(values) / len(values) if values else None


@dataclass(frozen=True)
class Pair:
    """The two images of a comparison and how it went."""

    prompt: str
    a: Candidate
    b: Candidate
    score: float | None
    """Mean of the votes on b; None: nobody has judged it."""

    @property
    def outcome(self) -> str:
        """won, lost or tied by b; waits."""
        if self.score is None:
            return "waits"
        return "won" if self.score > 0.5 else "lost" if self.score < 0.5 else "tied"


ORDERS = ("lost", "won", "tied", "all")


def comparisons(evaluation: Evaluation, votes: Sequence[Vote], order: str, start: int, count: int) -> list[Pair]:
    """Return some comparisons: where b lost, won or tied, the clearest first, or all in the order of the prompts."""
    scores = by_item(votes)
    pairs = _pairs_of([evaluation])
    of_evaluation = Item.objects.to_rank().filter(request=evaluation.request_id)
    items = list(of_evaluation.order_by("prompt", "group").values_list("pk", flat=True))
    shown = [pk for pk in items if pk in pairs]
    if order == "lost":
        shown = sorted((pk for pk in shown if scores.get(str(pk), 1) < 0.5), key=lambda pk: scores[str(pk)])
    elif order == "won":
        shown = sorted((pk for pk in shown if scores.get(str(pk), 0) > 0.5), key=lambda pk: -scores[str(pk)])
    elif order == "tied":
        shown = [pk for pk in shown if scores.get(str(pk)) == 0.5]
    wanted = shown[start : start + count]
    images = (
        Candidate.objects.defer("manifest")
        .select_related("prompt")
        .in_bulk([image for pk in wanted for image in pairs[pk]])
    )
    return [
        Pair(images[pairs[pk][0]].prompt.text, images[pairs[pk][0]], images[pairs[pk][1]], scores.get(str(pk)))
        for pk in wanted
    ]
