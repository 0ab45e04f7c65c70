"""Which annotations a snapshot takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID

from django.db.models import Count, F, Func, IntegerField, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.lookups import In
from pydantic import Field, model_validator

from easel.accounts.models import User
from easel.annotation.models import Annotation, Assignment, Item, Subset
from easel.forms.models import TemplateVersion
from easel.images.models import GenerationRequest
from easel.projects.models import Project
from generation.types import Contract

CATEGORY = "category"
"""The column of a prompt's metadata that names its category."""


REVIEWS = {
    "not_returned": "All but what they returned",
    "accepted": "Only what they accepted, fixed or decided",
    "any": "All, also what they returned",
}
"""What may be asked of reviewers' verdicts, in words."""


class Filters(Contract):
    """What is asked of annotations; a filter that is left out takes all, save what reviewers have returned."""

    since: date | None = None
    until: date | None = None
    """Both days are taken, from midnight to midnight UTC."""
    template_version: UUID | None = None
    categories: tuple[str, ...] = Field(default=(), max_length=1_000)
    least_agreement: float | None = Field(default=None, ge=0, le=1)
    """How often an item's annotators must agree on two images; items with one annotator are left out then."""
    review: Literal["not_returned", "accepted", "any"] = "not_returned"
    """By what reviewers said: all but what they returned and nobody has corrected yet; what they accepted, fixed or
    decided; or whatever they said."""
    subset: UUID | None = None
    """Of items that somebody chose in Curate: what is in it when the snapshot is frozen."""

    @model_validator(mode="after")
    def _days_are_in_order(self) -> Filters:
        if self.since and self.until and self.since > self.until:
            raise ValueError("the first day comes after the last one")
        return self


def chosen(project: Project, filters: Filters, *, include_simulated: bool, at: datetime) -> QuerySet[Annotation]:
    """Annotations that a snapshot of that moment takes. `least_agreement` is asked of whole items, not here.

    Never among them: what was annotated of held-out prompts or of evaluations, which nothing may be trained on, what
    was annotated of texts, which has no images, surplus annotations, and what measures annotators: gold and repeats.
    """
    states = [Assignment.State.SUBMITTED]
    if filters.review == "any":
        states.append(Assignment.State.RETURNED)
    rows = (
        Annotation.objects.collected(project)
        .filter(
            created_at__lte=at,
            assignment__state__in=states,
            item__prompt__held_out=False,
            item__request__isnull=False,
        )
        .exclude(item__request__kind=GenerationRequest.Kind.EVALUATION)
    )
    if not include_simulated:
        rows = rows.filter(annotator__kind=User.Kind.HUMAN)
    if filters.review == "accepted":  # a decision on the whole item stands for its annotations
        good = [Annotation.ReviewState.ACCEPTED, Annotation.ReviewState.FIXED]
        rows = rows.filter(Q(review_state__in=good) | Q(item__adjudication__isnull=False))
    if filters.since:
        rows = rows.filter(created_at__gte=_midnight(filters.since))
    if filters.until and filters.until < date.max:
        rows = rows.filter(created_at__lt=_midnight(filters.until) + timedelta(days=1))
    if filters.template_version:
        rows = rows.filter(item__template_version=filters.template_version)
    if filters.subset:
        inside = Item.subsets.through.objects.filter(subset=filters.subset, subset__project=project)
        rows = rows.filter(item__in=inside.values("item"))
    if filters.categories:
        category = KeyTextTransform(CATEGORY, "item__prompt__metadata")
        rows = rows.filter(In(category, list(filters.categories)))
    return rows


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def in_words(filters: Filters) -> list[tuple[str, str]]:
    """What a snapshot was asked to take, as names and values."""
    versions = TemplateVersion.objects.select_related("template")
    version = versions.filter(pk=filters.template_version).first() if filters.template_version else None
    subset = Subset.objects.filter(pk=filters.subset).first() if filters.subset else None
    said = {
        "From": filters.since.isoformat() if filters.since else "",
        "To": filters.until.isoformat() if filters.until else "",
        "Form": str(version) if version else "",
        "Categories": ", ".join(filters.categories),
        "Subset": (subset.name if subset else "one that was deleted since") if filters.subset else "",
        "Reviewers": REVIEWS[filters.review] if filters.review != "not_returned" else "",
        "Least agreement": "" if filters.least_agreement is None else f"{filters.least_agreement:.0%}",
    }
    return [(name, value) for name, value in said.items() if value]


@dataclass(frozen=True)
class Survey:
    """What the filters would take, and what there is."""

    every: int
    """Annotations of the project, whatever they are of."""
    people: int
    """Those by people."""
    judgements: int
    """Annotations that are taken."""
    decided: int
    """Those of them that put an image before another, and accept one."""
    items: int
    prompts: int
    annotators: int


class _Length(Func):
    function = "jsonb_array_length"
    output_field = IntegerField()


def survey(project: Project, filters: Filters, *, include_simulated: bool, at: datetime) -> Survey:
    """Count what a snapshot would take now; items that `least_agreement` will leave out are counted too."""
    of_project = Annotation.objects.collected(project)
    counts = of_project.aggregate(every=Count("*"), people=Count("pk", filter=Q(annotator__kind=User.Kind.HUMAN)))
    rows = chosen(project, filters, include_simulated=include_simulated, at=at)
    taken: dict[str, Any] = rows.annotate(groups=_Length(F("ranking"))).aggregate(
        judgements=Count("*"),
        decided=Count("pk", filter=Q(groups__gte=2, all_bad=False)),
        items=Count("item", distinct=True),
        prompts=Count("item__prompt", distinct=True),
        annotators=Count("annotator", distinct=True),
    )
    return Survey(**counts, **taken)


def categories_of(project: Project) -> list[str]:
    """The categories of a project's prompts, the most frequent first."""
    rows = project.prompts.filter(metadata__has_key=CATEGORY).annotate(category=KeyTextTransform(CATEGORY, "metadata"))
    counted = rows.values("category").annotate(n=Count("pk")).order_by("-n", "category")
    return [row["category"] for row in counted[:100] if row["category"]]
