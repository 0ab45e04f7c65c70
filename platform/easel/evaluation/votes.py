"""Blind votes between models: what the leaderboard is fitted to.

A vote counts where images of different models stood side by side under the same prompt and seed: in evaluations, and in
comparisons that people asked for. Rankings of one model's own images say nothing about models. Votes of people and of
simulated annotators never share a board.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

from django.db.models import QuerySet

from easel.annotation.models import Annotation, Assignment, Item
from easel.annotation.models.items import rule_of
from easel.annotation.stopping import Rule
from easel.evaluation.results import score_of
from easel.evaluation.unbiased import kind_of, weights
from easel.projects.models import Project

PAGE = 2_000


@dataclass(frozen=True, slots=True)
class ModelVote:
    """What one answer says of two models."""

    a: UUID
    b: UUID
    score: float
    """Of a: 1 it won, 0.5 a tie, 0 it lost."""
    prompt: UUID
    weight: float
    """1 on average."""
    drawn: float | None
    """How likely its two models were to be drawn, where they were drawn by what votes tell; None: they were not."""


@dataclass(slots=True)
class _Answers:
    """What was answered about one item."""

    prompt: UUID
    rule: Rule
    said: list[tuple[list[list[str]], bool, bool, float | None]]
    """Each ranking, whether all are bad, whether those that share a place are equal, and how likely it was drawn."""


def votes_of(project: Project, kind: str) -> list[ModelVote]:
    """Return the votes of people, or of simulated annotators, between each two models that an answer compares.

    Items of two images whose number of votes hung on what these were have weights that make up for it (`unbiased`); the
    votes of items with more images count 1 each, as those of items with a fixed number do.
    """
    compared = _compared(project)
    models: dict[UUID, dict[str, UUID]] = {}
    links = Item.candidates.through.objects.filter(item__in=compared)
    for item, candidate, model in links.values_list("item", "candidate", "candidate__model").iterator(PAGE):
        models.setdefault(item, {})[str(candidate)] = model
    answers = _answers(project, kind)
    weighed = {item: _weights(one, sorted(models.get(item, {}))) for item, one in answers.items()}
    scale = _scale(answers, weighed)
    return [
        ModelVote(a, b, score, one.prompt, 1.0 if weight is None else weight * scale[one.rule], drawn)
        for item, one in answers.items()
        for (a, b, score), weight, drawn in _pairs(one, models.get(item, {}), weighed[item])
    ]


def _compared(project: Project) -> QuerySet[Item]:
    """A project's comparisons; for use within others, for an item of three models stands here twice."""
    return Item.objects.to_rank().filter(project=project, request__compared__isnull=False)


def _answers(project: Project, kind: str) -> dict[UUID, _Answers]:
    """Return what counts of the answers about a project's comparisons, by item."""
    rows = (
        Annotation.objects.filter(
            item__in=_compared(project), annotator__kind=kind, assignment__state=Assignment.State.SUBMITTED
        )
        .order_by("id")
        .values_list(
            "item", "item__prompt", "item__overlap", "item__overlap_lead", "item__overlap_cap", "ranking", "all_bad",
            "ties_are_equal", "assignment__probability",
        )
    )  # fmt: skip
    found: dict[UUID, _Answers] = {}
    usual = rule_of(project)
    for item, prompt, overlap, lead, cap, ranking, all_bad, equal, drawn in rows.iterator(PAGE):
        if item not in found:
            found[item] = _Answers(prompt, Rule(overlap, lead, cap) if overlap else usual, [])
        found[item].said.append((ranking, all_bad, equal, drawn))
    return found


def _weights(answers: _Answers, images: list[str]) -> list[float] | None:
    """Return what the answers weigh together 1; None where each counts as it is."""
    if not answers.rule.lead or len(images) != 2:
        return None
    kinds = [
        kind_of(ranking, images[0], images[1], all_bad=all_bad, ties_are_equal=equal)
        for ranking, all_bad, equal, _ in answers.said
    ]
    return weights(kinds, answers.rule)


def _scale(answers: dict[UUID, _Answers], weighed: dict[UUID, list[float] | None]) -> dict[Rule, float]:
    """Return how many votes items of a rule have on average: so much each of them weighs."""
    votes: dict[Rule, list[int]] = {}
    for item, one in answers.items():
        if weighed[item] is not None:
            votes.setdefault(one.rule, []).append(len(one.said))
    return {rule: sum(some) / len(some) for rule, some in votes.items()}


def _pairs(
    answers: _Answers, models: dict[str, UUID], weighed: list[float] | None
) -> Iterator[tuple[tuple[UUID, UUID, float], float | None, float | None]]:
    """Yield (a, b, score of a) of every two models that answers compare, its weight, and how likely its draw was."""
    for place, (ranking, all_bad, equal, drawn) in enumerate(answers.said):
        for one, other in combinations(sorted(models), 2):
            a, b = models[one], models[other]
            score = score_of(ranking, other, one, all_bad=all_bad, ties_are_equal=equal)
            if score is not None and a != b:
                yield (a, b, score), weighed[place] if weighed else None, drawn
