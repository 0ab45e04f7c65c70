"""Which prompts are kept for evaluations. Here, and not among the prompts, because it hangs on what was ranked."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from easel.annotation.models import Annotation
from easel.common.errors import Conflict, InvalidInput, NotFound
from easel.images.models import GenerationRequest
from easel.projects.models import Project
from easel.prompts.models import Prompt


def learned_from(project: Project) -> QuerySet[Prompt]:
    """The prompts that were ranked outside of evaluations: a model may have been trained on them."""
    ranked = Annotation.objects.collected(project).exclude(item__request__kind=GenerationRequest.Kind.EVALUATION)
    return Prompt.objects.for_rounds(project).filter(pk__in=ranked.values("item__prompt"))


@transaction.atomic
def hold_out(project: Project, pk: UUID, *, held_out: bool) -> None:
    """Keep a prompt for evaluations, or give it to the rounds again.

    Raises NotFound for a prompt of another project, Conflict for one that was ranked: a model may know it already.
    """
    prompt = Prompt.objects.select_for_update(no_key=True).filter(project=project, pk=pk).first()
    if prompt is None:
        raise NotFound("prompt")
    if held_out and learned_from(project).filter(pk=pk).exists():
        raise Conflict(
            "Images of this prompt were ranked, so a model may have been trained on it: it cannot prove anything any "
            "more. Hold out another, or import a new one."
        )
    Prompt.objects.filter(pk=pk).update(held_out=held_out)


@transaction.atomic
def hold_out_share(project: Project, percent: int) -> int:
    """Hold prompts out by chance until they are that share of all; return how many that were.

    Those that were ranked are never taken. The same prompts give the same choice: it hangs on their texts alone.
    """
    if not 1 <= percent <= 90:
        message = f"{percent} is no share that can be held out; give 1 to 90 per cent."
        raise InvalidInput(message, fields={"percent": [message]})
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    wanted = -(-Prompt.objects.of_project(project).count() * percent // 100)
    missing = wanted - Prompt.objects.held_out(project).count()
    if missing <= 0:
        return 0
    free = Prompt.objects.for_rounds(project).exclude(pk__in=learned_from(project).values("pk"))
    chosen = list(free.order_by("digest").values_list("pk", flat=True)[:missing])
    if not chosen:
        raise Conflict("Every prompt was ranked already, so none can be held out. Import new ones.")
    return Prompt.objects.filter(pk__in=chosen).update(held_out=True)
