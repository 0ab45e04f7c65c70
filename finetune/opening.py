"""What every run opens first: the base model, and the rows of its snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import torch

from finetune import adapters, snapshot
from finetune.devices import training_dtype
from finetune.errors import SnapshotBrokenError, WrongBaseError
from finetune.prediction import predictor_of
from finetune.types import Preference, Split
from generation import pipelines
from generation.errors import RenderError
from generation.pipelines import LoadedPipeline
from generation.storage import ADAPTER_FILE
from generation.types import ModelReference


def load_base(folder: Path, taught: Sequence[str], device: torch.device) -> LoadedPipeline:
    """Load a model folder onto `device`, with adapters of earlier fine-tunes fused into it.

    taught: folders or files of adapters, each with `@SCALE` behind it where that is not 1.
    Raises WrongBaseError for what is no model that can be fine-tuned, and for an adapter that does not fit it.
    """
    if not (folder / "model_index.json").is_file():
        raise WrongBaseError(f"{folder} is no diffusers folder: it has no model_index.json. Choose another base.")
    reference = ModelReference(id=UUID(int=0), name=folder.name, location="folder:base")
    try:
        loaded = pipelines.load(reference, folder, device)
    except RenderError as error:
        raise WrongBaseError(str(error)) from error
    if loaded.pipe.dtype != training_dtype(device):
        loaded.pipe.to(training_dtype(device))
    predictor_of(loaded.pipe)  # refused before anything is computed
    adapters.fuse(loaded.pipe, [_adapter(one) for one in taught])
    return loaded


def _adapter(said: str) -> tuple[Path, float]:
    path, _, scale = said.rpartition("@")
    if path:
        with suppress(ValueError):  # a folder's own name may have an @
            return Path(path), float(scale)
    return Path(said), 1.0


def adapter_hash(said: str) -> str:
    """Return the hash of an adapter's weights with its scale. Raises WrongBaseError where there are none."""
    path, scale = _adapter(said)
    file = path / ADAPTER_FILE if path.is_dir() else path
    try:
        with file.open("rb") as opened:
            return f"{hashlib.file_digest(opened, 'sha256').hexdigest()}@{scale:g}"
    except OSError as error:
        raise WrongBaseError(
            f"adapter {path.name!r} cannot be read: {error.strerror}. Name a folder with a {ADAPTER_FILE}."
        ) from error


def read_rows(folder: Path, split: Split) -> Iterator[Preference]:
    """Yield a split's rows. Raises SnapshotBrokenError."""
    try:
        yield from snapshot.read(folder, split)
    except snapshot.SnapshotError as error:
        raise SnapshotBrokenError(str(error)) from error


def snapshot_hash(folder: Path) -> str:
    """Return the hash that a snapshot was frozen with. Raises SnapshotBrokenError."""
    try:
        return snapshot.manifest_of(folder).sha256
    except snapshot.SnapshotError as error:
        raise SnapshotBrokenError(str(error)) from error


def first(rows: Iterable[Preference], count: int) -> list[Preference]:
    """Return the first rows that say of some image that it is better than another."""
    found: list[Preference] = []
    for row in rows:
        if len(found) == count:
            break
        if any(share != 0.5 for _, _, share in row.pairs):
            found.append(row)
    return found
