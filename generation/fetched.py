"""Weights that lie in the image storage, because a fine-tune made them: fetched once into a folder of this machine.

`storage:KEY` names one safetensors file, an adapter; or a JSON index, `{"files": {NAME: KEY, ...}}`, of a model that
has several files. Free of Django and of torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from functools import lru_cache
from pathlib import Path, PurePosixPath

from generation.storage import ADAPTER_FILE, Storage, StorageError

WEIGHTS_VARIABLE = "EASEL_WEIGHTS_FOLDER"
PREFIX = "storage:"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def weights_folder() -> Path:
    """Return where this machine keeps what it fetched. Nothing there is missed when it is deleted."""
    if named := os.environ.get(WEIGHTS_VARIABLE):
        return Path(named)
    if home := os.environ.get("EASEL_HOME"):
        return Path(home) / "weights"
    return Path(tempfile.gettempdir()) / f"easel-weights-{os.getuid()}"


def put_model(files: dict[str, str], storage: Storage) -> str:
    """Store the index of a model of several files, name to key, and return its location."""
    content = json.dumps({"files": dict(sorted(files.items()))}).encode()
    return PREFIX + storage.put(content, "json")


def files_of(location: str, storage: Storage) -> dict[str, str]:
    """Return the files of a `storage:` location, name to key. Raises StorageError."""
    key = location.removeprefix(PREFIX)
    if key.endswith(".safetensors"):
        return {ADAPTER_FILE: key}
    try:
        files = json.loads(storage.read(key))["files"]
        if files and all(_NAME.fullmatch(name) and isinstance(one, str) for name, one in files.items()):
            return dict(files)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"{key} of {storage.url} is no index of a model's files: {error}") from error
    raise StorageError(f"{key} of {storage.url} is no index of a model's files")


def fetch_weights(location: str, storage: Storage) -> Path:
    """Return the local folder with the files of a `storage:` location, fetched where they are not there yet.

    Files that are there already are compared with their keys, which are their hashes. Raises StorageError.
    """
    folder = weights_folder() / PurePosixPath(location.removeprefix(PREFIX)).stem
    for name, key in files_of(location, storage).items():
        path = folder / name
        if not _is_whole(path, key):
            storage.fetch(key, path)
    return folder


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
