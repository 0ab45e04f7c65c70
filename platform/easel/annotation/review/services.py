"""What becomes of an annotation after it was submitted: sampled for review, accepted, returned, corrected, fixed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from easel.accounts.models import User
from easel.annotation.counting import recount
from easel.annotation.models import Annotation, Assignment, Comment, Item, Review, Revision
from easel.common.errors import Conflict, Forbidden, InvalidInput, Refusal
from easel.common.states import move
from easel.forms.models import form_of
from easel.projects.models import Membership

MOST_MS = 2**31 - 1
MOST_COMMENT = 2_000
MOST_AT_ONCE = 500
"""Annotations in one bulk act."""
_STATE = Annotation.ReviewState
_DECIDED = {_STATE.ACCEPTED: "accepted", _STATE.FIXED: "fixed", _STATE.RETURNED: "returned"}


class OwnWork(Forbidden):
    """A reviewer's own annotation, or an item that they ranked themselves."""

    code = "own_work"


class ReviewedMeanwhile(Conflict):
    """Another reviewer was first, or the annotator has corrected it."""

    code = "reviewed_meanwhile"


class VerdictStands(Conflict):
    """A verdict that can no longer be taken back: something came of it."""

    code = "verdict_stands"


@dataclass(frozen=True)
class Seen:
    """An annotation as a reviewer saw it when they decided."""

    state: str
    revision: int


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
    _replace(annotation, more, Revision.Reason.RETURNED, _STATE.WAITING, at)
    return annotation


@transaction.atomic
def accept(annotation: Annotation, by: User, at: datetime, comment: str = "", seen: Seen | None = None) -> Review:
    """Say that an annotation is good as it is. One that was returned counts again.

    Of two who decide at once one wins; the other gets ReviewedMeanwhile. Raises OwnWork for one's own.
    """
    held = _hold(annotation, by, seen)
    if held.assignment.state == Assignment.State.RETURNED:
        _move(held, Assignment.State.SUBMITTED)
    return _decide(held, by, Review.Verdict.ACCEPTED, comment, at)


@transaction.atomic
def return_(annotation: Annotation, by: User, at: datetime, comment: str, seen: Seen | None = None) -> Review:
    """Send an annotation back to its annotator, who gets it before anything else. Until then it does not count, and
    nobody else gets its place.

    Raises InvalidInput without a comment, and where its annotator could not correct it.
    """
    if not words_of(comment):
        raise InvalidInput(
            "Say in the comment what to mend: the annotator reads it.", fields={"comment": ["is required to return it"]}
        )
    held = _hold(annotation, by, seen)
    if held.assignment.state == Assignment.State.RETURNED:
        raise ReviewedMeanwhile("This is with its annotator already. Accept or fix it, or wait for the correction.")
    if held.annotator.kind == User.Kind.SIMULATED:
        raise InvalidInput("A simulated annotator corrects nothing. Fix or accept this.")
    if not Membership.objects.rankers(held.item.project).filter(user=held.annotator).exists():
        name = held.annotator.display_name
        raise InvalidInput(f"{name} no longer ranks in this project and would never correct it. Fix or accept this.")
    _move(held, Assignment.State.RETURNED)
    return _decide(held, by, Review.Verdict.RETURNED, comment, at)


@transaction.atomic
def fix(
    annotation: Annotation,
    by: User,
    at: datetime,
    answers: Mapping[str, Any],
    comment: str = "",
    seen: Seen | None = None,
) -> Review:
    """Put a reviewer's answers in the place of the annotator's, which are kept. They are checked against the form that
    the item was made for, whatever form the project has by now.

    Raises InvalidAnswers that names what is wrong.
    """
    held = _hold(annotation, by, seen)
    form = form_of(held.item.template_version_id)
    shown = [str(pk) for pk in held.assignment.shown_order]
    checked = form.check_answers(answers, shown, held.item.prompt.text if form.needs_text else "")
    if held.assignment.state == Assignment.State.RETURNED:
        _move(held, Assignment.State.SUBMITTED)
    said = {
        "answers": checked,
        "ranking": form.ranking_of(checked, shown),
        "ties_are_equal": form.ties_are_equal(checked),
        "all_bad": form.all_bad_of(checked),
    }
    # The hash stays the annotator's: their page may send the same submission again, and is told that it is stored.
    _replace(held, said, Revision.Reason.FIXED, _STATE.FIXED, at)
    return _decide(held, by, Review.Verdict.FIXED, comment, at)


