"""Prompts."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db import models

from easel.accounts.models import User
from easel.common.errors import InvalidInput
from easel.common.ids import uuid7
from easel.projects.models import Project
from easel.prompts.conversations import messages_fault, said_last
from generation.types import Conditioning

MAX_TEXT = 10_000


class PromptQuerySet(models.QuerySet["Prompt"]):
    """Reads of prompts."""

    def of_project(self, project: Project) -> PromptQuerySet:
        """A project's prompts in the order in which they came."""
        return self.filter(project=project).order_by("id")

    def bare(self) -> PromptQuerySet:
        """Those that no image was made of."""
        return self.filter(candidates=None)

    def held_out(self, project: Project) -> PromptQuerySet:
        """Those that are kept for evaluations."""
        return self.of_project(project).filter(held_out=True)

    def for_rounds(self, project: Project) -> PromptQuerySet:
        """Those whose images are ranked to learn from: all but the held-out ones."""
        return self.of_project(project).filter(held_out=False)

    def saying(self, words: str) -> PromptQuerySet:
        """Those in which every word stands, in any case and order; the beginning of a word is enough.

        An index answers it, in any language: nothing is stemmed and no word is left out. Raises InvalidInput for words
        that hold no letter and no digit.
        """
        found = [word for word in words.replace("\0", " ").split() if any(map(str.isalnum, word))]
        if not found:
            message = f"{words.strip()[:40]!r} holds no word. Type the beginning of one that the prompts say."
            raise InvalidInput(message, fields={"words": [message]})
        wanted = " & ".join("'{}':*".format(word.replace("\\", "\\\\").replace("'", "''")) for word in found)
        query = SearchQuery(wanted, config="simple", search_type="raw")
        rows = self.alias(searched=SearchVector("text", config="simple"))
        return rows.filter(searched=query)

    def chosen(self, project: Project, ids: Collection[UUID] | None) -> list[Prompt]:
        """The project's prompts of these ids; None: all but the held-out ones. Raises InvalidInput for other ids."""
        if ids is None:
            return list(self.for_rounds(project))
        found = list(self.of_project(project).filter(pk__in=ids))
        if unknown := set(ids) - {prompt.pk for prompt in found}:
            message = f"{min(map(str, unknown))} is no prompt of this project."
            raise InvalidInput(message, fields={"prompts": [message]})
        return found


class ConditioningImageQuerySet(models.QuerySet["ConditioningImage"]):
    """Reads of conditioning images."""

    def of_project(self, project: Project) -> ConditioningImageQuerySet:
        """A project's, newest first."""
        return self.filter(project=project).order_by("-id")

    def ids_of(self, project: Project) -> set[str]:
        """The ids of a project's pictures, as texts."""
        return {str(pk) for pk in self.filter(project=project).values_list("pk", flat=True)}

    def chosen(self, project: Project, pk: UUID | None) -> ConditioningImage | None:
        """The one of that id, or none for no id. Raises InvalidInput for an id that the project does not have."""
        if pk is None:
            return None
        found = self.of_project(project).filter(pk=pk).first()
        if found is None:
            message = f"{pk} is no conditioning image of this project. Upload it first."
            raise InvalidInput(message, fields={"conditioning": [message]})
        return found


class ConditioningImage(models.Model):
    """A picture that images start from, checked and encoded again before it was stored."""

    class Kind(models.TextChoices):
        """What a model does with it; see generation.types.Conditioning."""

        IMAGE = "image"
        INPAINT = "inpaint"
        OUTPAINT = "outpaint"
        CONTROL = "control"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    image_key = models.CharField(max_length=80, help_text="Where its RGB PNG lies in storage.")
    mask_key = models.CharField(max_length=80, default="", blank=True)
    margins = models.JSONField(null=True, help_text="generation.types.Margins, as JSON")
    width = models.PositiveIntegerField(help_text="Pixels.")
    height = models.PositiveIntegerField(help_text="Pixels.")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    role: str
    """The asking user's role, where the row came through an access door."""

    objects = ConditioningImageQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.kind} {self.width} x {self.height}"

    def reference(self) -> Conditioning:
        """What a worker gets of it."""
        return Conditioning.model_validate(
            {"kind": self.kind, "image": self.image_key, "mask": self.mask_key or None, "margins": self.margins}
        )


class Prompt(models.Model):
    """A text that images are generated for. Never changed: its images show what it said."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="prompts")
    text = models.TextField()
    negative = models.TextField(default="", blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    conditioning = models.ForeignKey(ConditioningImage, on_delete=models.PROTECT, related_name="prompts", null=True)
    held_out = models.BooleanField(
        default=False, db_default=False, help_text="Kept for evaluations: nothing is ever trained on it."
    )
    digest = models.CharField(max_length=64, editable=False, help_text="sha256 of text, negative and conditioning.")
    created_at = models.DateTimeField()

    objects = PromptQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "digest"], name="prompt_once")]
        indexes = [GinIndex(SearchVector("text", config="simple"), name="prompt_words")]

    def __str__(self) -> str:
        return self.text[:80]

    @property
    def messages(self) -> list[dict[str, str]] | None:
        """The conversation that it is, or None for a plain text."""
        found = self.metadata.get("messages")
        talks = found is not None and messages_fault(found) is None and said_last(found) == self.text
        return found if talks else None

    @property
    def said(self) -> list[dict[str, str]]:
        """It as a conversation; a plain text is one message of the user."""
        return self.messages or [{"role": "user", "content": self.text}]


class PromptImport(models.Model):
    """A file that was uploaded and checked, and waits for its preview to be confirmed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    file_name = models.CharField(max_length=200)
    accepted = models.JSONField(help_text="The rows that would be imported.")
    rejected = models.JSONField(help_text="Row numbers with reasons.")
    created_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"import of {self.file_name}"
