"""Assignments: leases of items to annotators."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from easel.accounts.models import User
from easel.annotation.models.items import Item
from easel.common.ids import uuid7
from easel.common.states import Moves
from easel.images.models import Candidate, GenerationRequest

if TYPE_CHECKING:
    from easel.annotation.desk import Desk
    from easel.annotation.queue import Shown


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    """Reads of assignments."""

    def locked(self, *, skip_locked: bool = False) -> AssignmentQuerySet:
        """Assignments with their items, both locked, in one statement, for the rest of the transaction."""
        rows = self.select_related("item__project")
        return rows.select_for_update(no_key=True, of=("self", "item"), skip_locked=skip_locked)

    def taking_part(self, at: datetime) -> AssignmentQuerySet:
        """Assignments that count towards an item's overlap: submitted ones (not surplus ones), those that went back to
        their annotator, and live leases.
        """
        given = Q(state__in=[Assignment.State.SUBMITTED, Assignment.State.RETURNED])
        return self.filter(given | Q(state=Assignment.State.OPEN, expires_at__gt=at))

    def with_item(self) -> AssignmentQuerySet:
        """With all that is shown of them."""
        return self.select_related("item__prompt__conditioning", "item__request__conditioning", "item__project")

    def of_attempts(self, requests: Collection[GenerationRequest]) -> AssignmentQuerySet:
        """Those of live attempts, with what is shown of them."""
        rows = self.filter(item__request__in=requests)
        return rows.select_related("item__prompt__conditioning", "item__request__conditioning")


class Assignment(models.Model):
    """A lease of one item to one annotator."""

    class State(models.TextChoices):
        """Where an assignment stands: surplus ones were submitted after the item had all it needed, returned ones wait
        for their annotator to correct them.

        A lease that ran out is an open one whose expiry has passed.
        """

        OPEN = "open"
        SUBMITTED = "submitted"
        SURPLUS = "surplus"
        SKIPPED = "skipped"
        RETURNED = "returned"

    MOVES: ClassVar[Moves] = {
        State.SUBMITTED: frozenset({State.OPEN, State.SKIPPED, State.RETURNED}),
        State.SURPLUS: frozenset({State.OPEN, State.SKIPPED}),
        State.SKIPPED: frozenset({State.OPEN}),
        State.RETURNED: frozenset({State.SUBMITTED, State.SURPLUS}),
        State.OPEN: frozenset({State.SUBMITTED, State.SURPLUS}),
    }

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(User, on_delete=models.PROTECT, related_name="assignments")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    shown_order = ArrayField(models.UUIDField(), help_text="Candidate ids as this annotator sees them.")
    expires_at = models.DateTimeField()
    draft = models.JSONField(null=True)
    draft_version = models.PositiveIntegerField(default=0)
    skip_reason = models.CharField(max_length=30, default="", blank=True)
    assigned_by = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="+", null=True, help_text="Who gave it by hand; null: the queue."
    )
    probability = models.FloatField(
        null=True,
        help_text="With which it was drawn from the items that were left; null: it was next in the queue.",
    )
    created_at = models.DateTimeField()

    role: str
    """The asking user's role; this, `desk` and `in_training` where the row came through an access door."""
    desk: Desk
    in_training: bool
    """Whether it is answered to learn, with feedback."""
    shown: Sequence[Candidate | Shown]
    """The candidates in the shown order, where they have been loaded."""

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "annotator"], name="assignment_once")]
        indexes = [
            models.Index(
                fields=["annotator", "id"], condition=Q(state__in=["open", "returned"]), name="assignment_begun"
            ),
        ]

    def __str__(self) -> str:
        return f"assignment {self.id} ({self.state})"
