"""A snapshot as one ZIP, streamed: its folder as trainers read it, never whole in memory or on this machine's disk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from django.utils.text import slugify

from easel.common.errors import Conflict, StorageUnavailable
from easel.common.storage import storage
from easel.snapshots.models import DatasetSnapshot
from finetune.snapshot import IMAGES, keys_of
from finetune.types import StoredFile
from generation.storage import StorageError

BLOCK = 256 * 1024  # bytes


class _Sink(io.RawIOBase):
    """Takes what the archive writes; it cannot be wound back."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]  # a bytes-like object is all that comes
        self._waiting += content
        return len(content)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        content = bytes(self._waiting)
        self._waiting.clear()
        return content


def folder_name(snapshot: DatasetSnapshot) -> str:
    """The name of the folder in the archive: it says which snapshot it is."""
    return f"{slugify(snapshot.name)[:60] or 'snapshot'}-{snapshot.sha256[:8]}"


def archive(snapshot: DatasetSnapshot) -> Iterator[bytes]:
    """Return the blocks of a snapshot's ZIP.

    Raises Conflict for one that is not frozen, and StorageUnavailable where a file of it is gone.
    """
    if snapshot.state != snapshot.State.FROZEN:
        raise Conflict(f"{snapshot.name} is not frozen: there is nothing to download yet.")
    files = snapshot.stored_files()
    try:
        opened = [(file.name, storage().open(file.key)) for file in files]
    except StorageError as error:
        raise StorageUnavailable(str(error)) from error
    return _blocks(folder_name(snapshot), files, opened)


def _blocks(folder: str, files: tuple[StoredFile, ...], opened: list[tuple[str, IO[bytes]]]) -> Iterator[bytes]:
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as whole:  # PNG and zstd are packed already
        for name, content in opened:
            yield from _entry(whole, sink, f"{folder}/{name}", content)
        packed: set[bytes] = set()
        for file in files:
            if file.name.endswith(".parquet"):
                with storage().open(file.key) as rows:
                    for key in keys_of(rows):
                        mark = bytes.fromhex(key[3:67])
                        if mark not in packed:
                            packed.add(mark)
                            yield from _entry(whole, sink, f"{folder}/{IMAGES}/{key}", storage().open(key))
    yield sink.take()


def _entry(whole: ZipFile, sink: _Sink, name: str, file: IO[bytes]) -> Iterator[bytes]:
    with file, whole.open(ZipInfo(name), "w", force_zip64=True) as out:
        while block := file.read(BLOCK):
            out.write(block)
            yield sink.take()
