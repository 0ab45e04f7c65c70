"""Items: what one annotator sees at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Random

from easel.accounts.models import User
from easel.annotation.stopping import Rule
from easel.common.ids import uuid7
from easel.common.states import Moves
from easel.forms.models import TemplateVersion
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project
from easel.prompts.models import Prompt


def audiences_of(kind: str, *, sent: bool = False) -> list[str]:
    """What an annotator of a kind may be given: items for everybody, and a person those for people.

    What is for simulated annotators is had only by those that a simulation sends to it.
    """
    if sent:
        return [GenerationRequest.Audience.SIMULATED]
    if kind == User.Kind.SIMULATED:
        return [GenerationRequest.Audience.ALL]
    return [GenerationRequest.Audience.ALL, GenerationRequest.Audience.PEOPLE]


class ItemQuerySet(models.QuerySet["Item"]):
    """Reads of items."""

    def to_rank(self) -> ItemQuerySet:
        """Those whose answers are collected, and not known before: neither gold nor repeats."""
        return self.filter(purpose=Item.Purpose.RANK)

    def counting(self) -> ItemQuerySet:
        """Those that a project's figures count: not what only simulated annotators rank, for it waits for nobody, and
        of live attempts only what was ranked, for the others are history.
        """
        unranked = Q(audience=GenerationRequest.Audience.REQUESTER, state=Item.State.READY)
        return self.to_rank().exclude(unranked | Q(audience=GenerationRequest.Audience.SIMULATED))

    def version_to_answer(self, project: Project, wanted: str) -> TemplateVersion:
        """The version of the form to answer: the wanted one where items of the project have it, else the project's."""
        try:
            found = self.filter(project=project, template_version=UUID(wanted)).first() if wanted else None
        except ValueError:
            found = None
        return found.template_version if found else project.template_version


class Item(models.Model):
    """What one annotator sees at once: a prompt and its candidates under a template version."""

    class State(models.TextChoices):
        """Where an item stands. What is aside was taken out of the queue by hand."""

        READY = "ready"
        DONE = "done"
        ASIDE = "aside"

    class Purpose(models.TextChoices):
        """What its answers are for: to be collected, or to measure annotators, who cannot tell which."""

        RANK = "rank"
        GOLD = "gold"
        REPEAT = "repeat"

    MOVES: ClassVar[Moves] = {
        State.READY: frozenset({State.DONE, State.ASIDE}),
        State.DONE: frozenset({State.READY, State.ASIDE}),
        State.ASIDE: frozenset({State.READY, State.DONE}),
    }

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="items")
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="items")
    request = models.ForeignKey(
        GenerationRequest,
        on_delete=models.CASCADE,
        related_name="items",
        null=True,
        help_text="Where its images come from; null: it is a text alone.",
    )
    template_version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, related_name="+")
    group = models.PositiveSmallIntegerField(db_default=0, default=0, help_text="Which of the seeds of a comparison.")
    candidates = models.ManyToManyField(Candidate, related_name="items")
    state = models.CharField(max_length=10, choices=State.choices, default=State.READY)
    priority = models.SmallIntegerField(default=0)
    audience = models.CharField(
        max_length=10,
        choices=GenerationRequest.Audience.choices,
        default=GenerationRequest.Audience.ALL,
        db_default="",
        blank=True,
        help_text="Who ranks it, as its request says.",
    )
    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.RANK, db_default=Purpose.RANK)
    original = models.ForeignKey(
        "self",
        on_delete=models.CASCADE,
        related_name="copies",
        null=True,
        help_text="What gold and repeats were made of.",
    )
    overlap = models.PositiveSmallIntegerField(
        null=True, help_text="How many annotators rank it at first; null: as the project says."
    )
    overlap_lead = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="With an overlap of its own.")
    overlap_cap = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="With a lead of its own.")
    votes = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="Annotations that count.")
    lead = models.FloatField(
        default=0, db_default=0, help_text="How far the commonest verdict is ahead, see stopping.py."
    )
    wants = models.PositiveSmallIntegerField(
        null=True, help_text="How many annotators it wants, by its votes so far; null: as many as at first."
    )
    category = models.CharField(max_length=100, default="", db_default="", blank=True, help_text="Of its prompt.")
    matchup = models.CharField(
        max_length=16, default="", db_default="", blank=True, help_text="Which models it compares; empty: one alone."
    )
    spot = models.FloatField(db_default=Random(), help_text="Drawn by chance, to draw items by chance.")
    flagged_at = models.DateTimeField(null=True, help_text="Since when its images are blurred until asked for.")
    created_at = models.DateTimeField()

    prompt_text: str
    prompt_negative: str
    prompt_messages: str | None
    """Its prompt's words, and its conversation as JSON, where the row came off the queue."""
    probability: float | None
    picture: UUID | None
    picture_width: int
    picture_height: int
    """What its images start from, where that is known: it is where the row came off the queue."""

    objects = ItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["request", "prompt", "group"], condition=Q(purpose="rank"), name="item_once"
            ),
            models.UniqueConstraint(
                fields=["prompt"], condition=Q(request=None, purpose="rank"), name="text_item_once"
            ),
        ]
        indexes = [
            models.Index(
                "project",
                models.F("priority").desc(),
                "id",
                condition=Q(state="ready", purpose="rank"),
                name="item_ready",
            ),
            models.Index(
                fields=["project", "matchup", "spot"],
                condition=Q(state="ready", purpose="rank") & ~Q(matchup=""),
                name="item_matchup",
            ),
            models.Index(fields=["project", "spot"], condition=Q(state="ready", purpose="gold"), name="item_gold"),
            models.Index(fields=["project", "id"], condition=Q(purpose="rank"), name="item_of_project"),
            # What follows answers Curate, see curate/filters.py.
            models.Index(fields=["project", "category", "id"], condition=Q(purpose="rank"), name="item_by_category"),
            models.Index(fields=["project", "state", "id"], condition=Q(purpose="rank"), name="item_by_state"),
            models.Index(fields=["project", "votes", "id"], condition=Q(purpose="rank"), name="item_by_votes"),
            models.Index(fields=["project", "lead", "id"], condition=Q(purpose="rank"), name="item_by_lead"),
            models.Index(
                fields=["project", "id"], condition=Q(purpose="rank", flagged_at__isnull=False), name="item_flagged"
            ),
            models.Index(fields=["project", "purpose", "id"], condition=~Q(purpose="rank"), name="item_of_measuring"),
        ]

    def __str__(self) -> str:
        return f"item {self.id}"

    def is_sensitive(self, categories: Collection[str]) -> bool:
        """Whether its images are blurred until asked for: it was flagged, or is of one of a project's categories."""
        return self.flagged_at is not None or (bool(self.category) and self.category in categories)

    @property
    def rule(self) -> Rule:
        """When it has enough annotators: as its request says, else as its project."""
        if self.overlap:
            return Rule(self.overlap, self.overlap_lead, self.overlap_cap)
        return rule_of(self.project)

    @property
    def needs(self) -> int:
        """How many annotators it needs, by what is known."""
        return self.wants or self.rule.start


def rule_of(project: Project) -> Rule:
    """Return when a project's items have enough annotators."""
    return Rule(project.overlap, project.overlap_lead, project.overlap_cap)
