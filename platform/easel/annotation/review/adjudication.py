"""The last word on an item whose annotators disagree. Its ranking counts in place of theirs; it can be withdrawn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from easel.accounts.models import User
from easel.annotation.models import Adjudication, Annotation, Item
from easel.annotation.review.judging import judging_part
from easel.annotation.review.services import OwnWork, words_of
from easel.common.errors import Conflict, InvalidInput, NotFound
from easel.forms.models import form_of
from easel.images.models import GenerationRequest


class DecidedMeanwhile(Conflict):
    """Somebody else has decided an item."""

    code = "decided_meanwhile"


@transaction.atomic
def adjudicate(
    item: Item,
    by: User,
    at: datetime,
    *,
    chosen: Annotation | None = None,
    answers: Mapping[str, Any] | None = None,
    comment: str = "",
) -> Adjudication:
    """Decide an item: by one of its annotators' answers (`chosen`), or by `answers` of one's own to the components of
    its form that order images. One's own decision may be replaced.

    Raises OwnWork for one who ranked the item, DecidedMeanwhile where somebody else was first, InvalidInput for what
    cannot be decided.
    """
    held = _lock(item)
    _refuse(held, by)
    former = Adjudication.objects.select_related("by").filter(item=held).first()
    if former and former.by_id != by.pk:
        raise DecidedMeanwhile(f"{former.by.display_name} has decided this item. Withdraw that first, to decide anew.")
    if chosen is not None:
        said = _as_chosen(held, chosen)
    elif answers is not None:
        said = _as_answered(held, answers)
    else:
        raise InvalidInput("Name the annotation whose answer is taken, or give answers of your own.")
    made, _ = Adjudication.objects.update_or_create(
        item=held, defaults={**said, "by": by, "chosen": chosen, "comment": words_of(comment), "created_at": at}
    )
    return made


@transaction.atomic
def withdraw(item: Item) -> None:
    """Take a decision back: what the annotators said counts again. Raises NotFound where there is none."""
    deleted, _ = Adjudication.objects.filter(item=_lock(item)).delete()
    if not deleted:
        raise NotFound("decision")


def _lock(item: Item) -> Item:
    rows = Item.objects.select_related("prompt").select_for_update(no_key=True, of=("self",))
    return rows.get(pk=item.pk)


def _refuse(item: Item, by: User) -> None:
    if item.purpose != Item.Purpose.RANK:
        raise InvalidInput("This item measures annotators: its answer is known, and nobody decides it.")
    if item.request is not None and item.request.kind == GenerationRequest.Kind.EVALUATION:
        raise InvalidInput("This item belongs to a blind comparison of models: only the votes count there.")
    said = list(item.annotations.values_list("annotator", flat=True))
    if not said:
        raise InvalidInput("Nobody has ranked this item yet, so there is nothing to decide.")
    if by.pk in said:
        raise OwnWork("You have ranked this item yourself. Another reviewer has to decide it.")


def _as_chosen(item: Item, chosen: Annotation) -> dict[str, Any]:
    if chosen.item_id != item.pk:
        raise InvalidInput("This annotation is of another item.", fields={"annotation": ["is of another item"]})
    return {"ranking": chosen.ranking, "ties_are_equal": chosen.ties_are_equal, "all_bad": chosen.all_bad}


def _as_answered(item: Item, answers: Mapping[str, Any]) -> dict[str, Any]:
    form = judging_part(form_of(item.template_version_id))
    candidates = [str(pk) for pk in item.candidates.order_by("pk").values_list("pk", flat=True)]
    checked = form.check_answers(answers, candidates)
    said = {
        "ranking": form.ranking_of(checked, candidates),
        "ties_are_equal": form.ties_are_equal(checked),
        "all_bad": form.all_bad_of(checked),
    }
    if not said["ranking"] and not said["all_bad"]:
        raise InvalidInput("Nothing is ranked yet. Put the images in order, or say that none is acceptable.")
    return said
