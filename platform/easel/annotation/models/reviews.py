"""Second opinions: reviews of annotations, comments on items, and the last word where annotators disagree."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models

from easel.accounts.models import User
from easel.annotation.models.annotations import Annotation
from easel.annotation.models.items import Item
from easel.common.ids import uuid7


class ReviewQuerySet(models.QuerySet["Review"]):
    """Reads of reviews."""

    def of(self, annotations: Iterable[Annotation]) -> ReviewQuerySet:
        """What was said of annotations, oldest first."""
        return self.filter(annotation__in=annotations).select_related("reviewer").order_by("id")


class Review(models.Model):
    """A second person's verdict on an annotation. A new verdict is a new row; one that its reviewer takes back goes."""

    class Verdict(models.TextChoices):
        """What a reviewer does with an annotation."""

        ACCEPTED = "accepted", "Accepted"
        RETURNED = "returned", "Returned with a comment"
        FIXED = "fixed", "Fixed by the reviewer"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    annotation = models.ForeignKey(Annotation, on_delete=models.CASCADE, related_name="reviews")
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="reviews")
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    comment = models.TextField(default="", blank=True, max_length=2_000)
    revision = models.PositiveSmallIntegerField(help_text="Which revision of the annotation it is about.")
    created_at = models.DateTimeField()

    objects = ReviewQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.verdict} by {self.reviewer_id}"


class CommentQuerySet(models.QuerySet["Comment"]):
    """Reads of comments."""

    def on(self, item: Item) -> CommentQuerySet:
        """What was said about an item, oldest first."""
        return self.filter(item=item).select_related("author").order_by("id")


class Comment(models.Model):
    """What somebody who inspects a project says about an item."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(max_length=2_000)
    created_at = models.DateTimeField()

    objects = CommentQuerySet.as_manager()

    def __str__(self) -> str:
        return self.text[:60]


class Adjudication(models.Model):
    """The last word on an item whose annotators disagree: its ranking counts in place of theirs."""

    item = models.OneToOneField(Item, on_delete=models.CASCADE, primary_key=True, related_name="adjudication")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    ranking = models.JSONField(help_text="Ordered groups of candidate ids, best first; ties share a group.")
    ties_are_equal = models.BooleanField(
        default=True, db_default=True, help_text="As of an annotation: whether images on one place were judged equal."
    )
    all_bad = models.BooleanField(default=False)
    chosen = models.ForeignKey(
        Annotation,
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        help_text="Whose answer was taken; null: the adjudicator ranked anew.",
    )
    comment = models.TextField(default="", blank=True, max_length=2_000)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"adjudication of {self.item_id}"
