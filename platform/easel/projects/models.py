"""Projects and memberships."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import models
from django.db.models import Count, F, OuterRef, Q, Subquery

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
            self.filter(memberships__user=user)  # type: ignore[no-redef]  # `role` is declared below, for its readers
            .annotate(role=F("memberships__role"))
            .select_related("template_version__template")
            .order_by("-created_at")
        )

    def with_figures(self) -> ProjectQuerySet:
        """Each project with what a list of projects says of it: how many of each thing, and its newest item."""
        same = Project.objects.filter(pk=OuterRef("pk")).order_by().values("pk")

        def count(of: str, only: Q | None = None) -> Subquery:
            return Subquery(same.annotate(n=Count(of, filter=only)).values("n"))

        # Live attempts that nobody ranked are history, not work: annotation.models.ItemQuerySet.counting.
        is_work = ~Q(items__audience="requester", items__state="ready")

        return self.annotate(  # type: ignore[no-redef]  # declared below, for their readers
            prompts_count=count("prompts"),
            items_count=count("items", is_work),
            items_done_count=count("items", Q(items__state="done")),
            annotations_count=count("annotations"),
            newest_item=Subquery(
                Project.objects.filter(pk=OuterRef("pk")).order_by("-items__id").values("items__id")[:1]
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

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    guidelines = models.TextField(default="", blank=True, max_length=20_000, help_text="Markdown; annotators read it.")
    template_version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, related_name="+")
    overlap = models.PositiveSmallIntegerField(default=1, help_text="How many annotators rank each item.")
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
        constraints = [models.CheckConstraint(condition=Q(overlap__gte=1, overlap__lte=50), name="project_overlap")]

    def __str__(self) -> str:
        return self.name

    @property
    def allows(self) -> dict[str, bool]:
        """Which acts the asking user's role allows, for templates: `project.allows.manage`."""
        return {act.name.lower(): act in ALLOWED[self.role] for act in Act}


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Reads of memberships."""

    def of_project(self, project: Project) -> MembershipQuerySet:
        """The people of a project, by name."""
        return self.filter(project=project).select_related("user").order_by("user__username")

    def owners(self, project: Project) -> MembershipQuerySet:
        """The project's owners."""
        return self.filter(project=project, role=Role.OWNER)


class Membership(models.Model):
    """A user's role in a project."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField()

    by_role: str
    """The asking user's role, where the row came through an access door."""

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user}, {self.role} of {self.project}"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Reads of invitations."""

    def usable(self, at: datetime) -> InvitationQuerySet:
        """Invitations that still let somebody in."""
        return self.filter(expires_at__gt=at, uses__lt=F("max_uses"))

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

    objects = InvitationQuerySet.as_manager()

    def __str__(self) -> str:
        return f"invitation to {self.project} as {self.role}"


class ProjectTemplate(models.Model):
    """Which project a template was made in; one without such a row is the gallery's: all read it, none edits it."""

    template = models.OneToOneField(Template, on_delete=models.CASCADE, primary_key=True, related_name="belonging")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="templates")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.template} of {self.project}"
