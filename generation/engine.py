"""Renders requests: keeps pipelines warm, fills batches, shrinks them when memory runs out.

What is guaranteed about sameness stands in generation/README.md and is held by tests/generation/test_sameness.py.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import diffusers
import torch
import transformers

from generation import adapters, conditioning, memory, pipelines, prompts
from generation.conditioning import Kind, Source
from generation.errors import (
    OutOfMemoryError,
    PromptTooLongError,
    RenderError,
    WorkerStoppingError,
    WrongConditioningError,
    WrongSettingError,
    WrongSizeError,
)
from generation.pipelines import LoadedPipeline
from generation.sampling import AfterStep, Plan, Task, plan, sample
from generation.storage import Storage
from generation.types import Conditioning, Manifest, ModelReference, RenderedImage, RenderPrompt, RenderRequest
from generation.variants import load_controlnet, variant
from generation.writing import Finish, Pixels, Writer

log = logging.getLogger(__name__)

VERSIONS = {"torch": torch.__version__, "diffusers": diffusers.__version__, "transformers": transformers.__version__}

OnImages = Callable[[tuple[RenderedImage, ...]], None]
OnNote = Callable[[str], None]
OnStep = Callable[[int, int], None]
_NEVER = Event()


@dataclass(frozen=True)
class Group:
    """Prompts of a request that go through the pipeline in the same way, and so share batches."""

    kind: Kind
    size: tuple[int, int] | None
    """Of their pictures, in pixels; None without."""
    prompts: list[RenderPrompt]
    sources: dict[UUID, Source]
    """The picture of each prompt, by the prompt's id."""


