"""From pixels to files in storage, in threads beside the denoising."""

from __future__ import annotations

import errno
import io
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
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

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BATCHES_WAITING = 2  # more would only pile up pixels in memory while the disk or the broker is slow


def encode_png(pixels: Pixels) -> bytes:
    """Return the PNG file of an image: no metadata, so that the same pixels are the same bytes and the same key."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class Writer:
    """Encodes and stores batches in order; hands on each batch once all of its files are in storage.

    What goes wrong in a thread is raised by the next `add`, or by `finish`.
    """

    def __init__(self, storage: Storage, on_images: Callable[[tuple[RenderedImage, ...]], None]) -> None:
        self._storage = storage
        self._on_images = on_images
        self._files = ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1), thread_name_prefix="file")
        self._batches = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batch")  # one: batches stay in order
        self._waiting: deque[Future[None]] = deque()
        self._batches.submit(int).result()  # started now: once memory is short, a thread may never come to life

    def add(self, batch: list[tuple[Pixels, Finish]]) -> None:
        """Take a batch; waits while two others are being written. Raises what an earlier batch ran into."""
        while self._waiting and (self._waiting[0].done() or len(self._waiting) >= _BATCHES_WAITING):
            self._waiting.popleft().result()
        self._waiting.append(self._batches.submit(self._write, batch))

    def finish(self) -> None:
        """Wait for everything. Raises StorageFullError, StorageFailedError or what `on_images` raised."""
        while self._waiting:
            self._waiting.popleft().result()

    def _write(self, batch: list[tuple[Pixels, Finish]]) -> None:
        try:
            stored = tuple(self._files.map(self._store, *zip(*batch, strict=True)))
        except MemoryError:  # several at a time were too many while the next batch denoises; a file twice is one file
            stored = tuple(self._store(pixels, finish) for pixels, finish in batch)
        self._on_images(stored)

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
        self._batches.shutdown(wait=True)
        self._files.shutdown(wait=True)
