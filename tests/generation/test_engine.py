"""From a request to files in storage, through a real diffusers pipeline."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from threading import Event, current_thread
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from generation.engine import Engine
from generation.errors import OutOfMemoryError, PromptTooLongError, WorkerStoppingError, WrongSchedulerError
from generation.sampling import Task, plan, sample
from generation.storage import Storage, weights_hash
from generation.types import ModelReference, RenderedImage
from tests.generation.conftest import Ask, Render, id_of, reference
from tests.generation.tiny import diffusers


def test_every_image_of_a_request_is_made_and_described(
    ask: Ask, render: Render, storage: Storage, models: Path
) -> None:
    images = render(ask({"red apple": [1, 2, 3], "blue bird": [4]}))

    assert set(images) == {("red apple", 0), ("red apple", 1), ("red apple", 2), ("blue bird", 0)}
    for image in images.values():
        content = storage.read(image.key)
        assert hashlib.sha256(content).hexdigest() == image.sha256
        assert image.key == f"{image.sha256[:2]}/{image.sha256}.png"
        assert len(content) == image.bytes
        assert Image.open(io.BytesIO(content)).size == (image.width, image.height) == (16, 16)
    manifest = images["red apple", 2].manifest
    assert manifest.model_dump(exclude={"versions"}, exclude_defaults=True) == {
        "model": "Tiny",
        "model_location": "folder:tiny",
        "model_sha256": weights_hash(models / "tiny"),
        "scheduler": "DDIMScheduler",
        "steps": 2,
        "guidance_scale": 3.0,
        "seed": 3,
        "width": 16,
        "height": 16,
        "dtype": "float32",
        "device": "cpu",
        "batch": 4,
        "prompt": "red apple",
    }
    assert set(manifest.versions) == {"torch", "diffusers", "transformers"}


def test_a_file_carries_no_metadata(ask: Ask, render: Render, storage: Storage) -> None:
    (image,) = render(ask({"apple": [1]})).values()
    assert Image.open(io.BytesIO(storage.read(image.key))).info == {}


def test_the_pixels_are_those_of_a_plain_diffusers_call(
    ask: Ask, render: Render, storage: Storage, models: Path
) -> None:
    (image,) = render(ask({"apple": [7]}, steps=3, guidance_scale=4.0)).values()
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(models / "tiny", dtype=torch.float32)
    plain = pipe("apple", num_inference_steps=3, guidance_scale=4.0, generator=torch.Generator().manual_seed(7)).images[
        0
    ]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(storage.read(image.key)))), np.asarray(plain))


def test_a_request_settles_what_the_model_leaves_open(ask: Ask, render: Render) -> None:
    (image,) = render(ask({"apple": [1]}, steps=4, guidance_scale=1.0, width=24, height=32)).values()
    assert (image.width, image.height) == (24, 32)
    assert (image.manifest.steps, image.manifest.guidance_scale) == (4, 1.0)


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("ddim", "DDIMScheduler"),
        ("dpmpp_2m", "DPMSolverMultistepScheduler"),
        ("euler_a", "EulerAncestralDiscreteScheduler"),
        ("euler_trailing", "EulerDiscreteScheduler"),
        ("unipc", "UniPCMultistepScheduler"),
        ("lcm", "LCMScheduler"),
    ],
)
def test_the_scheduler_can_be_chosen(ask: Ask, render: Render, name: str, used: str) -> None:
    (image,) = render(ask({"apple": [1]}, scheduler=name, steps=3)).values()
    assert image.manifest.scheduler == used
    (own,) = render(ask({"apple": [1]}, steps=3)).values()
    assert own.manifest.scheduler == "DDIMScheduler"  # the choice of one request does not stick to the warm pipeline


def test_a_negative_prompt_changes_the_image(ask: Ask, render: Render) -> None:
    request = ask({"apple": [1]})
    without = render(request)
    prompt = request.prompts[0].model_copy(update={"negative": "leaf"})
    assert render(request.model_copy(update={"prompts": (prompt,)})) != without


def test_a_pipeline_with_two_text_encoders_renders_like_a_plain_call(
    ask: Ask, render: Render, storage: Storage, models: Path
) -> None:
    images = render(ask({"apple": [5], "bird": [6]}, model=reference("xl")))

    assert images["apple", 0].manifest.guidance_scale == 5.0  # the class's own, where the folder names none
    pipe = diffusers.StableDiffusionXLPipeline.from_pretrained(models / "xl", dtype=torch.float32)
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    plain = pipe(["apple", "bird"], num_inference_steps=2, generator=generators).images
    for text, expected in zip(("apple", "bird"), plain, strict=True):
        found = Image.open(io.BytesIO(storage.read(images[text, 0].key)))
        assert np.abs(np.asarray(found, int) - np.asarray(expected, int)).max() <= 1


def test_a_pipeline_that_encodes_by_itself_gets_the_texts(ask: Ask) -> None:
    # The families that we do not encode for (PixArt, Flux, ...) have encoders too big for a test: this one is hidden.
    request = ask({"apple": [1], "bird": [2]})
    loaded = Engine().load(request.model)
    tasks = [Task(prompt, 0, prompt.slots[0].seed) for prompt in request.prompts]
    with torch.inference_mode():
        known = sample(plan(request.settings, loaded, request.prompts), tasks, lambda step, steps: None)
        loaded.pipe.__class__ = type("SomeOtherPipeline", (type(loaded.pipe),), {})
        unknown = plan(request.settings, loaded, request.prompts)
        assert unknown.embeddings == {}
        for mine, theirs in zip(known, sample(unknown, tasks, lambda step, steps: None), strict=True):
            assert np.abs(mine.astype(int) - theirs).max() <= 1


def test_each_prompt_is_encoded_once_for_all_its_images(ask: Ask, render: Render) -> None:
    engine = Engine(batch=2)
    request = ask({"apple": range(5), "bird": [1]})
    encoder = engine.load(request.model).pipe.text_encoder
    calls: list[int] = []
    encoder.register_forward_pre_hook(lambda *_: calls.append(1))
    render(request, engine)
    assert len(calls) == 4  # the two texts, and for each the empty text that guidance steers away from


def test_finished_batches_are_heard_of_while_others_are_still_to_be_made(ask: Ask, storage: Storage) -> None:
    events: list[str] = []

    def collect(images: tuple[RenderedImage, ...]) -> None:
        assert current_thread().name.startswith("batch")
        assert all(storage.read(image.key) for image in images)
        events.append(f"{len(images)} images")

    Engine(batch=2).render(ask({"apple": range(5)}), storage, on_images=collect, on_note=events.append)
    assert [event for event in events if event.endswith("images")] == ["2 images", "2 images", "1 images"]
    assert events.index("2 images") < events.index("image 5 of 5: step 2 of 2")
    assert events[0] == "loading the model"


def test_a_stop_order_ends_the_work_at_the_next_step_and_keeps_what_is_done(ask: Ask, storage: Storage) -> None:
    stop = Event()
    kept: list[RenderedImage] = []

    def note(text: str) -> None:
        if text == "image 3 of 4: step 1 of 2":
            stop.set()

    with pytest.raises(WorkerStoppingError):
        Engine(batch=2).render(ask({"apple": range(4)}), storage, on_images=kept.extend, on_note=note, stop=stop)
    assert [image.position for image in kept] == [0, 1]


def test_whoever_waits_for_live_images_sees_the_first_one_alone_and_each_step(ask: Ask, storage: Storage) -> None:
    batches: list[int] = []
    steps: list[tuple[int, int]] = []
    request = ask({"apple": range(4)}).model_copy(update={"lane": "live"})
    Engine(batch=8).render(
        request,
        storage,
        on_images=lambda images: batches.append(len(images)),
        on_step=lambda step, of: steps.append((step, of)),
    )
    assert batches == [1, 3]
    assert steps == [(0, 2), (1, 2), (2, 2)] * 2


def test_a_prompt_that_is_too_long_is_refused_and_the_others_are_rendered(
    ask: Ask, storage: Storage, shared_engine: Engine
) -> None:
    kept: list[RenderedImage] = []
    request = ask({"abcdefghijklmnopq": [1], "apple": [1]})
    with pytest.raises(PromptTooLongError, match=r"'abcdefghijklmnopq' has 19 tokens and the model reads 16"):
        shared_engine.render(request, storage, on_images=kept.extend)
    assert [image.prompt for image in kept] == [id_of("apple")]
    longest = ask({"abcdefghijklmn": [1]})
    shared_engine.render(longest, storage, on_images=kept.extend)
    assert len(kept) == 2


def test_a_flow_model_refuses_a_scheduler_for_noise_schedules(ask: Ask) -> None:
    loaded = Engine().load(ask({"apple": [1]}).model)
    loaded.own_scheduler = diffusers.FlowMatchEulerDiscreteScheduler
    with pytest.raises(WrongSchedulerError, match="Choose 'default'"):
        loaded.fresh_scheduler("ddim")


class SmallMemory(torch.nn.Module):
    """A UNet on a device whose memory ends at `images` per call (guidance doubles the batch)."""

    def __init__(self, unet: Any, images: int) -> None:
        super().__init__()
        self.unet = unet
        self.images = images
        self.batches: list[int] = []
        self.error: Exception = torch.OutOfMemoryError("CUDA out of memory")

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.unet, name)

    def forward(self, sample: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        self.batches.append(sample.shape[0] // 2)
        if self.batches[-1] > self.images:
            raise self.error
        return self.unet(sample, *arguments, **options)


def _with_small_memory(engine: Engine, model: ModelReference, images: int) -> SmallMemory:
    pipe = engine.load(model).pipe
    pipe.unet = SmallMemory(pipe.unet, images)
    return pipe.unet  # type: ignore[no-any-return]


def test_out_of_memory_halves_the_batch_and_completes(ask: Ask, render: Render) -> None:
    engine = Engine(batch=8)
    request = ask({"apple": range(4), "bird": range(3)}, steps=1)
    small = _with_small_memory(engine, request.model, 2)

    images = render(request, engine)
    assert len(images) == 7
    assert small.batches == [7, 3, 1, 1, 1, 1, 1, 1, 1]

    small.batches.clear()
    assert render(request, engine) == images
    assert small.batches == [1] * 7  # it does not try again what did not fit


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried ..."),
        RuntimeError("could not create a primitive"),  # what oneDNN said when a process met its address limit
        MemoryError(),
    ],
)
def test_a_cpu_says_in_other_words_that_memory_ends(error: Exception, ask: Ask, render: Render) -> None:
    engine = Engine(batch=4)
    request = ask({"apple": range(4)}, steps=1)
    small = _with_small_memory(engine, request.model, 2)
    small.error = error
    assert len(render(request, engine)) == 4
    assert small.batches == [4, 2, 2]


def test_another_error_is_not_taken_for_a_full_memory(ask: Ask, render: Render) -> None:
    engine = Engine(batch=4)
    request = ask({"apple": range(4)}, steps=1)
    small = _with_small_memory(engine, request.model, 2)
    small.error = RuntimeError("the driver fell over")
    with pytest.raises(RuntimeError, match="fell over"):
        render(request, engine)
    assert small.batches == [4]


def test_a_smaller_batch_is_learned_for_that_size_alone(ask: Ask, render: Render) -> None:
    engine = Engine(batch=4)
    small = _with_small_memory(engine, ask({"apple": [1]}).model, 2)
    render(ask({"apple": range(4)}, steps=1, width=32, height=32), engine)
    small.images = 4
    small.batches.clear()
    render(ask({"apple": range(4)}, steps=1), engine)
    assert small.batches == [4]


def test_an_image_that_does_not_fit_alone_fails_with_a_reason(ask: Ask, render: Render) -> None:
    engine = Engine()
    request = ask({"apple": range(3)}, width=24, height=16)
    small = _with_small_memory(engine, request.model, 0)
    with pytest.raises(OutOfMemoryError, match=r"one image of 24 x 16 pixels does not fit .* Choose a smaller size"):
        render(request, engine)
    assert small.batches == [3, 1]


def test_one_image_alone_fails_only_after_room_was_made_for_it(ask: Ask, render: Render) -> None:
    engine = Engine(models_kept=2)
    other = engine.load(reference("second"))
    request = ask({"apple": [1]}, width=24, height=16)
    small = _with_small_memory(engine, request.model, 0)
    with pytest.raises(OutOfMemoryError):
        render(request, engine)
    assert small.batches == [1, 1]
    assert engine.load(reference("second")) is not other


def test_other_models_are_dropped_when_memory_runs_out(ask: Ask, render: Render) -> None:
    engine = Engine(models_kept=2)
    other = reference("second")
    before = engine.load(other)
    request = ask({"apple": range(4)})
    _with_small_memory(engine, request.model, 2)
    render(request, engine)
    assert engine.load(other) is not before


def test_a_pipeline_is_kept_warm_until_others_take_its_place(models: Path) -> None:
    first, second, third = map(reference, ("tiny", "second", "third"))
    engine = Engine(models_kept=2)
    warm = engine.load(first)
    engine.load(second)
    assert engine.load(first) is warm
    engine.load(third)  # takes the place of the second, which was used least lately
    assert engine.load(first) is warm
    engine.load(second)
    engine.load(third)
    assert engine.load(first) is not warm
