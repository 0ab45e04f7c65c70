"""Projects and memberships."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Count, F, OuterRef, Q, Subquery, Value

from easel.accounts.models import User
from easel.accounts.roles import ALLOWED, Act, Role
from easel.common.ids import uuid7
from easel.forms.models import Template, TemplateVersion
from easel.registry.models import ModelVersion


class ProjectQuerySet(models.QuerySet["Project"]):
    """Reads of projects."""

    def of(self, user: User) -> ProjectQuerySet:
        """The projects that a user is a member of, newest first, each with the user's `role`."""
        return (
            self.filter(  # type: ignore[no-redef]  # `role` is declared below, for its readers
                memberships__user=user, memberships__deactivated_at=None
            )
            .annotate(role=F("memberships__role"))
            .select_related("template_version__template")
            .order_by("-created_at")
        )

    def with_figures(self) -> ProjectQuerySet:
        """Each project with what a list of projects says of it: how many of each thing, and its newest item."""
        same = Project.objects.filter(pk=OuterRef("pk")).order_by().values("pk")

        def count(of: str, only: Q | None = None) -> Subquery:
            return Subquery(same.annotate(n=Count(of, filter=only)).values("n"))

        # Live attempts that nobody ranked are history, not work: annotation.models.ItemQuerySet.counting. Gold and
        # repeats measure annotators and are counted nowhere.
        collects = Q(items__purpose="rank")
        is_work = collects & ~Q(items__audience="requester", items__state="ready")

        return self.annotate(  # type: ignore[no-redef]  # declared below, for their readers
            prompts_count=count("prompts"),
            items_count=count("items", is_work),
            items_done_count=count("items", collects & Q(items__state="done")),
            annotations_count=count("annotations", Q(annotations__purpose="rank")),
            newest_item=Subquery(
                Project.objects.filter(collects, pk=OuterRef("pk")).order_by("-items__id").values("items__id")[:1]
            ),
        )

    def versions_in_use(self, project: Project | None = None) -> models.QuerySet[Project, UUID]:
        """The ids of the template versions that projects use now, or that one of them does."""
        rows = self.filter(pk=project.pk) if project else self
        return rows.order_by().values_list("template_version", flat=True).distinct()

    def covers(self, items: Collection[UUID | None]) -> dict[UUID, list[UUID]]:
        """The ids of the images of these items, by project."""
        found: dict[UUID, list[UUID]] = {}
        rows = self.filter(items__in=[item for item in items if item]).order_by("items__candidates__id")
        for pk, candidate in rows.values_list("pk", "items__candidates__id"):
            if candidate is not None:  # an item of a text has no images
                found.setdefault(pk, []).append(candidate)
        return found


