"""Users and their API tokens."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone
from knox.models import AbstractAuthToken

from easel.common.ids import uuid7


class User(AbstractUser):  # type: ignore[django-manager-missing]  # knox has no types
    """A person, or a simulated annotator: shown as such everywhere and left out of exports unless asked for."""

    class Kind(models.TextChoices):
        """What kind of annotator this account is."""

        HUMAN = "human", "Human"
        SIMULATED = "simulated", "Simulated"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.HUMAN)

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