@transaction.atomic
def undo(review: Review, by: User) -> None:
    """Take back one's last verdict on an annotation: it waits for a reviewer again, with the answers that it had.

    Raises VerdictStands where somebody has decided or corrected since.
    """
    held = _lock(review.annotation_id)
    newest = Review.objects.of([held]).last()
    if review.reviewer_id != by.pk:
        raise OwnWork("Only the reviewer whose verdict it is can take it back. You can review it again.")
    if newest != review or held.review_state != review.verdict:
        raise VerdictStands("This can no longer be taken back: somebody has reviewed or corrected it since.")
    if review.verdict == Review.Verdict.FIXED:
        former = held.revisions.get(number=held.revision - 1)
        for column in ("answers", "ranking", "ties_are_equal", "all_bad"):
            setattr(held, column, getattr(former, column))
        held.revision -= 1
        former.delete()
    elif review.verdict == Review.Verdict.RETURNED:
        _move(held, Assignment.State.SUBMITTED)
    held.review_state = _STATE.WAITING
    held.save(update_fields=["answers", "ranking", "ties_are_equal", "all_bad", "revision", "review_state"])
    review.delete()
    recount(held.item)


@dataclass
class Bulk:
    """What became of many annotations."""

    reviews: list[Review] = field(default_factory=list)
    refused: list[tuple[UUID, Refusal]] = field(default_factory=list)


def review_all(annotations: Iterable[Annotation], by: User, at: datetime, verdict: str, comment: str = "") -> Bulk:
    """Accept or return many annotations, each by itself: what cannot be done is told, and holds up nothing else."""
    done = Bulk()
    for annotation in annotations:
        try:
            if verdict == Review.Verdict.ACCEPTED:
                done.reviews.append(accept(annotation, by, at, comment))
            else:
                done.reviews.append(return_(annotation, by, at, comment))
        except Refusal as refusal:
            done.refused.append((annotation.pk, refusal))
    return done


def remark(item: Item, by: User, text: str, at: datetime) -> Comment:
    """Say something about an item, to all who inspect the project. Raises InvalidInput for an empty comment."""
    text = words_of(text)
    if not text:
        raise InvalidInput("The comment is empty. Write something.", fields={"text": ["is empty"]})
    return Comment.objects.create(item=item, author=by, text=text, created_at=at)


def unsay(comment: Comment, by: User) -> None:
    """Delete one's own comment. Raises Forbidden for somebody else's."""
    if comment.author_id != by.pk:
        raise Forbidden("Only its author deletes a comment.")
    comment.delete()


def words_of(text: str) -> str:
    """A comment as it is stored. Postgres takes no zero characters."""
    return text.replace("\0", "").strip()[:MOST_COMMENT]


def _lock(pk: UUID) -> Annotation:
    """Lock an annotation's assignment and item, as a submission does, and read the annotation behind the lock."""
    assignment = Assignment.objects.locked().get(annotation=pk)
    held = Annotation.objects.select_related("annotator").get(pk=pk)
    held.assignment, held.item = assignment, assignment.item
    return held


def _hold(annotation: Annotation, by: User, seen: Seen | None) -> Annotation:
    """Lock an annotation for a verdict. What was decided already is decided again only by one who has seen that."""
    held = _lock(annotation.pk)
    if held.annotator_id == by.pk:
        raise OwnWork("This is your own work. Another reviewer has to look at it.")
    if held.purpose != Item.Purpose.RANK:
        raise InvalidInput("This item measures annotators; what they say of it is scored, not reviewed.")
    if held.assignment.state not in {Assignment.State.SUBMITTED, Assignment.State.RETURNED}:
        raise InvalidInput(
            "This came after its item had all it needed. It counts nowhere, so there is nothing to review."
        )
    fresh = held.review_state in {"", _STATE.WAITING}
    if not fresh if seen is None else (seen.state, seen.revision) != (held.review_state, held.revision):
        raise ReviewedMeanwhile(_what_happened(held))
    return held


def _what_happened(held: Annotation) -> str:
    last = Review.objects.of([held]).last()
    if last is None or held.review_state not in _DECIDED:
        return "This has changed in the meantime: it was corrected, or a verdict was taken back. Look at it again."
    who = last.reviewer.display_name
    return f"{who} has {_DECIDED[_STATE(held.review_state)]} this in the meantime. Look at it again."


def _decide(held: Annotation, by: User, verdict: str, comment: str, at: datetime) -> Review:
    held.review_state = verdict
    held.save(update_fields=["review_state"])
    recount(held.item)
    return Review.objects.create(
        annotation=held,
        reviewer=by,
        verdict=verdict,
        comment=words_of(comment),
        revision=held.revision,
        created_at=at,
    )


def _move(held: Annotation, to: str) -> None:
    move(Assignment.objects.all(), held.assignment_id, to, Assignment.MOVES)


def _replace(annotation: Annotation, said: Mapping[str, Any], reason: str, review_state: str, at: datetime) -> None:
    """Put other answers in the place of an annotation's, and keep the former ones with who gave them."""
    Revision.objects.create(
        annotation=annotation,
        number=annotation.revision,
        author=_author_of(annotation),
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


def _author_of(annotation: Annotation) -> User:
    """Who gave the answers that an annotation has now: its annotator, or the reviewer who fixed it last."""
    corrected = Review.objects.of([annotation]).filter(verdict=Review.Verdict.FIXED, revision=annotation.revision)
    last = corrected.last() if annotation.revision else None
    return last.reviewer if last else annotation.annotator
