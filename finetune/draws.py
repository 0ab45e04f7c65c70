"""What is random in a run, as a function of the seed and the step alone.

So a resumed run draws what the uninterrupted one would have drawn, and several processes draw the same batch, with no
state of a generator to store or to keep in step.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def generator(seed: int, *place: int | str) -> torch.Generator:
    """Return a generator of its own for a place in the run, as ("noise", step, item)."""
    digest = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def batch(examples: int, size: int, seed: int, step: int) -> list[int]:
    """Return which examples step number `step` learns from: all are seen equally often, in a new order each time."""
    chosen: list[int] = []
    place = step * size
    while len(chosen) < size:
        epoch, offset = divmod(place + len(chosen), examples)
        order = torch.randperm(examples, generator=generator(seed, "order", epoch))
        chosen.extend(order[offset : offset + size - len(chosen)].tolist())
    return chosen


def noise(shape: torch.Size, source: torch.Generator) -> Tensor:
    """Return standard normal noise, drawn on the CPU: it does not depend on the device."""
    return torch.randn(shape, generator=source)
