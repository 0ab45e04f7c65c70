"""The items that an act is about: those that were ticked, or all that filters take."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from easel.annotation.curate.filters import Filters, items_of
from easel.annotation.models import Item
from easel.common.errors import InvalidInput
from easel.projects.models import Project

MAX_TICKED = 1_000


@dataclass(frozen=True)
class Chosen:
    """Items by their ids, or all that filters take."""

    items: tuple[UUID, ...] = ()
    filters: Filters | None = None

    def rows(self, project: Project) -> QuerySet[Item]:
        """The items, of this project and to be ranked: gold and repeats are acted on where they are made.

        Raises InvalidInput for none, too many, and gold.
        """
        if self.filters is not None:
            if self.filters.purpose != "rank":
                raise InvalidInput("Gold and repeats are changed on the page of gold; ask for items to rank.")
            return items_of(project, self.filters)
        if not self.items:
            raise InvalidInput("No item is chosen. Tick some, or choose all of the query.")
        if len(self.items) > MAX_TICKED:
            raise InvalidInput(
                f"{len(self.items):,} items are too many to name; at most {MAX_TICKED:,} are. Choose all of a query."
            )
        return Item.objects.to_rank().filter(project=project, pk__in=self.items)


def chosen_of(items: Collection[str], filters: Filters | None) -> Chosen:
    """Read ids; raises InvalidInput for one that is none."""
    found = []
    for item in items:
        try:
            found.append(UUID(str(item)))
        except ValueError:
            message = f"{str(item)[:60]!r} is no item of this project."
            raise InvalidInput(message, fields={"items": [message]}) from None
    return Chosen(tuple(found), filters)