class Engine:
    """Renders requests on one device. Not for several threads at once.

    batch: images per call to begin with (default: 8, on CUDA 16). models_kept: pipelines that stay loaded.
    """

    def __init__(
        self,
        *,
        device: torch.device | None = None,
        batch: int | None = None,
        models_kept: int = 2,
        hub_download: bool = False,
    ) -> None:
        self.device = device or pipelines.best_device()
        self._batch = batch or (16 if self.device.type == "cuda" else 8)
        self._kept = models_kept
        self._hub_download = hub_download
        self._loaded: OrderedDict[Path, LoadedPipeline] = OrderedDict()  # least lately used first

    def render(
        self,
        request: RenderRequest,
        storage: Storage,
        *,
        on_images: OnImages,
        on_note: OnNote = lambda note: None,
        on_step: OnStep = lambda step, steps: None,
        stop: Event = _NEVER,
    ) -> None:
        """Render every image of `request` into `storage`.

        on_images hears of images, from another thread, as soon as their files are in storage: each image once.
        on_note hears what is going on, at every denoising step; on_step hears the step and how many there are of the
        batch at hand. Once `stop` is set, the work ends at the next step, with a WorkerStoppingError.
        In the live lane the first image is rendered alone, for somebody waits for it.
        Raises a RenderError; prompts that cannot be rendered are refused only after all others have been.
        """
        on_note("loading the model")
        loaded = self.load(request.model, storage)
        groups, refused = _sort_out(loaded.pipe, request.prompts, storage)
        at = 0
        total = sum(len(prompt.slots) for group in groups for prompt in group.prompts)
        with torch.inference_mode(), Writer(storage, on_images) as writer:
            for group in groups:
                try:
                    planned = self._plan(request, loaded, group)
                except (WrongSizeError, WrongConditioningError) as error:
                    refused.append(error)
                    continue
                tasks = [
                    Task(prompt, slot.position, slot.seed, group.sources.get(prompt.id))
                    for prompt in group.prompts
                    for slot in prompt.slots
                ]
                while tasks:

                    def after_step(step: int, steps: int, where: str = f"image {at + 1} of {total}") -> None:
                        if stop.is_set():
                            raise WorkerStoppingError("the worker was told to stop; its job goes to the next one")
                        on_note(f"{where}: step {step} of {steps}")
                        on_step(step, steps)

                    after_step(0, planned.expected_steps)
                    next_ones = tasks[:1] if request.lane == "live" and at == 0 else tasks
                    batch, images = self._sample_what_fits(group, loaded, planned, next_ones, after_step)
                    writer.add(
                        [
                            (image, self._answer(request, loaded, planned, task, len(batch)))
                            for task, image in zip(batch, images, strict=True)
                        ]
                    )
                    at += len(batch)
                    tasks = tasks[len(batch) :]
            writer.finish()
        if refused:
            raise _in_one(refused)

    def load(self, model: ModelReference, files: Storage | None = None) -> LoadedPipeline:
        """Return the model's pipeline with its adapters, warm if it was used lately and its files are still the same.

        files: the image storage, where the adapters that fine-tunes made lie.

        Raises ModelNotFoundError, ModelBrokenError, WrongPipelineError, WrongAdapterError, WeightsChangedError or
        OutOfMemoryError.
        """
        loaded = self._load_base(model)
        try:
            adapters.put_on(loaded, model.adapters, hub_download=self._hub_download, files=files)
        except BaseException:
            # It may be half changed, and the next request must not see that.
            self._loaded = OrderedDict((path, each) for path, each in self._loaded.items() if each is not loaded)
            raise
        return loaded

    def _load_base(self, model: ModelReference) -> LoadedPipeline:
        folder = pipelines.find_folder(model, hub_download=self._hub_download)
        files = pipelines.fingerprint(folder)
        warm = self._loaded.get(folder)
        if warm is not None and warm.files == files:
            pipelines.check_hash(model, warm.sha256)
            self._loaded.move_to_end(folder)
            return warm
        full = len(self._loaded) >= self._kept
        if warm is not None or full:
            del warm
            del self._loaded[folder if folder in self._loaded else next(iter(self._loaded))]
            memory.release(self.device)
        self._loaded[folder] = loaded = self._load_making_room(model, folder)
        return loaded

    def _load_making_room(self, model: ModelReference, folder: Path) -> LoadedPipeline:
        while True:
            try:
                return pipelines.load(model, folder, self.device)
            except torch.OutOfMemoryError as error:
                if not self._loaded:
                    raise OutOfMemoryError(
                        f"model {model.name!r} does not fit into the memory of {self.name}"
                    ) from error
                self._loaded.popitem(last=False)
            memory.release(self.device)

    def _plan(self, request: RenderRequest, loaded: LoadedPipeline, group: Group) -> Plan:
        """Plan the images of one group, on the sister pipeline that they need. Raises a RenderError."""
        controlnet = None
        if group.kind == "control" and request.model.controlnet is not None:
            controlnet = load_controlnet(request.model.controlnet, loaded, self.device, hub_download=self._hub_download)
        pipe = variant(loaded, group.kind, controlnet)
        source = next(iter(group.sources.values()), None)
        return plan(request.settings, loaded, group.prompts, pipe=pipe, source=source)

    def _sample_what_fits(
        self,
        group: Group,
        loaded: LoadedPipeline,
        planned: Plan,
        tasks: Sequence[Task],
        after_step: AfterStep,
    ) -> tuple[Sequence[Task], list[Pixels]]:
        """Sample the first tasks, as many as fit into memory, and remember how many those are."""
        width, height = planned.call.get("width"), planned.call.get("height")
        size = group.size or (width, height)
        roomy = False  # whether room was made already, so that one image alone had all there is
        while True:
            batch = tasks[: loaded.batch.get((group.kind, size), self._batch)]
            try:
                return batch, sample(planned, batch, after_step)
            except (RuntimeError, MemoryError) as error:
                if not memory.is_out_of_memory(error):
                    raise
                if len(batch) == 1 and roomy:
                    raise OutOfMemoryError(
                        f"one image of {_in_words(size)} does not fit into the memory of {self.name}. "
                        "Choose a smaller size or a smaller model."
                    ) from error
            # Outside of `except`, for its traceback holds on to the tensors that are to be freed.
            if len(batch) > 1:
                loaded.batch[group.kind, size] = len(batch) // 2
                log.warning("out of memory with %d images at a time; going on with %d", len(batch), len(batch) // 2)
            roomy = True
            for folder in [folder for folder, other in self._loaded.items() if other is not loaded]:
                del self._loaded[folder]
            memory.make_room(self.device)

    def _answer(
        self, request: RenderRequest, loaded: LoadedPipeline, planned: Plan, task: Task, together: int
    ) -> Finish:
        def finish(pixels: Pixels, content: bytes, key: str) -> RenderedImage:
            height, width = pixels.shape[:2]
            return RenderedImage(
                prompt=task.prompt.id,
                position=task.position,
                key=key,
                sha256=hashlib.sha256(content).hexdigest(),
                bytes=len(content),
                width=width,
                height=height,
                manifest=Manifest(
                    model=request.model.name,
                    model_location=request.model.location,
                    model_sha256=loaded.sha256,
                    scheduler=planned.scheduler,
                    requested_scheduler=request.settings.scheduler,
                    steps=planned.steps,
                    guidance_scale=planned.guidance,
                    seed=task.seed,
                    width=width,
                    height=height,
                    dtype=str(loaded.pipe.dtype).removeprefix("torch."),
                    device=self.name,
                    versions=VERSIONS,
                    batch=together,
                    threads=torch.get_num_threads(),
                    prompt=task.prompt.text,
                    negative=task.prompt.negative,
                    adapters=request.model.adapters,
                    controlnet=request.model.controlnet if planned.control_scale is not None else None,
                    conditioning=task.prompt.conditioning,
                    strength=planned.strength,
                    control_scale=planned.control_scale,
                ),
            )

        return finish

    @property
    def name(self) -> str:
        """The device's name, as manifests have it."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"


def _sort_out(pipe: Any, given: Sequence[RenderPrompt], storage: Storage) -> tuple[list[Group], list[RenderError]]:
    """Return the prompts that can be rendered, by kind of call and size, and why the others are refused."""
    groups: dict[tuple[Kind, tuple[int, int] | None], Group] = {}
    refused: list[RenderError] = []
    pictures: dict[Conditioning, Source] = {}  # one picture for all prompts of a request is read once
    for prompt in given:
        source = None
        try:
            prompts.check_length(pipe, prompt.text)
            prompts.check_length(pipe, prompt.negative)
            prompts.check_negative(pipe, prompt.negative)
            if prompt.conditioning is not None:
                source = pictures.get(prompt.conditioning) or conditioning.read(prompt.conditioning, storage)
                pictures[prompt.conditioning] = source
        except (PromptTooLongError, WrongSettingError, WrongConditioningError) as error:
            refused.append(error)
            continue
        kind: Kind = source.kind if source else "text"
        size = source.size if source else None
        group = groups.setdefault((kind, size), Group(kind, size, [], {}))
        group.prompts.append(prompt)
        if source:
            group.sources[prompt.id] = source
    return list(groups.values()), refused


def _in_one(refused: Sequence[RenderError]) -> RenderError:
    """Return one error for several prompts that were refused, each reason once."""
    reasons = dict.fromkeys(map(str, refused))
    return type(refused[0])("; ".join(reasons)[:2_000])


def _in_words(size: tuple[int | None, int | None]) -> str:
    width, height = size
    return f"{width} x {height} pixels" if width and height else "the model's own size"
