"""The life of an item: gathered, leased, drafted, submitted, skipped. Every write to these tables is here."""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from easel.accounts.models import User
from easel.annotation.models import Annotation, Assignment, Item
from easel.common.documents import fault_of
from easel.common.errors import Conflict, InvalidInput
from easel.common.states import move
from easel.forms.definition import MAX_ANSWER_BYTES
from easel.images.models import Candidate, GenerationRequest
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


class AssignmentFinished(Conflict):
    """The assignment was submitted or skipped."""

    code = "assignment_finished"


def gather(at: datetime, project: Project | None = None) -> int:
    """Make an item of every prompt whose images of a request are all there; return how many were made. Idempotent."""
    return sum(
        _gather_request(pk, at) for pk in GenerationRequest.objects.ungathered(project).values_list("pk", flat=True)
    )


@transaction.atomic
def _gather_request(pk: UUID, at: datetime) -> int:
    # Two chunks may arrive at once: the request's row makes one gather wait for the other. Recording never locks it.
    request = (
        GenerationRequest.objects.select_for_update(no_key=True, of=("self",)).select_related("project").get(pk=pk)
    )
    made = []
    links = []
    known = set(Item.objects.filter(request=request).values_list("prompt_id", flat=True))
    for prompt_id, candidates in Candidate.objects.complete_sets(request, without=known):
        item = Item(
            project=request.project,
            prompt_id=prompt_id,
            request=request,
            template_version_id=request.project.template_version_id,
            created_at=at,
        )
        made.append(item)
        links += [Item.candidates.through(item_id=item.pk, candidate_id=candidate) for candidate in candidates]
    Item.objects.bulk_create(made, batch_size=1_000)
    Item.candidates.through.objects.bulk_create(links, batch_size=2_000)
    if Item.objects.filter(request=request).count() * request.images_per_prompt == request.images_total:
        GenerationRequest.objects.filter(pk=pk).update(gathered_at=at)
    return len(made)


@transaction.atomic
def lease_next(project: Project, annotator: User, at: datetime, holding: Collection[UUID] = ()) -> Assignment | None:
    """Return what the annotator should rank next, or None when there is nothing.

    An open lease that the page does not hold already (`holding`) is resumed before a new item is leased, so that a
    reload or a second tab comes back to the same item, with its draft.
    """
    own = [one for one in Assignment.objects.open_of(annotator, project) if one.pk not in holding]
    for assignment in own:
        if assignment.expires_at > at:
            return assignment
    for assignment in own:
        if _renew(assignment.pk, at):
            assignment.refresh_from_db(fields=["expires_at"])
            return assignment
    return _lease_new(project, annotator, at)


def _lease_new(project: Project, annotator: User, at: datetime) -> Assignment | None:
    """Lease an item that the annotator never had.

    The item's row is locked without waiting, so that two annotators who ask at the same moment get different items.
    How many take part is counted again under the lock: the search looked before it was held.
    """
    full: list[UUID] = []
    while True:
        wanted = Item.objects.leasable_by(annotator, project, at).exclude(pk__in=full)
        item = wanted.select_for_update(skip_locked=True, no_key=True, of=("self",)).first()
        if item is None:
            return None
        if Assignment.objects.taking_part(at).filter(item=item).count() < project.overlap:
            break
        full.append(item.pk)
    candidates = list(item.candidates.order_by("id"))
    shown = random.SystemRandom().sample(candidates, len(candidates))
    assignment = Assignment.objects.create(
        item=item,
        annotator=annotator,
        shown_order=[candidate.pk for candidate in shown],
        expires_at=at + settings.LEASE,
        created_at=at,
    )
    assignment.shown = shown
    return assignment


def _lock(pk: UUID) -> Assignment:
    """Lock an assignment and its item, in one statement, for the rest of the transaction."""
    return (
        Assignment.objects.select_for_update(no_key=True, of=("self", "item"))
        .select_related("item__project")
        .get(pk=pk)
    )


def _still_needed(assignment: Assignment, at: datetime) -> bool:
    """Tell whether a locked assignment's item needs it: its lease is live, or nobody else has taken its place."""
    if assignment.state == Assignment.State.OPEN and assignment.expires_at > at:
        return True
    others = Assignment.objects.taking_part(at).filter(item=assignment.item).exclude(pk=assignment.pk)
    return others.count() < assignment.item.project.overlap


