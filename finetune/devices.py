"""Where a run computes: on what, in one process or in several, and with how much memory.

Several processes (`accelerate launch`) draw the same batch, each works on its share of it, and their gradients are
added up: what they learn is what one process would have learned, up to the order of a sum.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from accelerate import PartialState
from torch import Tensor, distributed

from generation import pipelines

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


def is_out_of_memory(error: BaseException) -> bool:
    """Tell a full memory from other errors: on the CPU, torch and its oneDNN say it in words only."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    words = ("can't allocate memory", "could not create a primitive", "out of memory")
    return isinstance(error, RuntimeError) and any(each in str(error) for each in words)
