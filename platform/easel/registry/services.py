"""Writes to the registry."""

from __future__ import annotations

import json
from datetime import datetime

from django.db import transaction

from easel.common.errors import InvalidInput
from easel.registry.models import ModelVersion
from generation.storage import ModelNotFoundError, model_folder, weights_hash


class BrokenModel(InvalidInput):
    """A model folder that cannot be registered."""

    code = "broken_model"


@transaction.atomic
def register_folder(name: str, folder: str, licence: str, at: datetime) -> ModelVersion:
    """Register the model folder of that name, or return its entry; new weights make a new version.

    Raises BrokenModel when the folder is missing, its model_index.json unreadable, or it holds no safetensors file.
    """
    location = f"folder:{folder}"
    try:
        path = model_folder(location)
    except ModelNotFoundError as error:
        raise BrokenModel(str(error)) from error
    try:
        family = json.loads((path / "model_index.json").read_text())["_class_name"]
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise BrokenModel(
            f"{path / 'model_index.json'} is no diffusers model index: {error}. Copy the model again."
        ) from error
    if not any(path.rglob("*.safetensors")):
        raise BrokenModel(f"{path} holds no .safetensors file; other weight formats are not loaded.")
    digest = weights_hash(path)
    known = ModelVersion.objects.filter(location=location, sha256=digest).first()
    if known is not None:
        return known
    older = ModelVersion.objects.filter(location=location).count()
    name = name if not older else f"{name} {older + 1}"
    if ModelVersion.objects.filter(name=name).exists():
        raise BrokenModel(f"There is another model named {name!r}. Register {path} under another name.")
    return ModelVersion.objects.create(
        name=name,
        family=family,
        location=location,
        sha256=digest,
        licence=licence,
        created_at=at,
    )
