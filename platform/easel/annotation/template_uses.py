"""What a template's use means for items: a project moves to another version, a template that nobody uses is deleted."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from easel.accounts.models import User
from easel.annotation.models import Assignment, Item
from easel.common.broker import send_on_commit
from easel.common.errors import Conflict, NotFound
from easel.forms.models import Template, TemplateVersion
from easel.images.models import Attempt
from easel.projects.access import inspected_by
from easel.projects.models import Project
from easel.projects.template_services import hold
from easel.prompts.services import GATHER

BATCH = 200
"""Items that are moved at once."""
NAMED = 3
"""Projects that a refusal names."""


class TemplateInUse(Conflict):
    """A template that projects use, or that collected answers belong to."""

    code = "template_in_use"


@dataclass(frozen=True)
class Moved:
    """What happened to the items of a project that moved to another version."""

    template_version: TemplateVersion
    items_moved: int
    items_kept: int
    """Items that wait still and keep their version: somebody began them, or they have another number of images."""


def use_template(project: Project, version: TemplateVersion) -> Moved:
    """Have a project use a version from now on.

    Items that are made from now on get it, and so do those that nobody has begun and whose number of images fits.
    The others keep theirs, and so do all answers. Doing it again moves what an interruption left.
    """
    with transaction.atomic():
        hold(version)
        Project.objects.filter(pk=project.pk).update(template_version=version)
        if not version.form.images:
            send_on_commit(GATHER, project=str(project.pk))
    # A few at a time, the last of the queue first and never all of them: whoever asks for something to rank at this
    # moment passes over locked items, and must not be told that nothing is left.
    waiting = list(fitting_items(project, version).order_by("priority", "-pk").values_list("pk", flat=True))
    size = max(1, min(BATCH, len(waiting) // 2))
    moved = sum(_move(waiting[start : start + size], version) for start in range(0, len(waiting), size))
    _move_gold(project, version)
    return Moved(version, moved, _waiting(project, version).count())


@transaction.atomic
def _move(items: list[UUID], version: TemplateVersion) -> int:
    """Give items another version, but those that somebody has begun by now, or is being given this moment."""
    rows = Item.objects.filter(pk__in=items, state=Item.State.READY)
    free = list(rows.select_for_update(of=("self",), no_key=True, skip_locked=True).values_list("pk", flat=True))
    begun = Assignment.objects.filter(item__in=free).values("item")
    return Item.objects.filter(pk__in=free).exclude(pk__in=begun).update(template_version=version)


@transaction.atomic
def _move_gold(project: Project, version: TemplateVersion) -> None:
    """Give gold that fits the version too: by another form than that of the others, annotators would know it.

    Its answers were scored as they came, so that it does not matter who has begun it before; what somebody holds at
    this moment keeps its form.
    """
    if not version.form.orders or version.form.live:
        return
    held = Assignment.objects.filter(item=OuterRef("pk"), state=Assignment.State.OPEN, expires_at__gt=Now())
    rows = Item.objects.filter(~Exists(held), project=project, purpose=Item.Purpose.GOLD).exclude(
        template_version=version
    )
    fitting = rows.annotate(images=Count("candidates")).filter(images=version.form.images).values_list("pk", flat=True)
    Item.objects.filter(pk__in=list(fitting)).update(template_version=version)


def _waiting(project: Project, version: TemplateVersion) -> QuerySet[Item]:
    """Items that are not done and have another version than this one."""
    rows = Item.objects.counting().filter(project=project, state=Item.State.READY)
    return rows.exclude(template_version=version)


def fitting_items(project: Project, version: TemplateVersion) -> QuerySet[Item]:
    """Items of a project that wait with another version, that nobody has begun, and whose images this one can show."""
    rows = _waiting(project, version).filter(assignments__isnull=True)
    if version.form.live:  # there the annotators ask for images; what waits is ranked in the form it was made for
        return rows.none()
    return rows.annotate(images=Count("candidates")).filter(images=version.form.images)


def waiting_items(project: Project, version: TemplateVersion) -> tuple[int, int]:
    """Return how many items would move to a version with their project, and how many would keep theirs."""
    moving = fitting_items(project, version).count()
    return moving, _waiting(project, version).count() - moving


@transaction.atomic
def delete_template(template: Template, by: User) -> None:
    """Delete a template with its draft and versions. Raises TemplateInUse, which names the projects that use it.

    `by` is told the names of projects that they are a member of, and the number of the others.
    """
    if not Template.objects.select_for_update().filter(pk=template.pk).exists():  # whoever takes it up meanwhile waits
        raise NotFound("template")
    using = Project.objects.filter(template_version__template=template)
    if using.exists():
        raise TemplateInUse(
            f"{template.name} is used by {_named(using, by)}. Move to another template there first, then delete it.",
            fields=_fields(using, by),
        )
    made_with = {"template_version__template": template}
    kept = Project.objects.filter(
        Q(pk__in=Item.objects.filter(**made_with).values("project"))
        | Q(pk__in=Attempt.objects.filter(**made_with).values("project"))
    )
    if kept.exists():
        raise TemplateInUse(
            f"{template.name} has items in {_named(kept, by)}, whose answers can be read only with it. Keep it: a "
            "template that no project uses is in nobody's way.",
            fields=_fields(kept, by),
        )
    template.versions.all().delete()
    Template.objects.filter(pk=template.pk).delete()


def _named(projects: QuerySet[Project], by: User) -> str:
    """Name those of the projects that `by` inspects, and count the others."""
    names = list(projects.filter(pk__in=inspected_by(by)).order_by("name").values_list("name", flat=True))
    told = [f"“{name}”" for name in names[:NAMED]]
    if others := projects.count() - len(told):
        told.append(f"{others} other project{'' if others == 1 else 's'}")
    return f"{', '.join(told[:-1])} and {told[-1]}" if len(told) > 1 else told[0]


def _fields(projects: QuerySet[Project], by: User) -> dict[str, list[str]]:
    mine = projects.filter(pk__in=inspected_by(by)).values_list("pk", flat=True)
    return {"projects": [str(pk) for pk in mine]}
