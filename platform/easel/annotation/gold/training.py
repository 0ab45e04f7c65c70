"""Training rounds: switched on and off, passed, waived, begun anew; and who is where in theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from easel.accounts.models import User
from easel.annotation.gold.services import TRAINING_ITEMS
from easel.annotation.models import Annotation, Assignment, Gold, Record
from easel.common.errors import Conflict, NotFound
from easel.projects.models import Membership, Project
from easel.projects.services import resume_member


class TooFewTrainingItems(Conflict):
    """A training round cannot be held."""

    code = "too_few_training_items"


@transaction.atomic
def require(project: Project, *, required: bool) -> None:
    """Have annotators of a project pass a training round first, or no longer. Raises TooFewTrainingItems."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    there = Gold.objects.for_training().filter(project=project).count()
    if required and there < TRAINING_ITEMS:
        raise TooFewTrainingItems(
            f"Training needs {TRAINING_ITEMS} training items, and there {'is' if there == 1 else 'are'} {there}. "
            "Make gold and use it for training first."
        )
    Project.objects.filter(pk=project.pk).update(training_required=required)


@dataclass(frozen=True)
class Trainee:
    """Somebody who ranks in a project, and how far their training is."""

    member: Membership
    record: Record | None

    @property
    def state(self) -> str:
        """passed, failed (all items answered, too few as expected), begun or new."""
        if self.record is None or not (self.record.training or self.record.trained_at):
            return "new"
        if self.record.trained_at is not None:
            return "passed"
        return "failed" if self.record.training >= TRAINING_ITEMS else "begun"


def trainees(project: Project) -> list[Trainee]:
    """Return the people who rank in a project, those who failed first."""
    members = Membership.objects.rankers(project).filter(user__kind=User.Kind.HUMAN).select_related("user")
    records = {one.annotator_id: one for one in Record.objects.filter(project=project)}
    found = [Trainee(one, records.get(one.user_id)) for one in members.order_by("user__username")]
    order = ["failed", "begun", "new", "passed"]
    return sorted(found, key=lambda one: order.index(one.state))


def trainee_of(project: Project, member: Membership) -> Trainee:
    """Return how far a member's training is."""
    return Trainee(member, Record.objects.filter(project=project, annotator=member.user_id).first())


@transaction.atomic
def let_pass(member: Membership, at: datetime) -> None:
    """Let a member rank without training, or although they failed it."""
    _refuse_one_who_cannot_rank(member)
    Record.objects.update_or_create(
        project_id=member.project_id, annotator_id=member.user_id, defaults={"trained_at": at}
    )
    resume_member(member)


@transaction.atomic
def give_round(member: Membership) -> None:
    """Give a member another round of training, of items that they have not had where there are enough.

    Else those that they answered first come again: their former answers to these are forgotten. Raises
    TooFewTrainingItems where the project has too few.
    """
    _refuse_one_who_cannot_rank(member)
    items = Gold.objects.for_training().filter(project=member.project_id)
    if (there := items.count()) < TRAINING_ITEMS:
        raise TooFewTrainingItems(
            f"A round needs {TRAINING_ITEMS} training items, and {there} are in use. Make more first."
        )
    had = Assignment.objects.filter(annotator=member.user_id, item__in=items.values("pk"))
    again = list(had.order_by("id").values_list("pk", flat=True)[: max(0, had.count() + TRAINING_ITEMS - there)])
    Annotation.objects.filter(assignment__in=again).delete()
    Assignment.objects.filter(pk__in=again).delete()
    Record.objects.update_or_create(
        project_id=member.project_id,
        annotator_id=member.user_id,
        defaults={"training": 0, "training_passed": 0, "trained_at": None},
    )
    resume_member(member)


def _refuse_one_who_cannot_rank(member: Membership) -> None:
    project = Project.objects.get(pk=member.project_id)
    if not Membership.objects.rankers(project).filter(pk=member.pk).exists():
        raise NotFound("annotator")
