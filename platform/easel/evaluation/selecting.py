"""Which models a project's annotators compare next, where it asks for what tells most (`Project.Selection.ACTIVE`).

A round of the clock fits Davidson's model to the votes so far and stores how likely each matchup is to be drawn; the
queue draws by that, and then one of the matchup's items by chance.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from uuid import UUID

from django.db import connection, transaction

from easel.accounts.models import User
from easel.annotation.models import Annotation, Item, Matchup
from easel.evaluation.votes import ModelVote, votes_of
from easel.images.models import GenerationRequest
from easel.projects.models import Project
from easel.registry.models import ModelVersion

FRESH = 0.01
"""A new fit is due when there are more votes by this share: fits then cost no more as votes become many."""
# Each key has one step down the index, however many items there are.
_OPEN = """
    WITH RECURSIVE open (key, item) AS (
        (SELECT matchup, id FROM annotation_item WHERE {of_people} AND matchup > '' ORDER BY matchup LIMIT 1)
        UNION ALL
        SELECT next.matchup, next.id FROM open, LATERAL (
            SELECT matchup, id FROM annotation_item WHERE {of_people} AND matchup > open.key ORDER BY matchup LIMIT 1
        ) AS next
    )
    SELECT open.key, array_agg(DISTINCT candidate.model_id) FROM open
    JOIN annotation_item_candidates AS link ON link.item_id = open.item
    JOIN images_candidate AS candidate ON candidate.id = link.candidate_id
    GROUP BY open.key
"""
_OF_PEOPLE = """
    project_id = %(project)s AND state = 'ready' AND purpose = 'rank' AND matchup <> ''
    AND audience = ANY (%(audiences)s)
"""


def select(at: datetime) -> int:
    """Bring the probabilities of every project up to date; return how many projects had new ones. Idempotent."""
    projects = Project.objects.filter(selection=Project.Selection.ACTIVE, paused_at=None)
    return sum(select_matchups(project, at) for project in projects)


@dataclass(frozen=True)
class Asked:
    """What stands of a matchup where people look."""

    models: list[ModelVersion]
    votes: int
    probability: float


def asked_next(project: Project) -> list[Asked]:
    """Return what is asked next in a project that asks for what tells most, the likeliest first."""
    if project.selection != Project.Selection.ACTIVE:
        return []
    open_ = open_matchups(project)
    models = ModelVersion.objects.in_bulk({pk for of in open_.values() for pk in of})
    rows = Matchup.objects.filter(project=project, probability__gt=0).order_by("-probability", "id")
    return [
        Asked(sorted((models[pk] for pk in open_[one.key]), key=lambda model: model.name), one.votes, one.probability)
        for one in rows
        if one.key in open_
    ]


@transaction.atomic
def select_matchups(project: Project, at: datetime) -> bool:
    """Store how likely each matchup is to be drawn next; return whether there was anything new to reckon with."""
    # Two rounds at once would reckon the same: the second one leaves it.
    locked = Project.objects.select_for_update(no_key=True, skip_locked=True, of=("self",)).filter(pk=project.pk)
    if not locked:
        return False
    open_ = open_matchups(project)
    known = {one.key: one for one in Matchup.objects.filter(project=project)}
    drawn = {key for key, one in known.items() if one.probability > 0}
    if drawn == set(open_) and not _has_news(project, known.values()):
        return False
    rows = _reckoned(project, open_, known, votes_of(project, User.Kind.HUMAN), at)
    Matchup.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["project", "key"],
        update_fields=["votes", "information", "probability", "updated_at"],
    )
    return True


def open_matchups(project: Project) -> dict[str, tuple[UUID, ...]]:
    """Return the models of each matchup that has items left for people, by its key."""
    audiences = [GenerationRequest.Audience.ALL, GenerationRequest.Audience.PEOPLE]
    with connection.cursor() as cursor:
        cursor.execute(_OPEN.format(of_people=_OF_PEOPLE), {"project": project.pk, "audiences": audiences})
        return {key: tuple(sorted(models)) for key, models in cursor.fetchall()}


def _has_news(project: Project, known: Collection[Matchup]) -> bool:
    """Tell whether so much was voted since the last fit that another one is worth it."""
    if not known:
        return False
    since = max(one.updated_at for one in known)
    wanted = max(1, int(FRESH * sum(one.votes for one in known)))
    newest = Annotation.objects.filter(project=project, purpose=Item.Purpose.RANK).order_by("-id")
    oldest_of_them = newest.values_list("created_at", flat=True)[wanted - 1 : wanted]
    return any(created_at > since for created_at in oldest_of_them)


def _reckoned(
    project: Project,
    open_: dict[str, tuple[UUID, ...]],
    known: dict[str, Matchup],
    votes: list[ModelVote],
    at: datetime,
) -> list[Matchup]:
    """Return the matchups of a project, those without items too: these have probability 0."""
    import numpy as np

    from easel.annotation import selection
    from easel.preferences import davidson
    from easel.preferences.comparisons import Comparisons

    voted = {pk for one in votes for pk in (one.a, one.b)}
    ids = sorted(voted.union(*open_.values()))
    index = {pk: place for place, pk in enumerate(ids)}
    counted = Comparisons.of_votes(
        len(ids),
        [index[one.a] for one in votes],
        [index[one.b] for one in votes],
        [one.score for one in votes],
        [one.weight for one in votes],
    )
    fitted = davidson.fit(counted)
    number = np.zeros((len(ids), len(ids)))
    for vote in votes:
        number[index[vote.a], index[vote.b]] += 1
        number[index[vote.b], index[vote.a]] += 1
    asked = [selection.Matchup(tuple(index[pk] for pk in models), left=1) for models in open_.values()]
    chances = selection.chances(asked, fitted.log_worths, fitted.nu, number)
    rows = [
        Matchup(
            project=project,
            key=key,
            votes=int(sum(number[pair] for pair in combinations(one.models, 2))),
            information=chance.information / selection.AHEAD,
            probability=chance.probability,
            updated_at=at,
        )
        for key, one, chance in zip(open_, asked, chances, strict=True)
    ]
    # What has no items left keeps its votes, and is not drawn any more.
    gone = [
        Matchup(project=project, key=key, votes=one.votes, updated_at=at)
        for key, one in known.items()
        if key not in open_
    ]
    return rows + gone
