"""Files under the hash of their bytes: whole or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from generation.engine import Engine
from generation.errors import StorageFailedError, StorageFullError, WorkerStoppingError
from generation.storage import Storage, StorageError
from generation.types import RenderedImage
from generation.writing import Writer, encode_png
from tests.generation.conftest import Ask

REPOSITORY = Path(__file__).parents[2]


def _files(storage: Storage) -> list[Path]:
    return [path for path in Path(storage.url.removeprefix("file://")).rglob("*") if path.is_file()]


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=2_000), suffix=st.sampled_from(["png", "webp", "json"]))
def test_the_key_of_a_file_is_the_hash_of_its_bytes(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    storage = Storage((tmp_path_factory.getbasetemp() / "hashed").as_uri())
    key = storage.put(content, suffix)
    digest = hashlib.sha256(content).hexdigest()
    assert key == f"{digest[:2]}/{digest}.{suffix}"
    assert storage.read(key) == content
    assert key in set(storage.keys())


@settings(max_examples=50, deadline=None)
@given(
    key=st.text(max_size=90) | st.from_regex(r"(\.\./|/)?[0-9a-f]{2}/[0-9a-f]{60,68}\.[a-z]{1,7}\n?", fullmatch=True)
)
def test_a_key_that_is_none_reads_nothing(tmp_path_factory: pytest.TempPathFactory, key: str) -> None:
    storage = Storage((tmp_path_factory.getbasetemp() / "empty").as_uri())
    with pytest.raises(StorageError, match=r"is no storage key|is missing from"):
        storage.open(key)


def test_a_key_with_a_line_break_is_none(storage: Storage) -> None:
    key = storage.put(b"x", "png")
    with pytest.raises(StorageError, match="is no storage key"):
        storage.open(f"{key}\n")


def test_the_same_bytes_written_by_many_at_once_are_one_file(storage: Storage) -> None:
    content = os.urandom(100_000)
    start = threading.Barrier(8)

    def put(_: int) -> str:
        start.wait()
        return storage.put(content, "png")

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(put, range(8)))
    assert list(storage.keys()) == list(keys)
    assert len(_files(storage)) == 1


def test_a_file_that_is_being_written_has_no_key(storage: Storage) -> None:
    key = storage.put(b"whole", "png")
    folder = _files(storage)[0].parent
    (folder / ".writing-abc").write_bytes(b"hal")  # what a killed worker leaves behind
    assert list(storage.keys()) == [key]


def test_a_reader_never_sees_a_part_of_a_file(storage: Storage) -> None:
    contents = [bytes([number]) * 300_000 for number in range(40)]
    seen: list[bool] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            for key in list(storage.keys()):
                content = storage.read(key)
                seen.append(key[3:67] == hashlib.sha256(content).hexdigest())

    reader = threading.Thread(target=read)
    reader.start()
    for content in contents:
        storage.put(content, "png")
    over.set()
    reader.join()
    assert all(seen)


WRITE_TOO_MUCH = """
import resource, signal, sys
from generation.storage import Storage, StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # the kernel ends files here, as a full disk does
storage = Storage(sys.argv[1])
storage.put(b"small", "png")
try:
    storage.put(b"x" * 60_000, "png")
except StorageError as error:
    print(error)
