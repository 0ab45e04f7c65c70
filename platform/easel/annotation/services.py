"""The life of an item: leased, drafted, submitted, skipped, taken back. `gathering.py` tells how it is made."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from easel.accounts.models import User
from easel.annotation.counting import count, recount, verdicts_on
from easel.annotation.desk import Desk, desk_of
from easel.annotation.models import Annotation, Assignment, Item, Record
from easel.annotation.queue import Begun, begun
from easel.annotation.review.services import correct, sampled
from easel.annotation.stopping import Verdict
from easel.annotation.storing import store
from easel.annotation.turns import lease_new
from easel.common.documents import fault_of
from easel.common.errors import Conflict, InvalidInput
from easel.common.states import move
from easel.forms.definition import MAX_ANSWER_BYTES
from easel.forms.models import form_of
from easel.projects.models import Project

SKIP_REASONS = {
    "unsure": "I cannot decide",
    "broken_images": "Images are broken or missing",
    "upsetting": "The images upset me",
    "prompt_unclear": "I do not understand the prompt",
    "other": "Another reason",
}


class AlreadySubmitted(Conflict):
    """The assignment was submitted with other answers."""

    code = "already_submitted"


class StaleDraft(Conflict):
    """A newer draft is stored, from another tab or device."""

    code = "stale_draft"


class LeaseLost(Conflict):
    """The lease ran out and the item has all the annotators it needs."""

    code = "lease_lost"


class TooLate(Conflict):
    """A submission that can no longer be taken back."""

    code = "too_late"


class AssignmentFinished(Conflict):
    """The assignment was submitted or skipped."""

    code = "assignment_finished"


def lease_next(
    project: Project,
    annotator: User,
    at: datetime,
    holding: Collection[UUID] = (),
    request: UUID | None = None,
    desk: Desk | None = None,
) -> Assignment | None:
    """Return what the annotator should rank next, or None when there is nothing.

    With `request`, a simulated annotator is sent to the items of that request, which are for simulated ones only.
    desk: the annotator's, where it is known already. Raises Paused and LimitReached where no item is given out now.

    What was returned comes first. An open lease that the page does not hold already (`holding`) is resumed before a new
    item is leased, so that a reload or a second tab comes back to the same item, with its draft.
    """
    desk = desk or desk_of(project, annotator)
    all_own = begun(desk, request)
    own = [one for one in all_own if one.pk not in holding]
    at_hand = sum(one.queued for one in all_own)
    desk.refuse_rest(at_hand - sum(one.queued for one in own), at)  # outside a transaction: nothing is rolled back
    return _lease_next(desk, at, own, at_hand, request)


@transaction.atomic(savepoint=False)
def _lease_next(
    desk: Desk, at: datetime, own: Collection[Begun], at_hand: int, request: UUID | None
) -> Assignment | None:
    for one in own:
        if one.state == Assignment.State.RETURNED or one.expires_at > at:
            return Assignment.objects.with_item().get(pk=one.pk)
    for one in own:
        # What somebody else has locked at this moment is theirs. To wait for it could be a deadlock: a submission
        # leases its next item while it holds its own.
        if _renew(one.pk, at, skip_locked=True):
            return Assignment.objects.with_item().get(pk=one.pk)
    return lease_new(desk, at, at_hand, request)


def _still_needed(assignment: Assignment, at: datetime) -> bool:
    """Tell whether a locked assignment's item needs it: its lease is live, or nobody else has taken its place.

    A web server whose clock is ahead may have given the place of a live lease away: what was counted already decides.
    """
    item = assignment.item
    if assignment.state == Assignment.State.OPEN and assignment.expires_at > at:
        return assignment.assigned_by_id is not None or item.votes < item.needs
    others = Assignment.objects.taking_part(at).filter(item=item).exclude(pk=assignment.pk)
    return others.count() < item.needs


@transaction.atomic(savepoint=False)
def _renew(pk: UUID, at: datetime, *, skip_locked: bool = False) -> bool:
    assignment = Assignment.objects.locked(skip_locked=skip_locked).filter(pk=pk).first()
    if assignment is None or assignment.state != Assignment.State.OPEN or not _still_needed(assignment, at):
        return False
    # Never shorter than it was: what was given by hand is held until it is due.
    until = Greatest(F("expires_at"), Value(at + settings.LEASE))
    return bool(Assignment.objects.filter(pk=pk).update(expires_at=until))


def heartbeat(assignment: Assignment, at: datetime) -> datetime:
    """Renew a lease and return its new expiry.

    Raises LeaseLost when it ran out and others have the item; what is submitted after that is kept all the same.
    """
    if not _renew(assignment.pk, at):
        raise LeaseLost(
            "This item went to somebody else because nothing was heard for a while. You can still submit it."
        )
    return at + settings.LEASE


@transaction.atomic(savepoint=False)
def submit(assignment: Assignment, answers: Mapping[str, Any], active_ms: int, at: datetime) -> tuple[Annotation, bool]:
    """Store the answers of an assignment that the caller holds locked; return the annotation and whether it is new.

    The assignment is the key: the same answers again change nothing and return the stored annotation. Answers that
    come after the lease ran out count where the item still needs them, and are kept as surplus where it does not.
    What a reviewer has returned is corrected: what it said before is kept. The assignment's desk follows.
    Raises AlreadySubmitted for other answers, InvalidAnswers (400) for wrong ones.
    """
    item = assignment.item
    form = form_of(item.template_version_id)
    shown = [str(pk) for pk in assignment.shown_order]
    checked = form.check_answers(answers, shown, item.prompt.text if form.needs_text else "")
    body_hash = sha256(json.dumps(checked, sort_keys=True).encode()).hexdigest()
    said = {
        "answers": checked,
        "ranking": form.ranking_of(checked, shown),
        "ties_are_equal": form.ties_are_equal(checked),
        "all_bad": form.all_bad_of(checked),
        "active_ms": _credible(active_ms, assignment, at),
        "body_hash": body_hash,
    }
    if assignment.state in {Assignment.State.SUBMITTED, Assignment.State.SURPLUS}:
        stored = assignment.annotation
        if stored.body_hash != body_hash:
            raise AlreadySubmitted("You have submitted other answers for this item already; those count.")
        return stored, False
    if assignment.state == Assignment.State.RETURNED:
        annotation = correct(assignment, said, at)
        recount(item)
        return annotation, True
    to = Assignment.State.SUBMITTED if _still_needed(assignment, at) else Assignment.State.SURPLUS
    annotation = Annotation(
        assignment=assignment,
        project_id=item.project_id,
        item=item,
        annotator_id=assignment.annotator_id,
        purpose=item.purpose,
        review_state=_review_of(assignment, to),
        created_at=at,
        **said,
    )
    now = None
    if to == Assignment.State.SUBMITTED and item.purpose == Item.Purpose.RANK:
        before = verdicts_on(item.pk) if item.votes else []
        now = count(
            item.rule, [*before, Verdict(annotation.ranking, annotation.all_bad, annotation.ties_are_equal)], item.state
        )
    store(assignment, annotation, to, now)
    return annotation, True


def _credible(active_ms: int, assignment: Assignment, at: datetime) -> int:
    """Return an active time that fits into the time since the lease: a page's clock may be wrong, the server's counts.

    A minute more is let pass, for clocks of several web servers differ.
    """
    most = (at - assignment.created_at).total_seconds() * 1_000 + 60_000
    return max(0, min(active_ms, int(most)))


def _review_of(assignment: Assignment, to: str) -> str:
    """Return whether a reviewer is to look at a new annotation."""
    desk = assignment.desk
    collected = to == Assignment.State.SUBMITTED and assignment.item.purpose == Item.Purpose.RANK
    if collected and not desk.simulated and desk.review_share and sampled(assignment.pk, desk.review_share):
        return Annotation.ReviewState.WAITING
    return ""


@transaction.atomic(savepoint=False)
def reopen(assignment: Assignment, at: datetime) -> None:
    """Take back one's last submission, as long as its lease would have lasted: its answers become the draft again.

    The caller holds the assignment locked. Raises TooLate where it is not the last one, or something came of it.
    """
    if assignment.state == Assignment.State.OPEN:
        return
    if assignment.state not in {Assignment.State.SUBMITTED, Assignment.State.SURPLUS}:
        raise TooLate("This item was skipped or returned; there is no submission to take back.")
    annotation = assignment.annotation
    newest = Annotation.objects.filter(project=annotation.project_id, annotator=annotation.annotator_id).latest("id")
    if newest.pk != annotation.pk:
        raise TooLate("Only the last submission can be taken back.")
    if annotation.created_at + settings.LEASE <= at:
        raise TooLate("This was submitted too long ago to be taken back.")
    if (
        annotation.revision
        or annotation.review_state not in {"", Annotation.ReviewState.WAITING}
        or assignment.in_training
    ):
        raise TooLate("This cannot be taken back: somebody has reviewed it, or you were told the answer.")
    Record.objects.uncount(annotation)
    annotation.delete()
    move(
        Assignment.objects.all(),
        assignment.pk,
        Assignment.State.OPEN,
        Assignment.MOVES,
        draft=annotation.answers,
        draft_version=assignment.draft_version + 1,
        # A surplus answer had no place any more: it gets one back only where nobody else has taken it.
        expires_at=at + settings.LEASE if assignment.state == Assignment.State.SUBMITTED else at,
    )
    if annotation.purpose == Item.Purpose.RANK:
        recount(assignment.item)


def skip(assignment: Assignment, reason: str) -> None:
    """Give an item back without an answer; the annotator is not asked again, others are. Skipping twice is once.

    The caller holds the assignment locked.
    """
    if assignment.state == Assignment.State.SKIPPED:
        return
    if assignment.state == Assignment.State.RETURNED:
        raise AssignmentFinished("A reviewer sent this back to you. Correct it, or submit it once more as it is.")
    if assignment.state != Assignment.State.OPEN:
        raise AssignmentFinished("This item was submitted already; it cannot be skipped any more.")
    rows = Assignment.objects.all()
    move(rows, assignment.pk, Assignment.State.SKIPPED, Assignment.MOVES, skip_reason=reason, draft=None)


def save_draft(assignment: Assignment, answers: Mapping[str, Any], version: int) -> int:
    """Keep what was entered so far and return the draft's new version.

    `version` is the draft that the page started from. Raises StaleDraft, with the newer draft, when another tab or
    device has saved since; AssignmentFinished when the item was submitted or skipped.
    """
    if fault := fault_of(answers, MAX_ANSWER_BYTES):
        raise InvalidInput(f"The draft {fault}.", fields={"answers": [fault]})
    mine = Assignment.objects.filter(pk=assignment.pk)
    unfinished = [Assignment.State.OPEN, Assignment.State.RETURNED]
    unchanged = mine.filter(state__in=unfinished, draft_version=version)
    if unchanged.update(draft=answers, draft_version=version + 1):
        return version + 1
    now = mine.get()
    if now.state not in unfinished:
        raise AssignmentFinished("This item was submitted or skipped already, perhaps in another tab.")
    raise StaleDraft(
        "A newer draft of this item was saved in another tab or on another device.",
        extra={"draft": {"answers": now.draft, "version": now.draft_version}},
    )
