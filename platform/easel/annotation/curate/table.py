"""The list of items as a CSV file, written as it is read."""

from __future__ import annotations

from collections.abc import Iterator

from easel.annotation.curate.cards import Card, cards_of
from easel.annotation.curate.filters import Filters, items_of
from easel.annotation.curate.paging import page_of_items
from easel.projects.models import Project

COLUMNS = (
    "item", "prompt", "category", "state", "votes", "lead", "priority", "flagged", "all_bad", "image_flags",
    "look_alike_within", "look_alike_elsewhere", "images_best_first", "models_best_first", "created_at",
)  # fmt: skip
PAGE = 500


def rows_of(project: Project, filters: Filters) -> Iterator[list[object]]:
    """A row an item, in the order that was asked for."""
    after = ""
    while True:
        rows = items_of(project, filters).select_related("prompt")
        page = page_of_items(rows, filters, after, PAGE)
        for card in cards_of(page.rows):
            yield _cells(card)
        if page.after is None:
            return
        after = page.after


def _cells(card: Card) -> list[object]:
    item = card.item
    return [
        str(item.pk),
        item.prompt.text,
        item.category,
        item.state,
        item.votes,
        round(item.lead, 4),
        item.priority,
        item.flagged_at.isoformat() if item.flagged_at else "",
        card.all_bad,
        "; ".join(f"{flag} {number}" for flag, number in sorted(card.flags.items())),
        "yes" if card.look_alike_within else "",
        card.alike,
        " ".join(str(one.pk) for one in card.images),
        "; ".join(one.model.name for one in card.images),
        item.created_at.isoformat(),
    ]