"""


def test_a_write_that_the_disk_cuts_short_leaves_nothing(storage: Storage) -> None:
    said = subprocess.run(
        [sys.executable, "-c", WRITE_TOO_MUCH, storage.url], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert "cannot write" in said
    assert os.strerror(errno.EFBIG) in said
    assert len(_files(storage)) == len(list(storage.keys())) == 1


class FullStorage(Storage):
    """A storage on a disk that has room for `room` more files."""

    def __init__(self, url: str, room: int, number: int) -> None:
        super().__init__(url)
        self.room = room
        self.number = number

    def put(self, content: bytes, suffix: str) -> str:
        self.room -= 1
        if self.room < 0:
            cause = OSError(self.number, os.strerror(self.number))
            raise StorageError(f"cannot write to {self.url}: {cause.strerror}") from cause
        return super().put(content, suffix)


def test_a_full_disk_gives_the_job_back_and_keeps_what_was_recorded(
    ask: Ask, storage: Storage, shared_engine: Engine
) -> None:
    kept: list[RenderedImage] = []
    full = FullStorage(storage.url, 8, errno.ENOSPC)  # the first batch fits
    with pytest.raises(StorageFullError, match="Free some room"):
        shared_engine.render(ask({"apple": range(10)}, steps=1), full, on_images=kept.extend)
    assert {image.key for image in kept} == set(storage.keys())
    assert len(kept) == 8


def test_a_disk_that_may_not_be_written_is_another_matter(ask: Ask, storage: Storage, shared_engine: Engine) -> None:
    closed = FullStorage(storage.url, 0, errno.EACCES)
    with pytest.raises(StorageFailedError, match="Permission denied"):
        shared_engine.render(ask({"apple": [1]}), closed, on_images=lambda images: None)


def test_a_really_full_file_system_shows_no_partial_file(ask: Ask, tmp_path: Path, shared_engine: Engine) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        storage = Storage(disk.as_uri())
        with pytest.raises(StorageFullError):
            shared_engine.render(ask({"apple": range(20)}, steps=1), storage, on_images=lambda images: None)
        for key in list(storage.keys()):
            assert key[3:67] == hashlib.sha256(storage.read(key)).hexdigest()
        assert not list(disk.rglob(".writing-*"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_what_an_answer_raises_reaches_the_renderer(storage: Storage) -> None:
    def refuse(images: tuple[RenderedImage, ...]) -> None:
        raise ConnectionError("nobody is there")

    with Writer(storage, refuse) as writer:
        writer.add([])
        with pytest.raises(ConnectionError):
            writer.finish()


class CrowdedStorage(Storage):
    """Finds no memory as long as it is asked from a thread beside the denoising."""

    refused = 0

    def put(self, content: bytes, suffix: str) -> str:
        if threading.current_thread() is not threading.main_thread():
            self.refused += 1
            raise MemoryError
        return super().put(content, suffix)


def test_files_that_find_no_memory_beside_the_denoising_are_written_without_it(
    ask: Ask, storage: Storage, shared_engine: Engine
) -> None:
    stored: list[RenderedImage] = []
    crowded = CrowdedStorage(storage.url)
    shared_engine.render(ask({"apple": range(5)}, steps=1), crowded, on_images=stored.extend)
    assert [storage.read(image.key)[:4] for image in stored] == [b"\x89PNG"] * 5
    assert crowded.refused


def test_such_files_are_written_too_where_the_work_ends_early(
    ask: Ask, storage: Storage, shared_engine: Engine
) -> None:
    crowded = CrowdedStorage(storage.url)
    stored: list[RenderedImage] = []
    stop = threading.Event()

    def stop_in_the_second_batch(step: int, steps: int) -> None:
        if crowded.refused:
            stop.set()

    with pytest.raises(WorkerStoppingError):
        shared_engine.render(
            ask({"apple": range(12)}, steps=50),
            crowded,
            on_images=stored.extend,
            on_step=stop_in_the_second_batch,
            stop=stop,
        )
    assert len(stored) == 8  # one batch


def test_pillows_word_for_a_full_memory_is_taken_for_one_and_no_other_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)

    def fail(words: str) -> None:
        def save(*_: object, **__: object) -> None:
            raise OSError(words)

        monkeypatch.setattr(Image.Image, "save", save)

    fail("out of memory when writing image file")
    with pytest.raises(MemoryError):
        encode_png(pixels)
    fail("bad configuration when writing image file")
    with pytest.raises(OSError, match="bad configuration"):
        encode_png(pixels)
