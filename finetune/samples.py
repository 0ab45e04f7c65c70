"""The grid of samples: fixed prompts and seeds, rendered with the weights as they are, at every checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import torch
from PIL import Image

from finetune.types import SamplePrompt
from generation.pipelines import LoadedPipeline
from generation.sampling import Task, plan, sample
from generation.types import ImageSlot, RenderPrompt, RenderSettings

_AT_ONCE = 4


def paint(loaded: LoadedPipeline, prompts: Sequence[SamplePrompt], settings: RenderSettings) -> list[Image.Image]:
    """Render each prompt as the engine would. The pipeline has its adapter on; nothing of the training is disturbed."""
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
        return [
            Image.fromarray(pixels)
            for start in range(0, len(tasks), _AT_ONCE)
            for pixels in sample(planned, tasks[start : start + _AT_ONCE], lambda step, steps: None)
        ]
