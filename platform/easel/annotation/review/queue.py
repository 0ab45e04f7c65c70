"""What waits for a reviewer, by what they ask for; and items whose annotators disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Exists, ExpressionWrapper, F, FloatField, Func, IntegerField, OuterRef, Q, QuerySet

from easel.accounts.models import User
from easel.annotation.models import Annotation, Assignment, Item
from easel.images.models import GenerationRequest
from easel.projects.models import Project

QUICK_MS = 1_500
"""For each image: less is a quick answer, 3 s for a pair and 6 s for four."""
STATES = {
    "waiting": "Waiting",
    "new": "Not reviewed",
    "returned": "Returned",
    "accepted": "Accepted",
    "fixed": "Fixed",
}
"""Waiting ones were drawn for review, or corrected; not reviewed are all on which no verdict stands."""
FLAGS = {
    "disagree": "Annotators disagree",
    "quick": "Very quick",
    "all_bad": "None acceptable",
    "tie": "All equal",
    "corrected": "Corrected",
}
COUNTED = 10_000
"""More rows than these are told as "more than"."""
DISPUTED = 0.5
"""Of what the votes could agree on, so little or less is a disagreement."""
SHARES = {"0.25": "strongly", "0.5": "clearly", "0.99": "at all"}


@dataclass(frozen=True)
class Asked:
    """What a reviewer wants to see."""

    state: str = "waiting"
    annotator: UUID | None = None
    flag: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Asked:
        """Read what an address says; what it cannot mean is left out."""
        state, flag = given.get("state", ""), given.get("flag", "")
        try:
            annotator = UUID(given.get("annotator", ""))
        except ValueError:
            annotator = None
        return cls(state if state in STATES else "waiting", annotator, flag if flag in FLAGS else "")

    @property
    def query(self) -> str:
        """It as a part of an address."""
        said = {"state": self.state, "annotator": self.annotator or "", "flag": self.flag}
        return urlencode({name: value for name, value in said.items() if value and value != "waiting"})


class _Length(Func):
    function = "jsonb_array_length"
    output_field = IntegerField()


def to_review(project: Project, by: User, asked: Asked) -> QuerySet[Annotation]:
    """Annotations that a reviewer may look at, oldest first; one's own are not among them."""
    rows: QuerySet[Annotation] = Annotation.objects.collected(project).exclude(annotator=by)
    states = ["", asked.state, "waiting"] if asked.state == "new" else [asked.state]
    rows = rows.filter(review_state__in=states)
    rows = rows.filter(assignment__state__in=[Assignment.State.SUBMITTED, Assignment.State.RETURNED])
    if asked.annotator:
        rows = rows.filter(annotator=asked.annotator)
    if asked.flag:
        rows = _flagged(rows, asked.flag)
    return rows.select_related("annotator", "assignment", "item__prompt__conditioning", "item__request").order_by("id")


def neighbours(
    rows: QuerySet[Annotation], at: UUID | None
) -> tuple[Annotation | None, Annotation | None, Annotation | None]:
    """Return the row at a place, or else the next one that is there, with the rows before and after it."""
    current = None
    if at:
        current = rows.filter(pk__gte=at).first()
    current = current or rows.first()
    if current is None:
        return None, None, None
    before = rows.filter(pk__lt=current.pk).order_by("-id").first()
    return before, current, rows.filter(pk__gt=current.pk).first()


def picked(rows: QuerySet[Annotation], chosen: list[UUID]) -> QuerySet[Annotation]:
    """Those of the rows that somebody has chosen."""
    return rows.filter(pk__in=chosen)


def _flagged(rows: QuerySet[Annotation], flag: str) -> QuerySet[Annotation]:
    if flag == "quick":
        return rows.filter(active_ms__lt=F("assignment__shown_order__len") * QUICK_MS)
    if flag == "tie":
        return rows.alias(groups=_Length(F("ranking"))).filter(
            groups=1, ranking__0__1__isnull=False, ties_are_equal=True, all_bad=False
        )
    if flag == "disagree":
        return rows.filter(item__votes__gte=2, item__lead__lte=F("item__votes") * DISPUTED)
    return rows.filter(revision__gt=0) if flag == "corrected" else rows.filter(all_bad=True)


def annotators_of(project: Project) -> list[User]:
    """The members of a project who have annotated something, by name."""
    said = Annotation.objects.filter(project=project, annotator=OuterRef("pk"))
    return list(User.objects.filter(Exists(said), memberships__project=project).order_by("username"))


def count_of(rows: QuerySet[Annotation]) -> int:
    """Count rows, no further than to one more than COUNTED."""
    return rows.order_by()[: COUNTED + 1].count()


def waiting(project: Project, by: User) -> tuple[int, int]:
    """How many annotations wait for this reviewer, and how many of their own wait for somebody else."""
    every = Annotation.objects.collected(project).filter(review_state="waiting")
    own = every.filter(annotator=by).count()
    return every.count() - own, own


def disputed(project: Project, share: float = DISPUTED) -> QuerySet[Item]:
    """Items that nobody else is asked about, and whose annotators disagree; those that they disagree about most first.

    Votes of a blind comparison are left alone: there nobody decides in place of the voters.
    """
    rows = Item.objects.to_rank().filter(project=project, state=Item.State.DONE, votes__gte=2, adjudication=None)
    rows = rows.filter(lead__lte=F("votes") * share)
    rows = rows.exclude(request__kind=GenerationRequest.Kind.EVALUATION)
    agreed = ExpressionWrapper(F("lead") / F("votes"), output_field=FloatField())
    return rows.annotate(agreed=agreed).select_related("prompt__conditioning", "request").order_by("agreed", "id")


def page_of_disputes(rows: QuerySet[Item], after: str, size: int) -> tuple[list[Item], str]:
    """Return some of the disputed items, those after a place in the list, and the place after them; "" at the end."""
    number, _, key = after.partition("~")
    try:
        beyond = Q(agreed__gt=float(number)) | Q(agreed=float(number), id__gt=UUID(key))
    except ValueError:
        beyond = Q()
    found = list(rows.filter(beyond)[: size + 1])
    last = found[size - 1] if len(found) > size else None
    return found[:size], f"{last.lead / last.votes!r}~{last.pk}" if last else ""


def decided(project: Project) -> QuerySet[Item]:
    """Items that somebody has decided, the newest items first."""
    rows = Item.objects.filter(project=project, adjudication__isnull=False)
    rows = rows.select_related("prompt__conditioning", "request", "adjudication__by", "adjudication__chosen__annotator")
    return rows.order_by("-id")


def said_of(items: list[Item]) -> list[Annotation]:
    """What counts of what annotators said of items, oldest first."""
    rows = Annotation.objects.filter(Q(item__in=items), assignment__state=Assignment.State.SUBMITTED)
    return list(rows.select_related("annotator", "assignment").order_by("id"))
