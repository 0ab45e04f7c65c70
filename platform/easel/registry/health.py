"""Are the registered models still what they were?"""

from __future__ import annotations

from dataclasses import dataclass

from easel.common.storage import storage
from easel.registry import inspection
from easel.registry.inspection import BrokenModel
from easel.registry.models import ModelVersion
from generation.fetched import PREFIX
from generation.storage import StorageError, weights_hash

HASHED = 4 * 2**30
"""Bytes; the hash of more takes minutes, and the worker compares it in any case."""


@dataclass(frozen=True)
class Health:
    """What became of the registered model folders."""

    sound: int
    """Folders and stored files that hold what was registered."""
    problems: tuple[str, ...]
    """Newest versions whose files are missing, unsafe or changed: images cannot be asked of them."""
    remarks: tuple[str, ...]
    """Older versions that were replaced, and what was not compared."""


def health() -> Health:
    """Look at the folders of all registered models, and for what fine-tunes made.

    Reads the weights of folders that are not too large.
    """
    sound, problems, remarks = 0, [], []
    hashes: dict[str, str | None] = {}
    seen: set[tuple[str, object]] = set()
    for model in ModelVersion.objects.filter(location__startswith="folder:").order_by("-created_at"):
        if (place := (model.location, model.base_id if model.on_top else None)) in seen:
            remarks.append(f"{model.name} was replaced by newer files in {model.location}")
            continue
        seen.add(place)
        try:
            found = inspection.inspect_folder(model.location.removeprefix("folder:"))
        except BrokenModel as error:
            problems.append(f"{model.name}: {error}")
            continue
        if model.location not in hashes:
            hashes[model.location] = weights_hash(found.path) if found.size <= HASHED else None
        digest = hashes[model.location]
        if digest is None or not model.sha256:
            reason = "no hash is known yet" if digest else f"{found.size / 2**30:.0f} GB are too much to compare here"
            remarks.append(f"{model.name} was not compared: {reason}")
        elif digest != model.sha256:
            problems.append(
                f"{model.name}: the files of {model.location} changed since it was registered. Restore them, or "
                f"register the new ones with `easel add-model {model.location}`"
            )
            continue
        sound += 1
    for model in ModelVersion.objects.filter(location__startswith=PREFIX):
        try:
            with storage().open(model.location.removeprefix(PREFIX)):
                sound += 1
        except StorageError as error:
            problems.append(f"{model.name}, which a fine-tune made: {error}")
    return Health(sound, tuple(problems), tuple(remarks))