@transaction.atomic
def _renew(pk: UUID, at: datetime) -> bool:
    assignment = _lock(pk)
    if assignment.state != Assignment.State.OPEN or not _still_needed(assignment, at):
        return False
    return bool(Assignment.objects.filter(pk=pk).update(expires_at=at + settings.LEASE))


def heartbeat(assignment: Assignment, at: datetime) -> datetime:
    """Renew a lease and return its new expiry.

    Raises LeaseLost when it ran out and others have the item; what is submitted after that is kept all the same.
    """
    if not _renew(assignment.pk, at):
        raise LeaseLost(
            "This item went to somebody else because nothing was heard for a while. You can still submit it."
        )
    return at + settings.LEASE


@transaction.atomic
def submit(assignment: Assignment, answers: Mapping[str, Any], active_ms: int, at: datetime) -> tuple[Annotation, bool]:
    """Store the answers of an assignment; return the annotation and whether it is new.

    The assignment is the key: the same answers again change nothing and return the stored annotation. Answers that
    come after the lease ran out count where the item still needs them, and are kept as surplus where it does not.
    Raises AlreadySubmitted for other answers, InvalidAnswers (400) for wrong ones.
    """
    form = assignment.item.template_version.form
    checked = form.check_answers(answers, (str(pk) for pk in assignment.shown_order))
    body_hash = sha256(json.dumps(checked, sort_keys=True).encode()).hexdigest()
    locked = _lock(assignment.pk)
    if locked.state in {Assignment.State.SUBMITTED, Assignment.State.SURPLUS}:
        stored = locked.annotation
        if stored.body_hash != body_hash:
            raise AlreadySubmitted("You have submitted other answers for this item already; those count.")
        return stored, False
    to = Assignment.State.SUBMITTED if _still_needed(locked, at) else Assignment.State.SURPLUS
    move(Assignment.objects.all(), locked.pk, to, Assignment.MOVES, draft=None)
    annotation = Annotation.objects.create(
        assignment=locked,
        project=locked.item.project,
        item=locked.item,
        annotator_id=locked.annotator_id,
        answers=checked,
        ranking=checked.get(form.first("ranking") or "", []),
        all_bad=checked.get(form.first("all_bad") or "", False),
        active_ms=active_ms,
        body_hash=body_hash,
        created_at=at,
    )
    _finish_if_complete(locked.item)
    return annotation, True


def _finish_if_complete(item: Item) -> None:
    """Close a locked item once it has all the annotations it needs."""
    if item.state != Item.State.READY:
        return
    if Assignment.objects.filter(item=item, state=Assignment.State.SUBMITTED).count() >= item.project.overlap:
        move(Item.objects.all(), item.pk, Item.State.DONE, Item.MOVES)


@transaction.atomic
def skip(assignment: Assignment, reason: str) -> None:
    """Give an item back without an answer; the annotator is not asked again, others are. Skipping twice is once."""
    locked = _lock(assignment.pk)
    if locked.state == Assignment.State.SKIPPED:
        return
    if locked.state != Assignment.State.OPEN:
        raise AssignmentFinished("This item was submitted already; it cannot be skipped any more.")
    move(
        Assignment.objects.all(), locked.pk, Assignment.State.SKIPPED, Assignment.MOVES, skip_reason=reason, draft=None
    )


def save_draft(assignment: Assignment, answers: Mapping[str, Any], version: int) -> int:
    """Keep what was entered so far and return the draft's new version.

    `version` is the draft that the page started from. Raises StaleDraft, with the newer draft, when another tab or
    device has saved since; AssignmentFinished when the item was submitted or skipped.
    """
    if fault := fault_of(answers, MAX_ANSWER_BYTES):
        raise InvalidInput(f"The draft {fault}.", fields={"answers": [fault]})
    mine = Assignment.objects.filter(pk=assignment.pk)
    unchanged = mine.filter(state=Assignment.State.OPEN, draft_version=version)
    if unchanged.update(draft=answers, draft_version=version + 1):
        return version + 1
    now = mine.get()
    if now.state != Assignment.State.OPEN:
        raise AssignmentFinished("This item was submitted or skipped already, perhaps in another tab.")
    raise StaleDraft(
        "A newer draft of this item was saved in another tab or on another device.",
        extra={"draft": {"answers": now.draft, "version": now.draft_version}},
    )
