"""Gold by the dozen: an image of an item is spoilt, or an image of quite another prompt takes its place.

A round of it is a generation request of the kind `gold`: what is to be made stands in its settings, and how far it is.
Its images stand in no list and no figure; what it makes waits until somebody has looked at it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from random import SystemRandom
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from easel.accounts.models import User
from easel.annotation.gold.copies import moment_of
from easel.annotation.gold.degrade import spoil
from easel.annotation.gold.making import make
from easel.annotation.gold.words import are_unlike
from easel.annotation.models import Annotation, Gold, Item, MadePicture
from easel.common.broker import send_on_commit
from easel.common.errors import Conflict, InvalidInput, Refusal
from easel.common.ids import uuid7_of
from easel.common.pictures import open_picture, png
from easel.common.storage import storage
from easel.forms.models import form_of
from easel.images.models import Candidate, GenerationRequest
from easel.images.previews import preview_of
from easel.projects.models import Project
from generation.storage import StorageError

logger = logging.getLogger(__name__)

TASK = "easel.annotation.make_gold"
MISMATCH = "mismatch"
KINDS = {
    "blur": "Blurred beyond recognition",
    "noise": "Drowned in noise",
    "blocks": "A few mixed-up squares",
    "colours": "Collapsed colours",
    MISMATCH: "An image of another prompt",
}
"""What can be done to an image, in words."""
MOST = 500
"""Gold items of one round."""
TRIED = 50
"""Items among whose images one of quite another prompt is looked for."""
NEWEST = 20_000
"""Items of a project that gold is made of: with a million, nobody waits for all to be looked through."""
_CHANCE = SystemRandom()


@dataclass(frozen=True)
class Round:
    """Gold that is being made, or was."""

    request: GenerationRequest
    done: int
    total: int
    skipped: int
    """Items of which nothing could be made: a file was gone, or there was no other prompt."""

    @property
    def state(self) -> str:
        """going, cancelled or done."""
        if self.request.gathered_at is not None:
            return "done"
        return "cancelled" if self.request.cancelled_at is not None else "going"


def round_of(request: GenerationRequest) -> Round:
    """Return how far a round is."""
    told = request.settings
    return Round(request, told["next"], len(told["plan"]), told["skipped"])


def newest_round(project: Project) -> Round | None:
    """Return a project's newest round of gold, if there was one."""
    found = GenerationRequest.objects.filter(project=project, kind=GenerationRequest.Kind.GOLD).order_by("-id").first()
    return round_of(found) if found else None


