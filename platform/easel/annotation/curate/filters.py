"""What Curate is asked for, and the items that answer it: one query that Postgres answers by indexes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Func, Q, QuerySet, Value
from django.db.models.fields import BooleanField
from pydantic import Field, ValidationError, model_validator

from easel.accounts.models import User
from easel.annotation.models import Alike, Annotation, Item, Subset
from easel.annotation.models.annotations import FLAGS_AN_IMAGE
from easel.common.errors import InvalidInput
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project
from easel.prompts.models import Prompt
from generation.types import Contract

MAX_VOTES = 1_000
MAX_WORDS = 300

HINTS = {
    "words": f"Type at most {MAX_WORDS} characters.",
    "model": "Choose a model of the list.",
    "request": "Follow a link to a request of this project.",
    "category": "Choose a category of the list.",
    "state": "Choose ready, done or aside.",
    "votes_min": f"Type a whole number from 0 to {MAX_VOTES}.",
    "votes_max": f"Type a whole number from 0 to {MAX_VOTES}.",
    "lead_min": f"Type a number from 0 to {MAX_VOTES}.",
    "lead_max": f"Type a number from 0 to {MAX_VOTES}.",
    "flagged": "Choose yes or no.",
    "image_flag": "Choose a flag of the list, or any.",
    "all_bad": "Choose yes, or leave it out.",
    "annotator": "Choose a person of the list.",
    "kind": "Choose human or simulated.",
    "since": "Type a day as 2026-11-22.",
    "until": "Type a day as 2026-11-22.",
    "review": "Choose waiting, accepted, returned or fixed.",
    "near": "Choose any or inside.",
    "subset": "Choose a subset of the list.",
    "purpose": "Choose rank, gold or repeat.",
    "order": "Choose newest, oldest, least_agreed or most_agreed.",
}


class Filters(Contract):
    """What is asked of items and of what was said of them; a filter that is left out takes all.

    The filters on annotations (from `all_bad` to `review`) are asked of one annotation: an item is taken where somebody
    said all of it at once.
    """

    words: str = Field(default="", max_length=MAX_WORDS)
    """Every one begins a word of the prompt."""
    model: UUID | None = None
    """One of its images was made by it."""
    request: UUID | None = None
    category: str = Field(default="", max_length=100)
    state: Literal["", "ready", "done", "aside"] = ""
    votes_min: int | None = Field(default=None, ge=0, le=MAX_VOTES)
    votes_max: int | None = Field(default=None, ge=0, le=MAX_VOTES)
    lead_min: float | None = Field(default=None, ge=0, le=MAX_VOTES)
    lead_max: float | None = Field(default=None, ge=0, le=MAX_VOTES)
    """The lead is the agreement that the stopping rule counts (stopping.py)."""
    flagged: bool | None = None
    """Whether its images are blurred until asked for."""
    near: Literal["", "any", "inside"] = ""
    """any: an image of it looks like another one of the project; inside: two of its own images look the same."""
    subset: UUID | None = None

    all_bad: bool = False
    image_flag: str = Field(default="", max_length=100)
    """A flag that annotators set on images; any: any of them."""
    annotator: UUID | None = None
    kind: Literal["", "human", "simulated"] = ""
    since: date | None = None
    until: date | None = None
    """Both days are taken, from midnight to midnight UTC."""
    review: Literal["", "waiting", "accepted", "returned", "fixed"] = ""

    purpose: Literal["rank", "gold", "repeat"] = "rank"
    """Gold and repeats are shown only to who asks for them."""
    order: Literal["newest", "oldest", "least_agreed", "most_agreed"] = "newest"

    @model_validator(mode="after")
    def _ranges_are_in_order(self) -> Filters:
        if self.since and self.until and self.since > self.until:
            raise ValueError("until: The last day comes before the first one. Exchange them.")
        if self.votes_min is not None and self.votes_max is not None and self.votes_min > self.votes_max:
            raise ValueError("votes_max: The most votes are fewer than the fewest. Exchange them.")
        if self.lead_min is not None and self.lead_max is not None and self.lead_min > self.lead_max:
            raise ValueError("lead_max: The largest lead is smaller than the smallest. Exchange them.")
        return self

    @property
    def given(self) -> dict[str, str]:
        """What is asked for, as texts by name."""
        said = self.model_dump(mode="json", exclude_defaults=True)
        return {name: _as_text(value) for name, value in said.items()}

    @property
    def narrows(self) -> bool:
        """Whether it leaves anything out; an order does not."""
        return bool(set(self.given) - {"order"})

    @property
    def query(self) -> str:
        """It as the query of an address: whoever is given it sees the same."""
        return urlencode(self.given)

    def but(self, **changes: Any) -> Filters:
        """The same filters with some changed."""
        return self.model_copy(update=changes)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_filters(given: Mapping[str, Any]) -> Filters:
    """Read filters of an address or of a JSON object; empty ones are left out.

    Raises InvalidInput with one line for each value that cannot be read, under its name.
    """
    wanted: dict[str, Any] = {}
    for name in Filters.model_fields:
        value = given.get(name)
        if isinstance(value, str):
            value = " ".join(value.replace("\0", "").split())
        if value not in (None, ""):
            wanted[name] = value
    try:
        return Filters.model_validate(wanted)
    except ValidationError as error:
        raise _refusal(error, wanted) from None


def _refusal(error: ValidationError, wanted: Mapping[str, Any]) -> InvalidInput:
    fields: dict[str, list[str]] = {}
    for problem in error.errors():
        if problem["loc"]:
            name = str(problem["loc"][0])
            fields[name] = [f"{name}: {str(wanted.get(name))[:40]!r} cannot be taken. {HINTS[name]}"]
        else:
            name, _, words = problem["msg"].removeprefix("Value error, ").partition(": ")
            fields[name] = [words]
    return InvalidInput(" ".join(line for lines in fields.values() for line in lines), fields=fields)


FEW = 20_000
"""Annotations or prompts that are looked up before their items are; where more are taken, items are walked through."""


def items_of(project: Project, filters: Filters) -> QuerySet[Item]:
    """The items that are asked for, in their order. Raises InvalidInput for a subset or person that is not there.

    Each condition is one that an index answers (tests/easel/annotation/test_curate_plans.py); what is asked of
    annotations is one subquery over them.
    """
    rows = Item.objects.filter(project=project, purpose=filters.purpose)
    for condition in _of_items(project, filters):
        rows = rows.filter(condition)
    said = _of_annotations(filters)
    if said:
        answers = Annotation.objects.filter(*said, project=project, purpose=filters.purpose)
        # In the order of the small index of flagged ones: nothing tells Postgres how few they are.
        answers = answers.order_by("item") if filters.image_flag else answers.order_by()
        rows = rows.filter(pk__in=_first_where_few(answers.values("item")))
    return rows.order_by(*ORDERS[filters.order])


def _first_where_few(wanted: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
    """Have Postgres look these up before their items where they are few; a LIMIT that leaves none out makes it.

    By itself it walks through the items until it has a page of what it takes to be spread evenly. But what was ranked
    today lies together, and a rare word is rarer than is guessed: it would walk through all.
    """
    found = wanted[: FEW + 1]
    return found if found.count() <= FEW else wanted


ORDERS: dict[str, tuple[str, ...]] = {
    "newest": ("-id",),
    "oldest": ("id",),
    "least_agreed": ("lead", "id"),
    "most_agreed": ("-lead", "-id"),
}


def _of_items(project: Project, filters: Filters) -> Iterable[Q]:
    if filters.words:
        saying = Prompt.objects.filter(project=project).saying(filters.words)
        yield Q(prompt__in=_first_where_few(saying.values("pk")))
    if filters.model:
        yield _made_by(project, filters.model)
    if filters.request:
        yield Q(request=filters.request)
    if filters.category:
        yield Q(category=filters.category)
    if filters.state:
        yield Q(state=filters.state)
    ranges = {
        "votes__gte": filters.votes_min,
        "votes__lte": filters.votes_max,
        "lead__gte": filters.lead_min,
        "lead__lte": filters.lead_max,
    }
    for name, bound in ranges.items():
        if bound is not None:
            yield Q((name, bound))
    if filters.flagged is not None:
        yield Q(flagged_at__isnull=not filters.flagged)
    if filters.near == "any":
        yield Q(pk__in=project_alike(project))
    elif filters.near == "inside":
        yield Q(twins__project=project)
    if filters.subset:
        subset = Subset.objects.filter(project=project, pk=filters.subset).first()
        if subset is None:
            message = f"There is no subset {str(filters.subset)!r} in this project. {HINTS['subset']}"
            raise InvalidInput(message, fields={"subset": [message]})
        yield Q(pk__in=Subset.items.through.objects.filter(subset=subset).values("item"))


def project_alike(project: Project) -> QuerySet[Any, Any]:
    """The items of which an image looks like another one of the project, as a subquery."""
    return Alike.objects.filter(project=project).values("item")


def _made_by(project: Project, model: UUID) -> Q:
    """Items with an image of a model: those of its requests, and of imports, whose images may be of many models."""
    requests = GenerationRequest.objects.filter(project=project)
    beside = GenerationRequest.compared.through.objects.filter(modelversion=model).values("generationrequest")
    made = requests.filter(Q(model=model) | Q(pk__in=beside))
    imports = requests.filter(kind=GenerationRequest.Kind.IMPORT)
    if not imports.exists():
        return Q(request__in=made.values("pk"))
    imported = Candidate.objects.filter(model=model, request__in=imports.values("pk"))
    of_imports = Item.candidates.through.objects.filter(candidate__in=imported.values("pk")).values("item")
    rendered = Item.objects.filter(request__in=made.exclude(kind=GenerationRequest.Kind.IMPORT).values("pk"))
    return Q(pk__in=rendered.order_by().values("pk").union(of_imports, all=True))


def _of_annotations(filters: Filters) -> list[Q]:
    found: list[Q] = []
    if filters.all_bad:
        found.append(Q(all_bad=True))
    if filters.image_flag:
        found.append(Q(FLAGS_AN_IMAGE))
        if filters.image_flag != "any":
            found.append(Q(_sets_flag(filters.image_flag)))
    if filters.annotator:
        found.append(Q(annotator=filters.annotator))
    if filters.kind:
        found.append(Q(annotator__in=User.objects.filter(kind=filters.kind).values("pk")))
    if filters.since:
        found.append(Q(created_at__gte=_midnight(filters.since)))
    if filters.until and filters.until < date.max:
        found.append(Q(created_at__lt=_midnight(filters.until) + timedelta(days=1)))
    if filters.review:
        found.append(Q(review_state=filters.review))
    return found


def _sets_flag(flag: str) -> Func:
    """Whether an annotation sets this flag on an image."""
    path = 'strict $.* ? (@.type() == "object").* ? (@.type() == "array")[*] ? (@ == $flag)'
    return Func(
        "answers",
        Value(path),
        Func(Value("flag"), Value(flag), function="jsonb_build_object", template="%(function)s(%(expressions)s)"),
        Value(True),
        function="jsonb_path_exists",
        output_field=BooleanField(),
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
