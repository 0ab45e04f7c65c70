"""What becomes of an annotation after it was submitted: sampled for review, accepted, returned, corrected, fixed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.conf import settings

from easel.accounts.models import User
from easel.annotation.models import Annotation, Assignment, Revision
from easel.common.states import move

MOST_MS = 2**31 - 1


def sampled(assignment: UUID, share: int) -> bool:
    """Tell whether a reviewer is to look at an assignment's answers: `share` percent of all are looked at.

    The same assignment is always answered alike, and nobody without the server's key can tell which ones are drawn.
    """
    key = settings.SECRET_KEY.encode()[:64]
    drawn = blake2b(assignment.bytes, key=key, salt=b"review", digest_size=8).digest()
    return int.from_bytes(drawn) % 10_000 < share * 100


def correct(assignment: Assignment, said: Mapping[str, Any], at: datetime) -> Annotation:
    """Replace a returned annotation's answers by the annotator's better ones; a reviewer sees them again.

    The caller holds the assignment locked and has checked the answers; `said` are columns of Annotation. The former
    answers are kept. The time of both counts, for both went into the answer. The caller recounts the item.
    """
    move(Assignment.objects.all(), assignment.pk, Assignment.State.SUBMITTED, Assignment.MOVES, draft=None)
    annotation = assignment.annotation
    more = {**said, "active_ms": min(annotation.active_ms + said["active_ms"], MOST_MS)}
    replace(annotation, more, annotation.annotator, Revision.Reason.RETURNED, Annotation.ReviewState.WAITING, at)
    return annotation


def replace(
    annotation: Annotation, said: Mapping[str, Any], author: User, reason: str, review_state: str, at: datetime
) -> None:
    """Put other answers in the place of an annotation's, and keep the former ones. `author` gave those."""
    Revision.objects.create(
        annotation=annotation,
        number=annotation.revision,
        author=author,
        answers=annotation.answers,
        ranking=annotation.ranking,
        ties_are_equal=annotation.ties_are_equal,
        all_bad=annotation.all_bad,
        active_ms=annotation.active_ms,
        reason=reason,
        created_at=at,
    )
    for column, value in said.items():
        setattr(annotation, column, value)
    annotation.revision += 1
    annotation.review_state = review_state
    annotation.save(update_fields=[*said, "revision", "review_state"])
