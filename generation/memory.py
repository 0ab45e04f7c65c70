"""A full memory: how it is told from other errors, and how room is made after it."""

from __future__ import annotations

import ctypes
import gc

import torch

_WORDS = ("can't allocate memory", "could not create a primitive", "out of memory")
_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
_LARGE = 2**20  # bytes


def is_out_of_memory(error: BaseException) -> bool:
    """Tell a full memory from other errors: on the CPU, torch and its oneDNN say it in words only."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def release(device: torch.device) -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def make_room(device: torch.device) -> None:
    """Give back what can be given back, now and, on the CPU, from now on.

    glibc keeps what is freed for the next allocation, in pieces between small objects that live on; under a limit,
    one image may then find no room where four did before. With a fixed threshold, each large tensor gets pages of its
    own, which go back as it is freed. That costs a quarter to three quarters of the speed on a CPU, so it waits for
    the first shortage.
    """
    release(device)
    if device.type != "cpu":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt") and hasattr(library, "malloc_trim"):  # other systems' allocators have neither
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.malloc_trim(0)
