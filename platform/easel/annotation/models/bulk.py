"""Acts on many items at once: what was asked, how far it is, and what each item was before."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from easel.accounts.models import User
from easel.annotation.models.items import Item
from easel.common.ids import uuid7
from easel.common.states import Moves
from easel.projects.models import Project


class BulkActQuerySet(models.QuerySet["BulkAct"]):
    """Reads of acts."""

    def of_project(self, project: Project) -> BulkActQuerySet:
        """A project's, newest first."""
        return self.filter(project=project).select_related("by").order_by("-id")

    def unfinished(self) -> BulkActQuerySet:
        """Those with items left to do, oldest first."""
        return self.filter(state__in=[BulkAct.State.GOING, BulkAct.State.UNDOING]).order_by("id")


class BulkAct(models.Model):
    """One act on many items. It is done in steps, so that nobody who ranks waits for it, and can be taken back."""

    class Kind(models.TextChoices):
        """What is done with each item."""

        REQUEUE = "requeue", "Ask one more annotator"
        AFRESH = "afresh", "Start afresh"
        ASIDE = "aside", "Set aside"
        BACK = "back", "Bring back"
        FLAG = "flag", "Flag"
        UNFLAG = "unflag", "Take the flag away"
        PRIORITY = "priority", "Set the priority"
        ASSIGN = "assign", "Give to a person"
        ADD = "add", "Add to a subset"
        REMOVE = "remove", "Take out of a subset"

    class State(models.TextChoices):
        """Where it stands."""

        GOING = "going"
        DONE = "done"
        UNDOING = "undoing"
        UNDONE = "undone"

    MOVES: ClassVar[Moves] = {
        State.DONE: frozenset({State.GOING}),
        State.UNDOING: frozenset({State.DONE}),
        State.UNDONE: frozenset({State.UNDOING}),
    }

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="bulk_acts")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    value = models.JSONField(default=dict, help_text="The priority, the subset, the person.")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State.choices, default=State.GOING)
    total = models.PositiveIntegerField(help_text="Items that were chosen.")
    done = models.PositiveIntegerField(
        default=0, help_text="Of these, how many were looked at (on the way back: anew)."
    )
    changed = models.PositiveIntegerField(default=0, help_text="Items that it changed, and that were not changed back.")
    after = models.UUIDField(null=True, help_text="The last item that was looked at.")
    created_at = models.DateTimeField()

    objects = BulkActQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["id"], condition=models.Q(state__in=["going", "undoing"]), name="bulk_act_unfinished"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.total} items"

    @property
    def percent(self) -> int:
        """Items looked at, of a hundred."""
        return 100 * self.done // max(self.total, 1)


class BulkActItem(models.Model):
    """An item that an act is about."""

    act = models.ForeignKey(BulkAct, on_delete=models.CASCADE, related_name="items")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="+")
    before = models.JSONField(null=True, help_text="What it was; null: it was not changed.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["act", "item"], name="bulk_act_item_once")]

    def __str__(self) -> str:
        return f"{self.item_id} of {self.act_id}"