class Project(models.Model):
    """One collection of rankings: prompts, images, people, and a template version to rank with."""

    class Selection(models.TextChoices):
        """Which of its comparisons come first."""

        QUEUE = "queue", "As they were made"
        ACTIVE = "active", "Those that tell most"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    guidelines = models.TextField(default="", blank=True, max_length=20_000, help_text="Markdown; annotators read it.")
    template_version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, related_name="+")
    overlap = models.PositiveSmallIntegerField(default=1, help_text="How many annotators rank each item at first.")
    overlap_lead = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="The lead at which an item has enough; 0: when `overlap` people have ranked it.",
    )
    overlap_cap = models.PositiveSmallIntegerField(
        default=5, db_default=5, help_text="At most this many rank an item whose lead stays small."
    )
    paused_at = models.DateTimeField(null=True, blank=True, help_text="Since when nobody gets a new item.")
    pause_reason = models.CharField(
        max_length=300, default="", db_default="", blank=True, help_text="What annotators read meanwhile."
    )
    limit_day = models.PositiveIntegerField(
        null=True, blank=True, help_text="Items that one annotator may rank in a day (UTC); null: any number."
    )
    limit_total = models.PositiveIntegerField(
        null=True, blank=True, help_text="Items that one annotator may rank at all; null: any number."
    )
    gold_share = models.PositiveSmallIntegerField(
        default=10, db_default=10, help_text="Percent of items that are gold."
    )
    gold_share_first = models.PositiveSmallIntegerField(
        default=25, db_default=25, help_text="The same, of an annotator's first 20 items."
    )
    repeat_share = models.PositiveSmallIntegerField(
        default=3, db_default=3, help_text="Percent of items that are shown again, from the 51st on."
    )
    training_required = models.BooleanField(
        default=False, db_default=False, help_text="Whether annotators pass a training round first."
    )
    review_share = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Percent of annotations that a reviewer looks at."
    )
    hourly_cost = models.DecimalField(
        max_digits=8, decimal_places=2, null=True, blank=True, help_text="Of one annotator, for the cost of a pair."
    )
    sensitive_categories = ArrayField(
        models.CharField(max_length=100),
        default=list,
        db_default=Value([], ArrayField(models.CharField(max_length=100))),
        blank=True,
        help_text="Categories of prompts whose images are blurred until asked for, and that annotators may decline.",
    )
    selection = models.CharField(
        max_length=10,
        choices=Selection.choices,
        default=Selection.QUEUE,
        db_default=Selection.QUEUE,
        help_text="Which comparisons come first.",
    )
    generator = models.ForeignKey(
        ModelVersion,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        help_text="The model that makes the next round's images; an evaluation promotes one.",
    )
    live_quota_person = models.PositiveIntegerField(
        default=500, db_default=500, help_text="Images that one person may have made live in a day (UTC); 0: none."
    )
    live_quota_project = models.PositiveIntegerField(
        default=10_000, db_default=10_000, help_text="Images that all may have made live in a day (UTC); 0: none."
    )
    created_at = models.DateTimeField()

    role: str
    """The asking user's role, where the row came through an access door."""
    prompts_count: int
    items_count: int
    items_done_count: int
    annotations_count: int
    newest_item: UUID | None
    """With the counts: where the row was read for a list."""

    objects = ProjectQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(overlap__gte=1, overlap__lte=50), name="project_overlap"),
            models.CheckConstraint(
                condition=Q(overlap_lead=0) | Q(overlap_cap__gte=F("overlap"), overlap_cap__lte=50),
                name="project_overlap_cap",
            ),
            models.CheckConstraint(
                condition=Q(gold_share__lte=50, gold_share_first__lte=50, repeat_share__lte=20, review_share__lte=100),
                name="project_shares",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def unseen_notices(self) -> int:
        """How many notices wait for an admin, for the tabs; nobody else is told."""
        return Notice.objects.unseen(self).count() if self.allows["manage"] else 0

    @property
    def allows(self) -> dict[str, bool]:
        """Which acts the asking user's role allows, for templates: `project.allows.manage`."""
        return {act.name.lower(): act in ALLOWED[self.role] for act in Act}


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Reads of memberships."""

    def of_project(self, project: Project) -> MembershipQuerySet:
        """The people of a project, by name."""
        return self.filter(project=project).select_related("user").order_by("user__username")

    def active(self) -> MembershipQuerySet:
        """Those that let their user in."""
        return self.filter(deactivated_at=None)

    def owners(self, project: Project) -> MembershipQuerySet:
        """The project's owners who are let in."""
        return self.active().filter(project=project, role=Role.OWNER)

    def of(self, project: Project, user: User) -> MembershipQuerySet:
        """What a user is in a project, deactivated or not: one row, or none."""
        return self.filter(project=project, user=user)

    def rankers(self, project: Project) -> MembershipQuerySet:
        """The people of a project who may rank, paused ones too."""
        roles = [role for role, acts in ALLOWED.items() if Act.RANK in acts]
        return self.active().filter(project=project, role__in=roles)


class Membership(models.Model):
    """A user's role in a project."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField()
    deactivated_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when the user is let in no more; what they did stays theirs."
    )
    paused_at = models.DateTimeField(null=True, blank=True, help_text="Since when the user gets no new item.")
    pause_reason = models.CharField(max_length=300, default="", db_default="", blank=True)
    limit_day = models.PositiveIntegerField(
        null=True, blank=True, help_text="Items that this user may rank in a day (UTC); null: as the project says."
    )
    limit_total = models.PositiveIntegerField(null=True, blank=True, help_text="The same, at all.")

    by_role: str
    """The asking user's role, where the row came through an access door."""

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user}, {self.role} of {self.project}"

    @property
    def state(self) -> str:
        """Whether the user is active, paused or deactivated."""
        if self.deactivated_at is not None:
            return "deactivated"
        return "paused" if self.paused_at is not None else "active"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Reads of invitations."""

    def usable(self, at: datetime) -> InvitationQuerySet:
        """Invitations that still let somebody in."""
        return self.filter(expires_at__gt=at, uses__lt=F("max_uses"), withdrawn_at=None)

    def of_project(self, project: Project) -> InvitationQuerySet:
        """A project's invitations, newest first."""
        return self.filter(project=project).select_related("created_by").order_by("-id")


class Invitation(models.Model):
    """A link that makes its bearer a member. Only the hash of its secret is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10, choices=Role.choices)
    digest = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    max_uses = models.PositiveIntegerField(default=1)
    uses = models.PositiveIntegerField(default=0)
    withdrawn_at = models.DateTimeField(null=True, blank=True, help_text="Since when its link lets nobody in.")

    objects = InvitationQuerySet.as_manager()

    def __str__(self) -> str:
        return f"invitation to {self.project} as {self.role}"

    def state_at(self, at: datetime) -> str:
        """Whether it is open, used, expired or withdrawn."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        if self.expires_at <= at:
            return "expired"
        return "open" if self.uses < self.max_uses else "used"


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Reads of notices."""

    def of_project(self, project: Project) -> NoticeQuerySet:
        """All of a project's, newest first."""
        return self.filter(project=project).select_related("about", "seen_by").order_by("-id")

    def unseen(self, project: Project) -> NoticeQuerySet:
        """What nobody has put away yet, newest first."""
        return self.of_project(project).filter(seen_at=None)

    def about_person(self, user: User) -> NoticeQuerySet:
        """Those that are about one person."""
        return self.filter(about=user)


class Notice(models.Model):
    """Something that a project's admins should know: one line, until one of them puts it away."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=30, help_text="As gold_failed; for scripts.")
    text = models.CharField(max_length=500)
    about = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", null=True, blank=True)
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField(null=True, blank=True)
    seen_by = models.ForeignKey(User, on_delete=models.SET_NULL, related_name="+", null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "about"],
                condition=Q(seen_at=None),
                nulls_distinct=False,
                name="notice_unseen_once",
            )
        ]
        indexes = [models.Index(fields=["project", "-id"], condition=Q(seen_at=None), name="notice_unseen")]

    def __str__(self) -> str:
        return self.text


class ProjectTemplate(models.Model):
    """Which project a template was made in; one without such a row is the gallery's: all read it, none edits it."""

    template = models.OneToOneField(Template, on_delete=models.CASCADE, primary_key=True, related_name="belonging")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="templates")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.template} of {self.project}"
