"""One call of a pipeline: how a request is sampled, and a batch of its images."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from generation import prompts
from generation.errors import ModelBrokenError
from generation.pipelines import LoadedPipeline
from generation.prompts import Embeddings
from generation.types import RenderPrompt, RenderSettings
from generation.writing import Pixels

AfterStep = Callable[[int], None]
"""Called with the number of steps done, from 1; what it raises ends the call."""


@dataclass(frozen=True)
class Task:
    """One image to be made."""

    prompt: RenderPrompt
    position: int
    seed: int


@dataclass(frozen=True)
class Plan:
    """How the images of one request are sampled, with the embedding of each of its prompts."""

    pipe: Any
    call: dict[str, Any]
    """Arguments that every call of the pipeline gets."""
    scheduler: str
    steps: int
    guidance: float
    embeddings: dict[tuple[str, str], Embeddings]
    """Text and negative text to embeddings; empty for a pipeline that encodes by itself."""


def plan(settings: RenderSettings, loaded: LoadedPipeline, texts: Sequence[RenderPrompt]) -> Plan:
    """Settle steps, guidance, size and scheduler (request, else model, else pipeline class); encode each prompt once.

    Raises WrongSchedulerError.
    """
    pipe, parameters = loaded.pipe, _parameters(loaded.pipe)
    scheduler = loaded.set_scheduler(settings.scheduler)
    steps = settings.steps or loaded.defaults.steps
    call: dict[str, Any] = {"num_inference_steps": steps}
    guidance = 1.0
    if "guidance_scale" in parameters:
        chosen = (settings.guidance_scale, loaded.defaults.guidance_scale, parameters["guidance_scale"].default)
        guidance = call["guidance_scale"] = float(next(value for value in chosen if value is not None))
    for side in ("width", "height"):
        pixels = getattr(settings, side) or getattr(loaded.defaults, side)
        if pixels is not None:
            call[side] = pixels
    embeddings: dict[tuple[str, str], Embeddings] = {}
    for text, negative in dict.fromkeys((prompt.text, prompt.negative) for prompt in texts):
        made = prompts.encode(pipe, text, negative, guided=guidance > 1)
        if made is None:
            break
        embeddings[text, negative] = made
    return Plan(pipe, call, scheduler, steps, guidance, embeddings)


def sample(plan: Plan, batch: Sequence[Task], after_step: AfterStep) -> list[Pixels]:
    """Run the pipeline once and return the image of each task.

    Raises ModelBrokenError when the model makes values that are no numbers, and torch.OutOfMemoryError.
    """
    arguments = dict(plan.call)
    if plan.embeddings:
        each = [plan.embeddings[task.prompt.text, task.prompt.negative] for task in batch]
        arguments |= {name: torch.cat([one[name] for one in each]) for name in each[0]}
    else:
        arguments["prompt"] = [task.prompt.text for task in batch]
        if any(task.prompt.negative for task in batch):
            arguments["negative_prompt"] = [task.prompt.negative for task in batch]
    # One generator per image, on the CPU: its noise depends on its seed alone, not on its neighbours or the device.
    arguments["generator"] = [torch.Generator("cpu").manual_seed(task.seed) for task in batch]
    if "callback_on_step_end" in _parameters(plan.pipe):

        def on_step_end(_pipe: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            after_step(step + 1)
            return tensors

        arguments["callback_on_step_end"] = on_step_end
    images = plan.pipe(output_type="pt", **arguments).images
    if not torch.isfinite(images).all():
        raise ModelBrokenError(
            f"the model makes values that are no numbers: its weights are damaged or need more than {images.dtype}"
        )
    levels = (images.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return list(levels.permute(0, 2, 3, 1).contiguous().cpu().numpy())


def _parameters(pipe: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(type(pipe).__call__).parameters)
