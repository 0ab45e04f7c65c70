"""Subsets and saved queries of a project."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet

from easel.accounts.models import User
from easel.annotation.curate.filters import Filters, read_filters
from easel.annotation.models import SavedQuery, Subset
from easel.common.errors import Conflict, InvalidInput
from easel.projects.models import Project

MAX_NAME = 100


def subsets_of(project: Project) -> QuerySet[Subset]:
    """A project's subsets by name, each with the number of its items."""
    return Subset.objects.filter(project=project).annotate(size=Count("items")).order_by("name")


def queries_of(project: Project) -> QuerySet[SavedQuery]:
    """A project's saved queries by name."""
    return SavedQuery.objects.filter(project=project).select_related("created_by").order_by("name")


def subset_of(project: Project, wanted: str) -> Subset:
    """Return a project's subset by its id or name. Raises InvalidInput where there is none."""
    found = Subset.objects.filter(project=project, name=wanted).first()
    with suppress(ValueError):
        found = found or Subset.objects.filter(project=project, pk=UUID(wanted)).first()
    if found is None:
        message = f"There is no subset {wanted[:60]!r} in this project. Choose one of the list, or make it."
        raise InvalidInput(message, fields={"subset": [message]})
    return found


def _checked(name: str) -> str:
    name = " ".join(name.replace("\0", "").split())
    if not name or len(name) > MAX_NAME:
        message = f"A name has 1 to {MAX_NAME} characters."
        raise InvalidInput(message, fields={"name": [message]})
    return name


def make_subset(project: Project, name: str, by: User, at: datetime) -> Subset:
    """Make an empty subset. Raises Conflict where the name is taken."""
    try:
        with transaction.atomic():
            return Subset.objects.create(project=project, name=_checked(name), created_by=by, created_at=at)
    except IntegrityError as error:
        raise Conflict(f"There is a subset {_checked(name)!r} already. Choose it, or another name.") from error


def delete_subset(subset: Subset) -> None:
    """Delete a subset; its items stay, and so do snapshots that were made of it."""
    subset.delete()


def save_query(
    project: Project, name: str, filters: Filters, by: User, at: datetime, *, overwrite: bool = False
) -> SavedQuery:
    """Keep filters by a name, for everybody of the project. Raises Conflict where the name is taken."""
    kept = filters.model_dump(mode="json", exclude_defaults=True)
    name = _checked(name)
    if overwrite:
        values = {"filters": kept, "created_by": by, "created_at": at}
        return SavedQuery.objects.update_or_create(project=project, name=name, defaults=values)[0]
    try:
        with transaction.atomic():
            return SavedQuery.objects.create(project=project, name=name, filters=kept, created_by=by, created_at=at)
    except IntegrityError as error:
        raise Conflict(f"There is a query {name!r} already. Overwrite it, or choose another name.") from error


def address_of(query: SavedQuery) -> str:
    """A saved query as the query of an address; empty where filters were renamed since it was kept."""
    try:
        return read_filters(query.filters).query
    except InvalidInput:
        return ""


def delete_query(query: SavedQuery) -> None:
    """Forget a saved query."""
    query.delete()
