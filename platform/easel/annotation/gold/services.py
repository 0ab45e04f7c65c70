"""What an answer to gold means for its annotator: measured, trained, paused."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import F

from easel.annotation.gold.scoring import cut_of, expected_order, failed, score
from easel.annotation.models import Annotation, Assignment, Gold, Record
from easel.projects.models import Membership, Project
from easel.projects.notices import notify
from easel.projects.services import pause_member

TRAINING_ITEMS = 10
"""Training items of a round."""
TO_PASS = 8
# In one exchange: it stands on the path of a submission.
_MEASURE = """
    UPDATE annotation_record SET gold = gold + 1, gold_passed = gold_passed + %(passed)s,
        gold_recent = right(gold_recent || %(passed)s::text, 20)
    WHERE project_id = %(project)s AND annotator_id = %(annotator)s RETURNING gold_recent
"""


def take(assignment: Assignment, annotation: Annotation, at: datetime) -> dict[str, Any] | None:
    """Score an answer to gold that was just stored; return what somebody in training is told of it.

    The caller holds assignment and item locked, and has counted the submission in the annotator's record. An annotator
    who fails is paused, and the project's admins are told.
    """
    gold = Gold.objects.get(item=assignment.item_id)
    passed = score(gold.answer, annotation.ranking, annotation.all_bad)
    if gold.retired_at is None and passed is not None:
        Annotation.objects.filter(pk=annotation.pk).update(passed=passed)
        annotation.passed = passed
    if gold.training:
        if gold.retired_at is None:
            _count_training(assignment, annotation, passed=bool(passed), at=at)
        return {"passed": passed, "note": gold.note, "expected": expected_order(gold.answer)}
    if annotation.passed is not None:
        _count_gold(assignment, annotation, at)
    return None


def _count_gold(assignment: Assignment, annotation: Annotation, at: datetime) -> None:
    """Add a scored answer to its annotator's window, and pause who fails. After a pause a new window begins."""
    parameters: dict[str, Any] = {
        "passed": int(bool(annotation.passed)),
        "project": annotation.project_id,
        "annotator": annotation.annotator_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(_MEASURE, parameters)
        (recent,) = cursor.fetchone()
    images = len(assignment.shown_order)
    if not failed(recent, images):
        return
    window = cut_of(images).window
    right = recent[-window:].count("1")
    _record_of(annotation).update(gold_recent="")
    _pause(
        assignment,
        "gold_failed",
        "Some of your last answers differ from ones that are known for certain. Nothing that you did is lost; the "
        "project's admins will look at it with you.",
        f"{{name}} answered {right} of the last {window} gold items as expected ({cut_of(images).least} are needed) "
        "and is paused. Look at the answers before you decide: gold can be wrong too.",
        at,
    )


def _count_training(assignment: Assignment, annotation: Annotation, *, passed: bool, at: datetime) -> None:
    """Add an answer to its annotator's training round; at the last one the round is passed or failed."""
    training = _record_of(annotation).filter(trained_at=None, training__lt=TRAINING_ITEMS)
    if not training.update(training=F("training") + 1, training_passed=F("training_passed") + int(passed)):
        return  # an answer that was on its way when the round ended
    record = _record_of(annotation).get()
    assignment.desk = replace(assignment.desk, training=record.training)
    if record.training < TRAINING_ITEMS:
        return
    if record.training_passed >= TO_PASS:
        _record_of(annotation).update(trained_at=at)
        assignment.desk = replace(assignment.desk, trained_at=at)
        return
    said = f"{record.training_passed} of {TRAINING_ITEMS} training items as expected, {TO_PASS} are needed"
    _pause(
        assignment,
        "training_failed",
        f"You answered {said}. The project's admins can give you another round.",
        f"{{name}} answered {said}. Let them pass, or give them another round.",
        at,
    )


def _record_of(annotation: Annotation) -> Any:
    return Record.objects.filter(project=annotation.project_id, annotator=annotation.annotator_id)


def _pause(assignment: Assignment, kind: str, reason: str, notice: str, at: datetime) -> None:
    project, annotator = Project.objects.get(pk=assignment.item.project_id), assignment.annotator
    pause_member(Membership.objects.get(project=project, user=annotator), reason, at)
    assignment.desk = replace(assignment.desk, paused_at=at, pause_reason=reason)
    notify(project, kind, notice.format(name=annotator.display_name), at, about=annotator)
