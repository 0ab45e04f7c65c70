"""One call of a pipeline: how a request is sampled, and a batch of its images."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from generation import prompts
from generation.conditioning import Source
from generation.errors import ModelBrokenError, WrongConditioningError, WrongSizeError
from generation.pipelines import LoadedPipeline
from generation.prompts import Embeddings
from generation.types import RenderPrompt, RenderSettings
from generation.writing import Pixels

AfterStep = Callable[[int, int], None]
"""Called with the number of steps done, from 1, and of all steps; what it raises ends the call."""

_BINNED = {32, 64, 128, 256}  # sizes in latents for which PixArt knows sides that it was trained at

_STRENGTH = {"image": 0.8, "inpaint": 1.0}
"""One for all families, so that models can be compared; the classes' own run from 0.3 to 1."""


@dataclass(frozen=True)
class Task:
    """One image to be made."""

    prompt: RenderPrompt
    position: int
    seed: int
    source: Source | None = None


@dataclass(frozen=True)
class Plan:
    """How the images of one kind and size are sampled, with the embedding of each of their prompts."""

    pipe: Any
    call: dict[str, Any]
    """Arguments that every call of the pipeline gets."""
    scheduler: str
    steps: int
    """As asked for; of a starting picture, the last `strength` of them are done."""
    guidance: float
    embeddings: dict[tuple[str, str], Embeddings]
    """Text and negative text to embeddings; empty for a pipeline that encodes by itself."""
    strength: float | None = None
    control_scale: float | None = None

    @property
    def expected_steps(self) -> int:
        """How many steps a call will probably do; the pipeline itself knows once it runs."""
        return max(1, int(self.steps * (self.strength or 1)))


def plan(
    settings: RenderSettings,
    loaded: LoadedPipeline,
    texts: Sequence[RenderPrompt],
    *,
    pipe: Any = None,
    source: Source | None = None,
) -> Plan:
    """Settle steps, guidance, size and scheduler (request, else model, else pipeline class); encode each prompt once.

    pipe: the sister pipeline for pictures like `source`; without, the model's own.
    Raises WrongSchedulerError, WrongSizeError or WrongConditioningError.
    """
    pipe = pipe or loaded.pipe
    own, parameters = _parameters(loaded.pipe), _parameters(pipe)
    pipe.scheduler = loaded.fresh_scheduler(settings.scheduler)
    steps = settings.steps or loaded.defaults.steps
    call: dict[str, Any] = {"num_inference_steps": steps} | _size(settings, loaded, source, parameters)
    guidance = 1.0
    if "guidance_scale" in parameters:
        chosen = (settings.guidance_scale, loaded.defaults.guidance_scale, own["guidance_scale"].default)
        guidance = call["guidance_scale"] = float(next(value for value in chosen if value is not None))
    if "use_resolution_binning" in parameters:
        call["use_resolution_binning"] = pipe.transformer.config.sample_size in _BINNED
    strength = control_scale = None
    if source is not None and source.kind == "control":
        control_scale = call["controlnet_conditioning_scale"] = (
            1.0 if settings.control_scale is None else settings.control_scale
        )
    elif source is not None:
        strength = call["strength"] = settings.strength or _STRENGTH[source.kind]
        if int(steps * strength) < 1:
            raise WrongConditioningError(
                f"a strength of {strength:g} leaves none of {steps} steps. Raise the strength, or the steps."
            )
    embeddings: dict[tuple[str, str], Embeddings] = {}
    for text, negative in dict.fromkeys((prompt.text, prompt.negative) for prompt in texts):
        made = prompts.encode(loaded.pipe, text, negative, guided=guidance > 1)
        if made is None:
            break
        embeddings[text, negative] = made
    if embeddings:
        call |= prompts.beside_embeddings(loaded.pipe)
    return Plan(pipe, call, type(pipe.scheduler).__name__, steps, guidance, embeddings, strength, control_scale)


