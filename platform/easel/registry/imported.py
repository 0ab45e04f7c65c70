"""Models that are known only from images which came from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from easel.accounts.models import User
from easel.registry.models import ModelVersion

MAX_NAME = 100


def imported_models(names: Iterable[str], by: User, at: datetime) -> dict[str, ModelVersion]:
    """Return the imported model of each name, and make those that are not known yet.

    A name that a model with weights bears already gets "(imported)" behind it: whether it is the same cannot be known.
    """
    found = {}
    for name in sorted(set(names)):
        location = f"imported:{name}"[:200]
        model = ModelVersion.objects.filter(kind=ModelVersion.Kind.IMPORTED, location=location).first()
        if model is None:
            free = name[:MAX_NAME]
            if ModelVersion.objects.filter(name=free).exists():
                free = f"{name[: MAX_NAME - 11]} (imported)"
            model, _ = ModelVersion.objects.get_or_create(
                location=location,
                sha256="",
                defaults={
                    "name": free,
                    "kind": ModelVersion.Kind.IMPORTED,
                    "family": "",
                    "created_by": by,
                    "created_at": at,
                },
            )
        found[name] = model
    return found
