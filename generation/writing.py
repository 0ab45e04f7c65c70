"""From pixels to files in storage, in threads beside the denoising."""

from __future__ import annotations

import errno
import io
import logging
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from threading import Barrier
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generation.errors import StorageFailedError, StorageFullError
from generation.failpoints import failpoint
from generation.storage import Storage, StorageError
from generation.types import RenderedImage

Pixels = NDArray[np.uint8]
"""One image, (height, width, 3), 0 to 255."""

Finish = Callable[[Pixels, bytes, str], RenderedImage]
"""Makes the answer for one image from its pixels, its file and its storage key."""

log = logging.getLogger(__name__)

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BATCHES_WAITING = 2  # more would only pile up pixels in memory while the disk or the broker is slow

Batch = list[tuple[Pixels, Finish]]


def encode_png(pixels: Pixels) -> bytes:
    """Return the PNG file of an image: no metadata, so that the same pixels are the same bytes and the same key.

    Raises MemoryError.
    """
    buffer = io.BytesIO()
    try:
        Image.fromarray(pixels).save(buffer, "PNG")
    except OSError as error:  # Pillow's word for a full memory; nothing here touches a disk
        if "out of memory" not in str(error):
            raise
        raise MemoryError(str(error)) from error
    return buffer.getvalue()


@cache
def _threads() -> tuple[ThreadPoolExecutor, ThreadPoolExecutor]:
    """Return this process's threads: one for batches, which thus stay in order, and some for their files.

    All of them are started now and stay: once memory is short, a thread may never come to life.
    """
    batches = ThreadPoolExecutor(1, thread_name_prefix="batch")
    batches.submit(int).result()
    count = min(4, os.cpu_count() or 1)
    files = ThreadPoolExecutor(count, thread_name_prefix="file")
    all_here = Barrier(count)
    for started in [files.submit(all_here.wait) for _ in range(count)]:
        started.result()
    return batches, files


class Writer:
    """Encodes and stores batches in order; hands on each batch once all of its files are in storage.

    What goes wrong in a thread is raised by the next `add`, or by `finish`. What found no memory, for another batch
    was being denoised, is written by them, with nothing beside it.
    """

    def __init__(self, storage: Storage, on_images: Callable[[tuple[RenderedImage, ...]], None]) -> None:
        self._storage = storage
        self._on_images = on_images
        self._batches, self._files = _threads()
        self._waiting: deque[tuple[Batch, Future[bool]]] = deque()

    def add(self, batch: Batch) -> None:
        """Take a batch; waits while two others are being written. Raises what an earlier batch ran into."""
        while self._waiting and (self._waiting[0][1].done() or len(self._waiting) >= _BATCHES_WAITING):
            self._settle(*self._waiting.popleft())
        self._waiting.append((batch, self._batches.submit(self._write, batch)))

    def finish(self) -> None:
        """Wait for everything. Raises StorageFullError, StorageFailedError or what `on_images` raised."""
        while self._waiting:
            self._settle(*self._waiting.popleft())

    def _settle(self, batch: Batch, written: Future[bool]) -> None:
        if not written.result():
            wait([other for _, other in self._waiting])  # nothing beside it, and one batch after the other
            self._on_images(tuple(self._store(pixels, finish) for pixels, finish in batch))

    def _write(self, batch: Batch) -> bool:
        """Store a batch and hand it on; False where memory did not suffice. What is stored by then stays."""
        try:
            stored = tuple(self._files.map(self._store, *zip(*batch, strict=True)))
        except MemoryError:
            return False
        self._on_images(stored)
        return True

    def _store(self, pixels: Pixels, finish: Finish) -> RenderedImage:
        content = encode_png(pixels)
        failpoint("decoded")
        try:
            key = self._storage.put(content, "png")
        except StorageError as error:
            number = getattr(error.__cause__, "errno", None)
            if number in _NO_ROOM:
                raise StorageFullError(f"{error}. Free some room; the work goes on by itself.") from error
            raise StorageFailedError(f"{error}. Make it writable for the worker.") from error
        return finish(pixels, content, key)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Batches that were denoised are stored and handed on even when a later one failed: they are paid for.
        while self._waiting:
            batch, written = self._waiting.popleft()
            if written.exception() is not None:
                continue
            try:
                self._settle(batch, written)
            except MemoryError:
                log.warning("no memory to store %d images; the next attempt makes them again", len(batch))
