"""What admins keep of their looking around: queries by name, and sets of items; and how overlap changes go on."""

from __future__ import annotations

from django.db import models

from easel.accounts.models import User
from easel.annotation.models.items import Item
from easel.common.ids import uuid7
from easel.projects.models import Project


class SavedQuery(models.Model):
    """Filters over items and annotations, by a name."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="queries")
    name = models.CharField(max_length=100)
    filters = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="query_name_once")]

    def __str__(self) -> str:
        return self.name


class Subset(models.Model):
    """Items of a project that somebody chose, by a name."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="subsets")
    name = models.CharField(max_length=100)
    items = models.ManyToManyField(Item, related_name="subsets")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="subset_name_once")]

    def __str__(self) -> str:
        return self.name


class Matchup(models.Model):
    """Two models that a project's items compare, and how likely the next item is to be one of theirs."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="matchups")
    key = models.CharField(max_length=16, help_text="As Item.matchup.")
    votes = models.PositiveIntegerField(default=0)
    information = models.FloatField(default=0, help_text="Expected of one more vote.")
    probability = models.FloatField(default=0, help_text="Of being drawn next, 0 to 1.")
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="matchup_once")]

    def __str__(self) -> str:
        return f"matchup {self.key}"


class RecountQuerySet(models.QuerySet["Recount"]):
    """Reads of recounts."""

    def of(self, project: Project) -> Recount | None:
        """The one that is going on in a project, if there is one."""
        return self.filter(project=project).first()


class Recount(models.Model):
    """A change of a project's overlap on its way through the items. There is a row as long as some are left."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="recount")
    after = models.UUIDField(null=True, help_text="The last item that follows the new rule; null: none does yet.")
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField()
    started_at = models.DateTimeField()

    objects = RecountQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.done} of {self.total} items recounted"
