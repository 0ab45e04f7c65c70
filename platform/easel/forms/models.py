"""Templates and their versions."""

from __future__ import annotations

from functools import cached_property, lru_cache
from uuid import UUID

from django.db import models

from easel.common.ids import uuid7
from easel.forms.definition import Definition, parse_definition


class TemplateQuerySet(models.QuerySet["Template"]):
    """Reads of templates."""

    def named(self, value: str) -> Template | None:
        """The template of that id or key."""
        try:
            return self.filter(models.Q(pk=UUID(value)) | models.Q(key=value)).first()
        except ValueError:
            return self.filter(key=value).first()


class Template(models.Model):
    """A form that admins choose for their projects."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.SlugField(max_length=60, unique=True, help_text="The folder of a gallery template.")
    name = models.CharField(max_length=100)
    description = models.TextField(default="", blank=True)

    objects = TemplateQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def latest(self) -> TemplateVersion:
        """The newest published version."""
        return self.versions.latest("number")


class TemplateVersion(models.Model):
    """One published state of a template; a trigger in the database refuses any change of it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    template = models.ForeignKey(Template, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.JSONField()
    published_at = models.DateTimeField()

    class Meta:
        ordering = ["template", "number"]
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="template_version_number")]

    def __str__(self) -> str:
        return f"{self.template.name}, version {self.number}"

    @cached_property
    def form(self) -> Definition:
        """The definition, parsed."""
        return parse_definition(self.definition)


@lru_cache(maxsize=500)
def form_of(version: UUID) -> Definition:
    """Return the form of a version, read and parsed once in a process: a published version never changes."""
    return TemplateVersion.objects.get(pk=version).form
