"""How items reach people: how many each needs, what is given by hand, and what is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from random import SystemRandom
from uuid import UUID

from django.db import transaction
from django.db.models import F

from easel.accounts.models import User
from easel.annotation.counting import Count, count, store_counts, verdicts_of
from easel.annotation.models import Assignment, Item, Recount, rule_of
from easel.annotation.models.items import ItemQuerySet
from easel.annotation.stopping import Rule
from easel.common.broker import send_on_commit
from easel.common.errors import InvalidInput
from easel.projects.models import Membership, Project

RECOUNT = "easel.annotation.recount"
PAGE = 1_000  # items that are recounted in one transaction
MAX_OVERLAP = 50
MAX_BY_HAND = 1_000


@transaction.atomic
def change_overlap(project: Project, rule: Rule, at: datetime) -> None:
    """Change how many annotators each item of a project needs. Items follow in the background: see `Recount`.

    Nothing that was answered is lost: items that have enough by the new rule are done, the others are open again.
    Raises InvalidInput for a rule that cannot be, or that needs more annotators than the project has.
    """
    refuse_overlap(project, rule)
    Project.objects.filter(pk=project.pk).update(
        overlap=rule.start, overlap_lead=int(rule.lead), overlap_cap=rule.cap if rule.lead else F("overlap_cap")
    )
    Recount.objects.update_or_create(
        project=project,
        defaults={"after": None, "done": 0, "total": _followers(project).count(), "started_at": at},
    )
    send_on_commit(RECOUNT)


def refuse_overlap(project: Project, rule: Rule) -> None:
    """Raise InvalidInput for a rule that cannot be, or that needs more annotators than the project has."""
    problems: dict[str, str] = {}
    if not 1 <= rule.start <= MAX_OVERLAP:
        problems["overlap"] = f"{rule.start} annotators an item cannot be; choose 1 to {MAX_OVERLAP}."
    if rule.lead and not rule.start <= rule.cap <= MAX_OVERLAP:
        problems["overlap_cap"] = f"At most {rule.cap} annotators is less than the first {rule.start}; raise it."
    if rule.lead and rule.lead > max(rule.cap, 1):
        problems["overlap_lead"] = f"A lead of {rule.lead:g} is never reached by {rule.cap} annotators; lower it."
    people = Membership.objects.rankers(project).filter(user__kind=User.Kind.HUMAN).count()
    wanted = rule.cap if rule.lead else rule.start
    if not problems and wanted > max(people, 1):
        has = "1 person who ranks" if people == 1 else f"{people} people who rank"
        name = "overlap_cap" if rule.lead else "overlap"
        problems[name] = (
            f"{wanted} annotators an item are too many: the project has {has}. Invite more, or ask for less."
        )
    if problems:
        raise InvalidInput(" ".join(problems.values()), fields={name: [said] for name, said in problems.items()})


def _followers(project: Project) -> ItemQuerySet:
    """The items that follow the project's rule: all that have none of their own."""
    return Item.objects.to_rank().filter(project=project, overlap=None)


def recount_all(at: datetime) -> int:
    """Go on with every change of overlap that is on its way; return how many items were recounted. Idempotent."""
    done = 0
    for pk in Recount.objects.values_list("pk", flat=True):
        while some := _recount_some(pk):
            done += some
    return done


@transaction.atomic
def _recount_some(pk: UUID) -> int:
    """Recount a page of a project's items. Whoever comes while another does this is not needed."""
    change = Recount.objects.select_for_update(skip_locked=True, no_key=True, of=("self",)).filter(pk=pk).first()
    if change is None:
        return 0
    project = Project.objects.get(pk=pk)
    rule = rule_of(project)
    rows = _followers(project).order_by("id")
    if change.after is not None:
        rows = rows.filter(pk__gt=change.after)
    # Submissions lock their item as well, and read the rule under it: none is counted by the old rule after this.
    items = list(rows.select_for_update(no_key=True).only("id", "state", "votes", "lead", "wants")[:PAGE])
    if not items:
        change.delete()
        return 0
    said = verdicts_of([item.pk for item in items if item.votes])
    counts = {item.pk: count(rule, said.get(item.pk, []), item.state) for item in items}
    store_counts(
        {
            item.pk: counts[item.pk]
            for item in items
            if Count(item.votes, item.lead, item.wants or 0, item.state) != counts[item.pk]
        }
    )
    Recount.objects.filter(pk=pk).update(after=items[-1].pk, done=F("done") + len(items))
    return len(items)


@transaction.atomic
def assign(items: Sequence[UUID], annotator: User, project: Project, by: User, at: datetime, due: datetime) -> int:
    """Give items to an annotator by hand, until they are due; return how many they had not had yet.

    They come first in the annotator's queue and are held for them: nobody else takes their place until then. Items
    that have enough annotators wait for this one too. Raises InvalidInput for one who cannot rank here, for items of
    another project, for too many at once, and for a date that has passed.
    """
    if due <= at:
        raise InvalidInput("The due date has passed; choose a later one.", fields={"due": ["has passed"]})
    if len(items) > MAX_BY_HAND:
        raise InvalidInput(
            f"{len(items):,} items are too many to give by hand at once; choose {MAX_BY_HAND:,} or fewer."
        )
    if not Membership.objects.rankers(project).filter(user=annotator).exists():
        raise InvalidInput(
            f"{annotator.display_name} does not rank in this project.", fields={"annotator": ["cannot rank"]}
        )
    had = Assignment.objects.filter(annotator=annotator, item__in=items).values("item")
    rows = Item.objects.to_rank().filter(project=project, pk__in=items).exclude(state=Item.State.ASIDE)
    found = list(rows.exclude(pk__in=had).select_for_update(no_key=True).prefetch_related("candidates"))
    Assignment.objects.bulk_create(
        Assignment(
            item=item,
            annotator=annotator,
            shown_order=shuffled([one.pk for one in item.candidates.all()]),
            expires_at=due,
            assigned_by=by,
            created_at=at,
        )
        for item in found
    )
    enough = [item.pk for item in found if item.state == Item.State.DONE]
    Item.objects.filter(pk__in=enough).update(state=Item.State.READY, wants=F("votes") + 1)
    return len(found)


def shuffled(candidates: Sequence[UUID]) -> list[UUID]:
    """Return images in an order drawn by chance."""
    return SystemRandom().sample(candidates, len(candidates))


@transaction.atomic
def release(project: Project, annotator: User, at: datetime) -> int:
    """Let go of what an annotator holds open, so that others get it at once; return how many items."""
    rows = Assignment.objects.filter(item__project=project, annotator=annotator, state=Assignment.State.OPEN)
    return rows.filter(expires_at__gt=at).update(expires_at=at)
