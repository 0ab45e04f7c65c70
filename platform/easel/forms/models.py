"""Templates and their versions."""

from __future__ import annotations

from functools import cached_property, lru_cache
from uuid import UUID

from django.db import models
from django.db.models import Max

from easel.accounts.models import User
from easel.common.errors import NotFound
from easel.common.ids import uuid7
from easel.forms.definition import Definition
from easel.forms.reading import parse_definition


class TemplateQuerySet(models.QuerySet["Template"]):
    """Reads of templates."""

    def named(self, value: str) -> Template | None:
        """The template of that id or key."""
        try:
            return self.filter(models.Q(pk=UUID(value)) | models.Q(key=value)).first()
        except ValueError:
            return self.filter(key=value).first()

    def with_published(self) -> TemplateQuerySet:
        """Templates with the number of their newest version as `published`; None where there is none yet."""
        return self.annotate(published=Max("versions__number"))  # type: ignore[no-redef]  # declared below

    def published(self) -> TemplateQuerySet:
        """Templates that a project can use: those with a version."""
        return self.filter(versions__isnull=False).distinct()


class Template(models.Model):
    """A form that admins choose for their projects."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.SlugField(
        max_length=60, unique=True, help_text="The folder of a gallery template; made of the name for others."
    )
    name = models.CharField(max_length=100)
    description = models.TextField(default="", blank=True)

    published: int | None
    """The number of its newest version."""
    home: UUID | None
    """The project that it was made in; None: the gallery's."""
    role: str | None
    """The asking user's role there; all three where the row came through the access door or a list of it."""

    objects = TemplateQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def latest(self) -> TemplateVersion:
        """The newest published version."""
        return self.versions.latest("number")

    def version_numbered(self, number: int) -> TemplateVersion:
        """The version of that number. Raises NotFound."""
        found = self.versions.filter(number=min(number, 2**31 - 1)).first()
        if found is None:
            raise NotFound(f"version {number} of this template")
        return found


class TemplateVersion(models.Model):
    """One published state of a template; a trigger in the database refuses any change of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    template = models.ForeignKey(Template, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.JSONField()
    published_at = models.DateTimeField()
    published_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    note = models.CharField(max_length=500, default="", db_default="", blank=True, help_text="What it is for.")

    class Meta:
        ordering = ["template", "number"]
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="template_version_number")]

    def __str__(self) -> str:
        return f"{self.template.name}, version {self.number}"

    @cached_property
    def form(self) -> Definition:
        """The definition, parsed."""
        return parse_definition(self.definition)


class TemplateDraft(models.Model):
    """What the builder keeps between two versions: a definition that may still be wrong."""

    template = models.OneToOneField(Template, on_delete=models.CASCADE, primary_key=True, related_name="draft")
    definition = models.JSONField(help_text="An object; `drafts.readable` bounds it, and only publishing parses it.")
    version = models.PositiveIntegerField(default=1, help_text="Counts the saves: who saves over another's is told.")
    updated_at = models.DateTimeField()
    updated_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", null=True, blank=True)

    def __str__(self) -> str:
        return f"draft of {self.template.name}"


@lru_cache(maxsize=500)
def form_of(version: UUID) -> Definition:
    """Return the form of a version, read and parsed once in a process: a published version never changes."""
    return TemplateVersion.objects.get(pk=version).form