@transaction.atomic
def start(
    project: Project, by: User, at: datetime, *, count: int, kinds: Sequence[str] = tuple(KINDS), training: bool = False
) -> Round:
    """Have gold made of items of a project, in the background; return the round.

    kinds: what is done to images, in turn. Items that were ranked, and that nobody called all bad, come first. Raises
    InvalidInput for a wish that cannot be, Conflict while another round is being made.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    problems = {}
    if not 1 <= count <= MOST:
        problems["count"] = f"{count} gold items cannot be made at once; choose 1 to {MOST}."
    if not kinds or (unknown := [kind for kind in kinds if kind not in KINDS]):
        problems["kinds"] = (
            f"There is no kind {unknown[0][:40]!r}; choose of {', '.join(KINDS)}."
            if kinds
            else "Choose at least one kind."
        )
    if problems:
        raise InvalidInput(" ".join(problems.values()), fields={name: [said] for name, said in problems.items()})
    if pending().filter(project=project).exists():
        raise Conflict("Gold is being made already. Wait for it, or cancel it.")
    items = _fitting_items(project, count)
    if not items:
        raise InvalidInput(
            "There is no item to make gold of: it takes items of two images or more, in a form that orders them, of "
            "which no gold was made before. Generate images first."
        )
    images = Item.candidates.through.objects.filter(item__in=items).values_list("item", "candidate")
    of_item: dict[UUID, list[UUID]] = {}
    for item, candidate in images:
        of_item.setdefault(item, []).append(candidate)
    plan = [
        {"item": str(item), "candidate": str(_CHANCE.choice(of_item[item])), "how": kinds[number % len(kinds)]}
        for number, item in enumerate(items)
    ]
    request = GenerationRequest.objects.create(
        project=project,
        model_id=Candidate.objects.values_list("model", flat=True).get(pk=plan[0]["candidate"]),
        kind=GenerationRequest.Kind.GOLD,
        settings={"plan": plan, "next": 0, "skipped": 0, "training": training},
        images_per_prompt=1,
        images_total=len(plan),
        created_by=by,
        created_at=at,
    )
    send_on_commit(TASK)
    return round_of(request)


def _fitting_items(project: Project, count: int) -> list[UUID]:
    """Choose items by chance: those that people ranked first, and none that anybody called all bad."""
    if not form_of(project.template_version_id).orders:
        return []
    copies = Item.objects.filter(original=OuterRef("pk"), purpose=Item.Purpose.GOLD)
    bad = Annotation.objects.filter(item=OuterRef("pk"), all_bad=True)
    several = Item.candidates.through.objects.filter(item=OuterRef("pk")).order_by("candidate")[1:2]
    rows = Item.objects.to_rank().filter(
        ~Exists(copies),
        ~Exists(bad),
        Exists(several),
        pk__in=_newest(project.pk),
        template_version=project.template_version_id,
        request__isnull=False,
        prompt__held_out=False,
        flagged_at=None,
    )
    rows = rows.exclude(state=Item.State.ASIDE).exclude(audience=GenerationRequest.Audience.REQUESTER)
    ranked = list(rows.filter(votes__gt=0).order_by("spot").values_list("pk", flat=True)[:count])
    others = rows.filter(votes=0).order_by("spot").values_list("pk", flat=True)[: count - len(ranked)]
    return [*ranked, *others]


def pending() -> QuerySet[GenerationRequest]:
    """Rounds that are not finished."""
    return GenerationRequest.objects.filter(kind=GenerationRequest.Kind.GOLD, gathered_at=None, cancelled_at=None)


@transaction.atomic
def cancel(project: Project, at: datetime) -> None:
    """Make no more of a round; what it made stays, and waits to be looked at."""
    pending().filter(project=project).update(cancelled_at=at)


def advance(at: datetime) -> int:
    """Go on with every round; return how many items were looked at. Idempotent: two who come at once share the work."""
    done = 0
    for pk in pending().order_by("id").values_list("pk", flat=True):
        while _make_next(pk, at):
            done += 1
    return done


@transaction.atomic
def _make_next(pk: UUID, at: datetime) -> bool:
    """Make the next gold item of a round; tell whether one was left. Whoever comes while another does is not needed."""
    request = pending().select_for_update(skip_locked=True, no_key=True, of=("self",)).filter(pk=pk).first()
    if request is None:
        return False
    told = request.settings
    if told["next"] == len(told["plan"]):
        GenerationRequest.objects.filter(pk=pk).update(gathered_at=at)
        return False
    made = _make_one(request, told["plan"][told["next"]], at)
    settings = {**told, "next": told["next"] + 1, "skipped": told["skipped"] + (not made)}
    GenerationRequest.objects.filter(pk=pk).update(settings=settings)
    return True


def _make_one(request: GenerationRequest, planned: dict[str, Any], at: datetime) -> bool:
    item = Item.objects.select_related("prompt").filter(pk=planned["item"]).first()
    victim = Candidate.objects.filter(pk=planned["candidate"]).first()
    if item is None or victim is None:  # deleted since
        return False
    try:
        spoilt = _picture(request, item, victim, planned["how"], at)
        if spoilt is None:
            return False
        others = [pk for pk in item.candidates.values_list("pk", flat=True) if pk != victim.pk]
        Candidate.objects.bulk_create([spoilt])
        gold = make(
            item,
            {"pairs": [[str(other), str(spoilt.pk)] for other in others], "all_bad": None},
            request.created_by,
            at,
            source=Gold.Source.MISMATCHED if planned["how"] == MISMATCH else Gold.Source.DEGRADED,
            note=_note(planned["how"]),
            training=request.settings["training"],
            candidates=[*others, spoilt.pk],
            looked_at=False,
        )
    except (Refusal, StorageError) as error:
        logger.warning("no gold of item %s: %s", item.pk, error)
        return False
    MadePicture.objects.create(gold=gold, original=victim, candidate=spoilt, how=planned["how"])
    return True


def _note(how: str) -> str:
    if how == MISMATCH:
        return "One image shows something else than the prompt asks for: it belongs at the end."
    return "One image is spoilt beyond recognition: it belongs at the end."


def _picture(request: GenerationRequest, item: Item, victim: Candidate, how: str, at: datetime) -> Candidate | None:
    """Return an unsaved candidate to take an image's place; None where there is none.

    Nothing that annotators get tells it apart: its id is of the same moment as those beside it, its size is the same.
    """
    if how == MISMATCH:
        source = _stranger(item, victim)
        if source is None:
            return None
        file = {name: getattr(source, name) for name in ("key", "sha256", "size", "preview_key")}
    else:
        image = open_picture("the image", storage().read(victim.key))
        content = png(spoil(image, how, _CHANCE.getrandbits(32)))
        file = {
            "key": storage().put(content, "png"),
            "sha256": sha256(content).hexdigest(),
            "size": len(content),
            "preview_key": storage().put(preview_of(content), "webp"),
        }
    return Candidate(
        id=uuid7_of(moment_of(victim.pk)),
        request=request,
        prompt_id=item.prompt_id,
        model_id=victim.model_id,
        position=request.settings["next"],
        seed=victim.seed,
        width=victim.width,
        height=victim.height,
        manifest={},
        metadata={},
        created_at=at,
        **file,
    )


def _newest(project: UUID) -> QuerySet[Item, UUID]:
    return Item.objects.to_rank().filter(project=project).order_by("-pk").values_list("pk", flat=True)[:NEWEST]


def _stranger(item: Item, victim: Candidate) -> Candidate | None:
    """Return an image of the same size and, if there is one, the same model, whose prompt asks for something else."""
    others = list(_newest(item.project_id))
    rows = Candidate.objects.collected().filter(
        items__in=_CHANCE.sample(others, min(TRIED, len(others))),
        width=victim.width,
        height=victim.height,
        prompt__held_out=False,
    )
    rows = rows.exclude(prompt=item.prompt_id).exclude(request__kind=GenerationRequest.Kind.LIVE)
    found = [one for one in rows.select_related("prompt") if are_unlike(item.prompt.text, one.prompt.text)]
    same = [one for one in found if one.model_id == victim.model_id]
    return _CHANCE.choice(same or found) if found else None
