"""A memory that fills up where a run cannot go on with fewer images at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetune import command, dpo, opening, run, samples
from finetune.types import SamplePrompt
from generation.types import RenderSettings

FULL = (
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nSee the documentation."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"),
)


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_a_memory_that_is_full_anywhere_is_told_as_such(error: Exception) -> None:
    ended = run._ending(error)
    assert (ended.code, ended.retryable) == ("out_of_memory", False)
    assert ended.reason.startswith("the memory is full (")
    assert ended.reason.endswith("Choose a smaller base, lower lora_rank, or end what else uses it.")
    assert "\n" not in ended.reason


def test_another_error_is_still_a_bug() -> None:
    ended = run._ending(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert (ended.code, ended.retryable) == ("unexpected", True)


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_on_the_command_line_a_full_memory_is_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def train(*_: Any, **__: Any) -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        command.main(dpo.Config, train, ["--base=b", "--snapshot=s", "--out=o"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("the memory is full (")
    assert said.count("\n") == 1


def test_samples_that_do_not_fit_together_are_painted_one_by_one(bases: Path) -> None:
    loaded = opening.load_base(bases / "v", [], torch.device("cpu"))
    prompts = [SamplePrompt(text=text, seed=seed) for seed, text in enumerate(("apple", "bird", "cat", "dog", "egg"))]
    settings = RenderSettings(steps=1)
    whole = samples.paint(loaded, prompts, settings)
    sizes: list[int] = []

    def fits(module: Any, given: Any, made: Any) -> None:
        sizes.append(len(given[0]))
        if len(given[0]) > 2:  # one image, guided
            raise torch.OutOfMemoryError("CUDA out of memory")

    loaded.pipe.unet.register_forward_hook(fits)
    apart = samples.paint(loaded, prompts, settings)
    assert sizes == [8, 2, 2, 2, 2, 2]
    for one, other in zip(whole, apart, strict=True):
        assert np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max() <= 1
