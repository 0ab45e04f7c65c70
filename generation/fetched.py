"""Adapters that lie in the image storage, because a fine-tune made them: fetched once into a folder of this machine.

`storage:KEY` names one safetensors file. Free of Django and of torch.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath

from generation.storage import ADAPTER_FILE, Storage, hash_of_files

WEIGHTS_VARIABLE = "EASEL_WEIGHTS_FOLDER"
PREFIX = "storage:"


def weights_folder() -> Path:
    """Return where this machine keeps what it fetched. Nothing there is missed when it is deleted."""
    if named := os.environ.get(WEIGHTS_VARIABLE):
        return Path(named)
    if home := os.environ.get("EASEL_HOME"):
        return Path(home) / "weights"
    return Path(tempfile.gettempdir()) / f"easel-weights-{os.getuid()}"


def fetch_weights(location: str, storage: Storage) -> Path:
    """Return the local folder with the adapter of a `storage:` location, fetched where it is not there yet.

    A file that is there already is compared with its key, which is its hash. Raises StorageError.
    """
    key = location.removeprefix(PREFIX)
    folder = weights_folder() / PurePosixPath(key).stem
    if not _is_whole(folder / ADAPTER_FILE, key):
        storage.fetch(key, folder / ADAPTER_FILE)
    return folder


def hash_of(location: str) -> str:
    """Return the `weights_hash` of the folder that `fetch_weights` returns, without looking at it."""
    return hash_of_files({PurePath(ADAPTER_FILE): PurePosixPath(location.removeprefix(PREFIX)).stem})


def _is_whole(path: Path, key: str) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return _digest(path, status.st_size, status.st_mtime_ns) == PurePosixPath(key).stem


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:
    """Return the hash of a file, read once for each size and time of change (in nanoseconds)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
