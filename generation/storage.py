"""Where files live: images under the hash of their bytes, and the folders of models.

Free of Django and of torch, because the platform reads the same files that the workers write.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, cast

import fsspec
from fsspec.core import url_to_fs

from generation.failpoints import failpoint
from generation.types import WeightsReference

MODEL_PATH_VARIABLE = "EASEL_MODEL_PATH"
PIPELINE_FILE = "model_index.json"
ADAPTER_FILE = "pytorch_lora_weights.safetensors"  # as diffusers' save_lora_weights names it
CONTROLNET_FILE = "config.json"
_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}\.[a-z0-9]{2,11}")  # the longest suffix is safetensors


class StorageError(Exception):
    """A file could not be read or written; the message names the file and the remedy."""


class ModelNotFoundError(StorageError):
    """A registered model is not among the model folders of this machine."""


class Storage:
    """Content-addressed files at an fsspec URL (`file:///...`, `s3://bucket/prefix`).

    Invariant: a file is visible under its key only when it is whole, and its key is the sha256 of its bytes; writing
    the same bytes twice leaves one file.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._fs: fsspec.AbstractFileSystem
        self._fs, self._root = url_to_fs(self.url)
        self._local = "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))

    def put(self, content: bytes, suffix: str) -> str:
        """Write `content` and return its key, `ab/abcdef....png`.

        Raises StorageError when the disk is full or the folder cannot be written; nothing partial is left visible.
        """
        digest = hashlib.sha256(content).hexdigest()
        key = f"{digest[:2]}/{digest}.{suffix}"
        try:
            if self._local:
                self._put_local(Path(self._root) / key, content)
            elif not self._fs.exists(f"{self._root}/{key}"):
                self._fs.pipe_file(f"{self._root}/{key}", content)  # object stores show whole objects only
        except OSError as error:
            raise StorageError(f"cannot write {key} to {self.url}: {error.strerror or error}") from error
        return key

    @staticmethod
    def _put_local(path: Path, content: bytes) -> None:
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            failpoint("file_written")
            Path(temporary).chmod(0o644)
            Path(temporary).rename(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # the rename itself must survive a power cut, or a recorded image could vanish
        finally:
            os.close(directory)
        failpoint("renamed")

    def open(self, key: str) -> IO[bytes]:
        """Open a stored file for reading. Raises StorageError when the key is malformed or the file is missing."""
        if not _KEY.fullmatch(key):
            raise StorageError(f"{key!r} is no storage key")
        try:
            return cast("IO[bytes]", self._fs.open(f"{self._root}/{key}", "rb"))
        except FileNotFoundError as error:
            raise StorageError(f"{key} is missing from {self.url}; restore it from a backup") from error

    def read(self, key: str) -> bytes:
        """Return the bytes of a stored file."""
        with self.open(key) as file:
            return file.read()

    def put_file(self, path: Path) -> str:
        """Store a file under its own suffix and return its key. Raises StorageError."""
        return self.put(path.read_bytes(), path.suffix.removeprefix("."))

    def fetch(self, key: str, path: Path) -> None:
        """Copy a stored file to `path`, whole or not at all.

        Raises StorageError when it is missing, when its bytes are not those of its key, or when `path` cannot be
        written.
        """
        digest = hashlib.sha256()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".fetching-")
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
        try:
            with os.fdopen(handle, "wb") as file, self.open(key) as stored:
                while block := stored.read(2**20):
                    digest.update(block)
                    file.write(block)
            if digest.hexdigest() != PurePosixPath(key).stem:
                raise StorageError(f"{key} of {self.url} has other bytes than its name says; restore it from a backup")
            Path(temporary).chmod(0o644)
            Path(temporary).rename(path)
        except OSError as error:
            raise StorageError(f"cannot copy {key} to {path}: {error.strerror or error}") from error
        finally:
            Path(temporary).unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        """Yield the key of every whole file, in no particular order."""
        for path in self._fs.find(self._root):
            key = str(path)[len(self._root) :].lstrip("/")
            if _KEY.fullmatch(key):
                yield key


def model_folders() -> list[Path]:
    """Return the folders in which models are looked up: those of EASEL_MODEL_PATH, then the one shipped with Easel."""
    named = [Path(part) for part in os.environ.get(MODEL_PATH_VARIABLE, "").split(os.pathsep) if part]
    return [*named, Path(__file__).parent / "builtin"]


def model_folder(location: str, having: str = PIPELINE_FILE) -> Path:
    """Return the folder of a `folder:NAME` location; for an adapter or a ControlNet, say which file it must have.

    Raises ModelNotFoundError when no model folder of this machine holds NAME with that file.
    """
    name = location.removeprefix("folder:")
    for root in model_folders():
        path = (root / name).resolve()
        if path.is_relative_to(root.resolve()) and (path / having).is_file():
            return path
    looked = ", ".join(str(root) for root in model_folders())
    raise ModelNotFoundError(
        f"model {name!r}: no folder with a {having} of that name in {looked}. "
        f"Put it there, or add its parent folder to {MODEL_PATH_VARIABLE}."
    )


def weights_hash(folder: Path) -> str:
    """Return the sha256 over the names and bytes of a model folder's safetensors and JSON files, in name order."""
    found: dict[PurePath, str] = {}
    for path in folder.rglob("*"):
        if path.suffix in {".safetensors", ".json", ".txt"} and path.is_file():
            with path.open("rb") as file:
                found[path.relative_to(folder)] = hashlib.file_digest(file, "sha256").hexdigest()
    return hash_of_files(found)


def hash_of_files(files: Mapping[PurePath, str]) -> str:
    """Return the `weights_hash` of a folder with these files, each with the sha256 of its bytes."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.as_posix().encode() + b"\0" + bytes.fromhex(files[path]))
    return digest.hexdigest()


def is_local_folder(model: WeightsReference) -> bool:
    """Tell whether a model lies in a folder of this machine (and not on a hub)."""
    return model.location.startswith("folder:")
