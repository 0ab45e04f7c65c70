"""Annotations straight into the tables, many at once: people of different kinds who rank the same items."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from easel.accounts.models import User
from easel.annotation.models import Annotation, Assignment, Gold, Item
from easel.projects.models import Project

from tests.cast import Cast, make_items, make_user

Judge = Callable[[random.Random, Sequence[UUID]], list[list[str]]]
"""Ranks the images as they are shown."""


def honest(noise: float = 0.6) -> Judge:
    """Ranks by the images' ids, which stand for their true order, with mistakes."""

    def judge(chance: random.Random, shown: Sequence[UUID]) -> list[list[str]]:
        worth = {pk: place + chance.gauss(0, noise) for place, pk in enumerate(sorted(shown))}
        return [[str(pk)] for pk in sorted(shown, key=worth.__getitem__)]

    return judge


def guesser(chance: random.Random, shown: Sequence[UUID]) -> list[list[str]]:
    """Ranks by chance."""
    return [[str(pk)] for pk in chance.sample(list(shown), len(shown))]


def left_clicker(chance: random.Random, shown: Sequence[UUID]) -> list[list[str]]:
    """Ranks the images as they stand."""
    return [[str(pk)] for pk in shown]


def answer(
    items: Sequence[Item],
    who: User,
    judge: Judge,
    at: datetime,
    *,
    seed: int = 0,
    active_ms: int = 9_000,
    apart: timedelta = timedelta(minutes=1),
    **others: object,
) -> list[Annotation]:
    """Have somebody answer items, the last of them at a moment."""
    chance = random.Random(f"{seed} {who.username}")
    candidates = _candidates(items)
    assignments, annotations = [], []
    for number, item in enumerate(items):
        moment = at - apart * (len(items) - 1 - number)
        shown = chance.sample(candidates[item.pk], len(candidates[item.pk]))
        assignment = Assignment(
            item=item, annotator=who, state="submitted", shown_order=shown, expires_at=moment, created_at=moment
        )
        assignments.append(assignment)
        annotations.append(
            Annotation(
                assignment=assignment,
                project_id=item.project_id,
                item=item,
                annotator=who,
                answers={},
                ranking=judge(chance, shown),
                active_ms=int(active_ms * chance.uniform(0.5, 1.5)),
                body_hash="",
                purpose=item.purpose,
                created_at=moment,
                **{name: value(number) if callable(value) else value for name, value in others.items()},
            )
        )
    Assignment.objects.bulk_create(assignments, batch_size=1_000)
    return Annotation.objects.bulk_create(annotations, batch_size=1_000)


def _candidates(items: Sequence[Item]) -> dict[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    links = Item.candidates.through.objects.filter(item__in=[item.pk for item in items])
    # In the order of their worth, so that the seed alone decides what is answered, whatever ids were drawn.
    for item, candidate in links.order_by("candidate").values_list("item", "candidate"):
        found.setdefault(item, []).append(candidate)
    return found


def copies(items: Sequence[Item], purpose: str, at: datetime) -> list[Item]:
    """Make gold or repeats of items."""
    made = [
        Item(
            project_id=item.project_id,
            prompt_id=item.prompt_id,
            request_id=item.request_id,
            template_version_id=item.template_version_id,
            group=item.group,
            purpose=purpose,
            original=item,
            overlap=100,
            created_at=at,
        )
        for item in items
    ]
    Item.objects.bulk_create(made)
    candidates, through = _candidates(items), Item.candidates.through
    through.objects.bulk_create(
        through(item_id=copy.pk, candidate_id=pk)
        for copy, item in zip(made, items, strict=True)
        for pk in candidates[item.pk]
    )
    return made


def crowd(cast: Cast, at: datetime, *, items: int = 60, repeats: int = 24) -> dict[str, User]:
    """Five people rank the same items, meet the same gold and the same repeats: three honest ones, a guesser, and one
    who clicks from left to right.
    """
    made = make_items(cast, items)
    project = cast.project
    judges: dict[str, Judge] = {
        "hana": honest(),
        "ivo": honest(),
        "jon": honest(0.9),
        "gus": guesser,
        "lea": left_clicker,
    }
    people = {name: make_user(name, project) for name in judges}
    gold = copies(made[:20], Item.Purpose.GOLD, at)
    known: dict[str, object] = {"pairs": [], "all_bad": None}
    Gold.objects.bulk_create(
        Gold(item=one, project=project, source=Gold.Source.HAND, answer=known, created_at=at) for one in gold
    )
    again = copies(made[:repeats], Item.Purpose.REPEAT, at)
    for name, judge in judges.items():
        who = people[name]
        took = 2_000 if name == "lea" else 9_000
        right = {"hana": 20, "ivo": 19, "jon": 20, "gus": 7, "lea": 8}[name]
        answer(made, who, judge, at, active_ms=took)
        answer(gold, who, judge, at, passed=lambda number, right=right: number < right)
        answer(again, who, judge, at, seed=1, active_ms=took)
    Item.objects.filter(pk__in=[item.pk for item in made]).update(votes=len(judges), state=Item.State.DONE)
    return people


def simulated(cast: Cast, items: Sequence[Item], at: datetime, name: str = "robot") -> User:
    """A simulated annotator answers items."""
    who = make_user(name, cast.project, kind=User.Kind.SIMULATED)
    answer(items, who, honest(0.1), at)
    return who


def project_of(cast: Cast) -> Project:
    """The project as it is stored."""
    return Project.objects.get(pk=cast.project.pk)