def _size(
    settings: RenderSettings, loaded: LoadedPipeline, source: Source | None, parameters: dict[str, inspect.Parameter]
) -> dict[str, int]:
    """Return the arguments for the size: the picture's, else what is asked for, else the model's."""
    sides = {"width": settings.width, "height": settings.height}
    if source is not None:
        given = dict(zip(sides, source.size, strict=True))
        for side, pixels in sides.items():
            if pixels is not None and pixels != given[side]:
                raise WrongConditioningError(
                    f"the settings ask for a {side} of {pixels} pixels, and what the picture makes has {given[side]}. "
                    "Leave the size out, or give a picture of that size."
                )
        asked = given
    else:
        asked = {side: pixels or getattr(loaded.defaults, side) for side, pixels in sides.items()}
        asked = {side: pixels for side, pixels in asked.items() if pixels is not None}
    for side, pixels in asked.items():
        if pixels % loaded.size_factor:
            reason = (
                f"{'the picture has a' if source else 'a'} {side} of {pixels} pixels, and a "
                f"{type(loaded.pipe).__name__} makes multiples of {loaded.size_factor}. "
                f"Choose {max(1, round(pixels / loaded.size_factor)) * loaded.size_factor}."
            )
            raise WrongConditioningError(reason) if source else WrongSizeError(reason)
    return {side: pixels for side, pixels in asked.items() if side in parameters}


def sample(plan: Plan, batch: Sequence[Task], after_step: AfterStep) -> list[Pixels]:
    """Run the pipeline once and return the image of each task.

    Raises ModelBrokenError when the model makes values that are no numbers, and torch.OutOfMemoryError.
    """
    arguments = dict(plan.call) | _pictures(plan.pipe, batch)
    if plan.embeddings:
        each = [plan.embeddings[task.prompt.text, task.prompt.negative] for task in batch]
        arguments |= {name: torch.cat([one[name] for one in each]) for name in each[0]}
    else:
        arguments["prompt"] = [task.prompt.text for task in batch]
        if any(task.prompt.negative for task in batch):
            arguments["negative_prompt"] = [task.prompt.negative for task in batch]
    # One generator per image, on the CPU: its noise depends on its seed alone, not on its neighbours or the device.
    arguments["generator"] = [torch.Generator("cpu").manual_seed(task.seed) for task in batch]
    parameters = _parameters(plan.pipe)
    if "callback_on_step_end" in parameters:

        def on_step_end(pipe: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            after_step(step + 1, getattr(pipe, "num_timesteps", plan.expected_steps))
            return tensors

        arguments["callback_on_step_end"] = on_step_end
    elif "callback" in parameters:  # the older form, which PixArt still has
        arguments["callback"] = lambda step, _timestep, _latents: after_step(step + 1, plan.expected_steps)
    images = plan.pipe(output_type="pt", **arguments).images
    if not torch.isfinite(images).all():
        raise ModelBrokenError(
            f"the model makes values that are no numbers: its weights are damaged or need more than {images.dtype}"
        )
    levels = (images.float().clamp(0, 1) * 255).round().to(torch.uint8)
    made = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return [task.source.keep(pixels) if task.source else pixels for task, pixels in zip(batch, made, strict=True)]


def _pictures(pipe: Any, batch: Sequence[Task]) -> dict[str, Any]:
    """Return the arguments for the pictures of a batch, which are all of one kind and size."""
    sources = [task.source for task in batch if task.source is not None]
    if not sources:
        return {}
    control = sources[0].kind == "control" and "control_image" in _parameters(pipe)
    found: dict[str, Any] = {"control_image" if control else "image": [source.image for source in sources]}
    masks = [source.mask for source in sources if source.mask is not None]
    if masks:
        found["mask_image"] = [Image.fromarray(mask.astype(np.uint8) * 255) for mask in masks]
    return found


def _parameters(pipe: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(type(pipe).__call__).parameters)
