"""Where a run computes: on what, in one process or in several, and with how much memory.

Several processes (`accelerate launch`) draw the same batch, each works on its share of it, and their gradients are
added up: what they learn is what one process would have learned, up to the order of a sum.
"""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from accelerate import PartialState
from torch import Tensor, distributed

from finetune.errors import OutOfMemoryError, WrongConfigError
from finetune.types import TrainSettings
from generation import memory, pipelines

log = logging.getLogger(__name__)
T = TypeVar("T")


def start_processes() -> PartialState:
    """Join the processes that `accelerate launch` started, if it did, and return who this one is."""
    return PartialState(cpu=not torch.cuda.is_available())


def training_dtype(device: torch.device) -> torch.dtype:
    """Return the number format of the frozen weights: bfloat16 on CUDA where it has that, else float32.

    float16 would need a scaled loss, and the adapter itself is float32 everywhere.
    """
    best = pipelines.best_dtype(device)
    return torch.float32 if best == torch.float16 else best


def add_up(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its sum over the processes, in one message."""
    if not distributed.is_initialized() or not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(flat)
    for tensor, total in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(total.view_as(tensor))


def any_says(flag: bool, device: torch.device) -> bool:
    """Return whether any process says so, the same answer in all of them."""
    if not distributed.is_initialized():
        return flag
    said = torch.tensor(float(flag), device=device)
    distributed.all_reduce(said)
    return bool(said.item())


def share_of(everything: Sequence[T], state: PartialState) -> Sequence[T]:
    """Return every n-th of a batch, from this process's number on."""
    return everything[state.process_index :: state.num_processes]


def gradients(parameters: Iterable[torch.nn.Parameter]) -> list[Tensor]:
    """Return the gradient of each parameter; one that this process's share did not touch is zero."""
    found = []
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        found.append(parameter.grad)
    return found


def memory_mb(device: torch.device) -> float:
    """Return the most memory that was in use so far: the device's on CUDA, else the process's. In MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def autocast(device: torch.device) -> torch.autocast:
    """Have matrix products in bfloat16 on CUDA; on a CPU nothing is changed."""
    return torch.autocast(device.type, torch.bfloat16, enabled=training_dtype(device) == torch.bfloat16)


def full_memory(error: BaseException) -> OutOfMemoryError | None:
    """Return how to tell of a full memory where `Room` cannot help: at loading, encoding, or the optimizer's step.

    None for any other error.
    """
    if not memory.is_out_of_memory(error):
        return None
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return OutOfMemoryError(
        f"the memory is full ({said[:200]}). Choose a smaller base, lower lora_rank, or end what else uses it."
    )


class Room:
    """How many images go through the network at once: as many as fit, which it finds out by trying."""

    def __init__(self, images: int, settings: TrainSettings, device: torch.device) -> None:
        if images < 1:
            raise WrongConfigError(f"images_at_once: {images} images are none. Choose 1 or more.")
        self.images = images
        self._settings = settings
        self._device = device

    def shrink(self, least: int = 1) -> None:
        """Go on with half as many. Raises OutOfMemoryError, which names the knob to lower, below `least`."""
        if self.images <= least:
            knob = (
                "Lower lora_rank, or choose a smaller base or smaller images (width and height)."
                if self._settings.gradient_checkpointing
                else "Turn gradient_checkpointing on."
            )
            raise OutOfMemoryError(f"{least} images at once do not fit into memory. {knob}")
        self.images = max(least, self.images // 2)
        log.warning("out of memory; going on with %d images at once", self.images)
        memory.make_room(self._device)

    def in_parts(self, count: int, work: Callable[[slice], T]) -> list[T]:
        """Return what `work` makes of each part of `count` images, parts being as large as fit."""
        found: list[T] = []
        start = 0
        while start < count:
            part = slice(start, min(count, start + self.images))
            try:
                found.append(work(part))
            except (RuntimeError, MemoryError) as error:
                if not memory.is_out_of_memory(error):
                    raise
            else:
                start = part.stop
                continue
            self.shrink()  # outside of `except`, for its traceback holds on to the tensors that are to be freed
        return found
