"""The grid of samples: fixed prompts and seeds, rendered with the weights as they are, at every checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import torch
from PIL import Image

from finetune.types import SamplePrompt
from generation import memory
from generation.pipelines import LoadedPipeline
from generation.sampling import Task, plan, sample
from generation.types import ImageSlot, RenderPrompt, RenderSettings

_AT_ONCE = 4


def paint(loaded: LoadedPipeline, prompts: Sequence[SamplePrompt], settings: RenderSettings) -> list[Image.Image]:
    """Render each prompt as the engine would. The pipeline has its adapter on; nothing of the training is disturbed.

    Where the memory has no room for several at once, they are painted one by one.
    """
    tasks = [
        Task(
            RenderPrompt(id=UUID(int=number), text=one.text, slots=(ImageSlot(position=0, seed=one.seed),)), 0, one.seed
        )
        for number, one in enumerate(prompts)
    ]
    if not tasks:
        return []
    with torch.no_grad():
        planned = plan(settings, loaded, [task.prompt for task in tasks])
        painted: list[Image.Image] = []
        together = _AT_ONCE
        while len(painted) < len(tasks):
            part = tasks[len(painted) : len(painted) + together]
            try:
                painted += map(Image.fromarray, sample(planned, part, lambda step, steps: None))
                continue
            except (RuntimeError, MemoryError) as error:
                if len(part) == 1 or not memory.is_out_of_memory(error):
                    raise
            together = 1
            memory.make_room(loaded.pipe.device)  # outside of `except`, as in `devices.Room`
        return painted
