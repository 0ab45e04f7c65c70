"""What an annotator is shown of work that a reviewer sent back: why, and what they had answered. No names."""

from __future__ import annotations

from typing import Any

from easel.annotation.models import Assignment


def returned_to(assignment: Assignment) -> dict[str, Any]:
    """Return the parts of an assignment as the API shows it that differ where it was returned."""
    annotation = assignment.annotation
    review = annotation.reviews.order_by("-id").first()
    shown: dict[str, Any] = {"returned": {"comment": review.comment if review else ""}}
    if assignment.draft is None:
        shown["draft"] = {"answers": annotation.answers, "version": assignment.draft_version}
    return shown
