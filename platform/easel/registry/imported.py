"""Models that are known only from images which came from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import chain, count

from easel.accounts.models import User
from easel.registry.models import ModelVersion

MAX_NAME = 100


def imported_models(names: Iterable[str], by: User, at: datetime) -> dict[str, ModelVersion]:
    """Return the imported model of each name, and make those that are not known yet.

    A name that another model bears already gets "(imported)" behind it: whether it is the same cannot be known.
    """
    found = {}
    for name in sorted(set(names)):
        location = f"imported:{name}"[:200]
        model = ModelVersion.objects.filter(kind=ModelVersion.Kind.IMPORTED, location=location).first()
        if model is None:
            model, _ = ModelVersion.objects.get_or_create(
                location=location,
                sha256="",
                defaults={
                    "name": _free_name(name),
                    "kind": ModelVersion.Kind.IMPORTED,
                    "family": "",
                    "created_by": by,
                    "created_at": at,
                },
            )
        found[name] = model
    return found


def _free_name(name: str) -> str:
    endings = chain(["", " (imported)"], (f" (imported {number})" for number in count(2)))
    names = (name[: MAX_NAME - len(ending)] + ending for ending in endings)
    return next(free for free in names if not ModelVersion.objects.filter(name=free).exists())
