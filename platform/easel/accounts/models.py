"""Users and their API tokens."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Value
from django.utils import timezone
from knox.models import AbstractAuthToken

from easel.common.ids import uuid7


class User(AbstractUser):  # type: ignore[django-manager-missing]  # knox has no types
    """A person, or a simulated annotator: shown as such everywhere and left out of exports unless asked for."""

    class Kind(models.TextChoices):
        """What kind of annotator this account is."""

        HUMAN = "human", "Human"
        SIMULATED = "simulated", "Simulated"

    class Direction(models.TextChoices):
        """Which way text runs on a person's pages."""

        AUTO = "auto", "As each text needs"
        LTR = "ltr", "Left to right"
        RTL = "rtl", "Right to left"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.HUMAN)

    # How this person likes to work: easel.accounts.profile reads and checks it.
    keys = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="Act -> key, where it is not the default key.",
    )
    text_direction = models.CharField(
        max_length=4, choices=Direction.choices, default=Direction.AUTO, db_default=Direction.AUTO.value
    )
    blur = models.BooleanField(default=True, db_default=True, help_text="Sensitive images are blurred until asked for.")
    declined = ArrayField(
        models.CharField(max_length=100),
        default=list,
        db_default=Value([], ArrayField(models.CharField(max_length=100))),
        blank=True,
        help_text="Categories of items that this person does not want to see.",
    )
    session_goal = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Items a session; none: no goal.")
    break_after = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Minutes of active time until a break is offered; none: never."
    )

    @property
    def display_name(self) -> str:
        """The full name, or the username where none is given."""
        return self.get_full_name() or self.get_username()


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Reads of tokens."""

    def of(self, user: User) -> ApiTokenQuerySet:
        """A user's own tokens that still work, newest first."""
        alive = models.Q(expiry__isnull=True) | models.Q(expiry__gt=timezone.now())
        return self.filter(alive, user=user).order_by("-created")


class ApiToken(AbstractAuthToken):
    """A hashed, expiring key to the API; the key itself is shown once and never stored."""

    name = models.CharField(max_length=100, default="", blank=True, help_text="What it is used for.")

    tokens = ApiTokenQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name or 'token'} of {self.user}"
