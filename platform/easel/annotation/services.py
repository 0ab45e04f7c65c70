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
from easel.annotation import live
from easel.annotation.models import Annotation, Assignment, Item
from easel.annotation.queue import begun, next_item
from easel.annotation.texts import gather_texts
from easel.common.documents import fault_of
from easel.common.errors import Conflict, InvalidInput
from easel.common.states import move
from easel.forms.definition import MAX_ANSWER_BYTES
from easel.forms.models import form_of
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
    """Make an item of every prompt whose images of a request are all there; return how many were made. Idempotent.

    A comparison gives an item for each prompt and seed, with one image of each model. Where a project's form shows no
    images, each prompt is an item as it is.
    """
    images = {pk: form_of(pk).images for pk in Project.objects.versions_in_use(project)}
    singles = [pk for pk, shown in images.items() if shown == 1]
    waiting = GenerationRequest.objects.ungathered(project, singles).values_list("pk", flat=True)
    made = sum(_gather_request(pk, at) for pk in waiting)
    of_texts = [pk for pk, shown in images.items() if not shown]
    return made + (gather_texts(of_texts, at, project) if of_texts else 0)


@transaction.atomic
def _gather_request(pk: UUID, at: datetime) -> int:
    # Two chunks may arrive at once: the request's row makes one gather wait for the other. Recording never locks it.
    request = (
        GenerationRequest.objects.select_for_update(no_key=True, of=("self",)).select_related("project").get(pk=pk)
    )
    if request.kind != GenerationRequest.Kind.LIVE and not form_of(request.project.template_version_id).images:
        return 0  # the form shows no images: they become items when the project has one that does
    made = []
    links = []
    known = set(Item.objects.filter(request=request).values_list("prompt_id", "group"))
    is_live = request.kind == GenerationRequest.Kind.LIVE
    version = request.attempt.template_version_id if is_live else request.project.template_version_id
    for prompt_id, group, candidates in Candidate.objects.complete_sets(request, without=known):
        item = Item(
            project=request.project,
            prompt_id=prompt_id,
            group=group,
            request=request,
            template_version_id=version,
            priority=request.kind == GenerationRequest.Kind.EVALUATION,  # somebody waits for its verdict
            audience=request.audience,
            overlap=request.overlap,
            created_at=at,
        )
        made.append(item)
        links += [Item.candidates.through(item_id=item.pk, candidate_id=candidate) for candidate in candidates]
    Item.objects.bulk_create(made, batch_size=1_000)
    Item.candidates.through.objects.bulk_create(links, batch_size=2_000)
    if is_live:
        live.lease(request, made, at)
    # No image comes after a cancel or to an import: what is complete by now is all that there will be.
    all_are_there = (len(known) + len(made)) * request.images_per_item == request.images_total
    imported = request.kind == GenerationRequest.Kind.IMPORT
    if all_are_there or imported or request.cancelled_at is not None:
        GenerationRequest.objects.filter(pk=pk).update(gathered_at=at)
    return len(made)


@transaction.atomic(savepoint=False)
def lease_next(
    project: Project, annotator: User, at: datetime, holding: Collection[UUID] = (), request: UUID | None = None
) -> Assignment | None:
    """Return what the annotator should rank next, or None when there is nothing.

    With `request`, a simulated annotator is sent to the items of that request, which are for simulated ones only.

    An open lease that the page does not hold already (`holding`) is resumed before a new item is leased, so that a
    reload or a second tab comes back to the same item, with its draft.
    """
    own = [one for one in begun(project, annotator, request) if one.pk not in holding]
    for assignment in own:
        if assignment.expires_at > at:
            return assignment
    for assignment in own:
        # What somebody else has locked at this moment is theirs. To wait for it could be a deadlock: a submission
        # leases its next item while it holds its own.
        if _renew(assignment.pk, at, skip_locked=True):
            assignment.refresh_from_db(fields=["expires_at"])
            return assignment
    return _lease_new(project, annotator, at, request)


def _lease_new(project: Project, annotator: User, at: datetime, request: UUID | None) -> Assignment | None:
    """Lease an item that the annotator never had.

    How many take part is seen under the item's lock: of two who ask at the same moment each gets another item.
    """
    gone: list[UUID] = []
    while True:
        found = next_item(project, annotator, at, gone, request)
        if found is None:
            return None
        item, candidates = found
        if candidates is not None:
            break
        gone.append(item.pk)
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


def _still_needed(assignment: Assignment, at: datetime) -> bool:
    """Tell whether a locked assignment's item needs it: its lease is live, or nobody else has taken its place."""
    if assignment.state == Assignment.State.OPEN and assignment.expires_at > at:
        return True
    others = Assignment.objects.taking_part(at).filter(item=assignment.item).exclude(pk=assignment.pk)
    return others.count() < assignment.item.needs


@transaction.atomic(savepoint=False)
def _renew(pk: UUID, at: datetime, *, skip_locked: bool = False) -> bool:
    assignment = Assignment.objects.locked(skip_locked=skip_locked).filter(pk=pk).first()
    if assignment is None or assignment.state != Assignment.State.OPEN or not _still_needed(assignment, at):
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


@transaction.atomic(savepoint=False)
def submit(assignment: Assignment, answers: Mapping[str, Any], active_ms: int, at: datetime) -> tuple[Annotation, bool]:
    """Store the answers of an assignment that the caller holds locked; return the annotation and whether it is new.

    The assignment is the key: the same answers again change nothing and return the stored annotation. Answers that
    come after the lease ran out count where the item still needs them, and are kept as surplus where it does not.
    Raises AlreadySubmitted for other answers, InvalidAnswers (400) for wrong ones.
    """
    form = form_of(assignment.item.template_version_id)
    shown = [str(pk) for pk in assignment.shown_order]
    checked = form.check_answers(answers, shown, assignment.item.prompt.text if form.needs_text else "")
    body_hash = sha256(json.dumps(checked, sort_keys=True).encode()).hexdigest()
    if assignment.state in {Assignment.State.SUBMITTED, Assignment.State.SURPLUS}:
        stored = assignment.annotation
        if stored.body_hash != body_hash:
            raise AlreadySubmitted("You have submitted other answers for this item already; those count.")
        return stored, False
    to = Assignment.State.SUBMITTED if _still_needed(assignment, at) else Assignment.State.SURPLUS
    move(Assignment.objects.all(), assignment.pk, to, Assignment.MOVES, draft=None)
    annotation = Annotation.objects.create(
        assignment=assignment,
        project=assignment.item.project,
        item=assignment.item,
        annotator_id=assignment.annotator_id,
        answers=checked,
        ranking=form.ranking_of(checked, shown),
        ties_are_equal=form.ties_are_equal(checked),
        all_bad=form.all_bad_of(checked),
        active_ms=active_ms,
        body_hash=body_hash,
        created_at=at,
    )
    if to == Assignment.State.SUBMITTED and _has_enough(assignment.item):
        move(Item.objects.all(), assignment.item_id, Item.State.DONE, Item.MOVES)
    return annotation, True


def _has_enough(item: Item) -> bool:
    """Tell whether a locked item, with one submission or more, has all that it needs."""
    return item.needs == 1 or Assignment.objects.submitted(item).count() >= item.needs


def skip(assignment: Assignment, reason: str) -> None:
    """Give an item back without an answer; the annotator is not asked again, others are. Skipping twice is once.

    The caller holds the assignment locked.
    """
    if assignment.state == Assignment.State.SKIPPED:
        return
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
