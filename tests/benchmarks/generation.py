"""Images per second of the engine, against a bare diffusers call on the same batches.

    python -m tests.benchmarks.generation --model folder:easel-icons
    python -m tests.benchmarks.generation --family sd15      # on CUDA: an SD 1.5-sized pipeline with random weights

The engine's time runs from the request to the last answer: length check, encoding, sampling, PNG files in storage (with
fsync), manifests. The bare call's ends with tensors in memory. Both run in turn within one process, the order changing
from round to round, and the median of the rounds' ratios counts: other load on the machine then meets both.
Also shown: the loop that most people write, one image at a time.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from generation.env import quieten_libraries
from generation.storage import MODEL_PATH_VARIABLE, Storage
from generation.types import (
    ImageSlot,
    Lease,
    ModelReference,
    RenderedImage,
    RenderPrompt,
    RenderRequest,
    RenderSettings,
)

NOBODY = UUID(int=0)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TEXTS = ("a red apple", "a blue bird", "a small green tree", "a yellow house on a white background")


def main() -> int:
    """Measure, print, and return the exit status: 1 when the engine misses --goal."""
    options = _read()
    quieten_libraries(hub_download=False)
    import torch

    from generation.engine import Engine
    from generation.pipelines import best_dtype

    if options.family:
        if not torch.cuda.is_available():
            sys.stdout.write(f"skipped: a pipeline of the size of {options.family} needs a CUDA device\n")
            return 0
        folder = Path(tempfile.mkdtemp(prefix="easel-benchmark-", dir=options.storage))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        save_sd15_sized_model(folder / options.family, best_dtype(torch.device("cuda")))
        os.environ[MODEL_PATH_VARIABLE] = str(folder)
        options.model = f"folder:{options.family}"
    request = _request(options)
    batch: int = options.batch
    engine = Engine(batch=batch)
    pipe = engine.load(request.model).pipe
    defaults = engine.load(request.model).defaults
    steps = options.steps or defaults.steps
    call: dict[str, Any] = {"num_inference_steps": steps}
    if defaults.guidance_scale is not None:
        call["guidance_scale"] = defaults.guidance_scale
    tasks = [(prompt.text, slot.seed) for prompt in request.prompts for slot in prompt.slots]

    def bare(size: int) -> None:
        for at in range(0, len(tasks), size):
            part = tasks[at : at + size]
            generators = [torch.Generator("cpu").manual_seed(seed) for _, seed in part]
            pipe([text for text, _ in part], generator=generators, output_type="pt", **call)
        if engine.device.type == "cuda":
            torch.cuda.synchronize()

    def through_the_engine() -> None:
        images: list[RenderedImage] = []
        with tempfile.TemporaryDirectory(dir=options.storage) as folder:  # empty: nothing is already there
            engine.render(request, Storage(Path(folder).as_uri()), on_images=images.extend)
        assert len(images) == len(tasks)

    candidates: dict[str, Callable[[], None]] = {
        "bare": lambda: bare(batch),
        "engine": through_the_engine,
        "one at a time": lambda: bare(1),
    }
    for run in candidates.values():
        run()  # caches, allocators and threads warm up
    wall: dict[str, list[float]] = {name: [] for name in candidates}
    processor: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(options.rounds):
        for name in list(candidates) if number % 2 else reversed(list(candidates)):
            before, used = time.perf_counter(), time.process_time()
            candidates[name]()
            wall[name].append(time.perf_counter() - before)
            processor[name].append(time.process_time() - used)

    figures: dict[str, Any] = {
        "model": request.model.location,
        "device": engine.name,
        "dtype": str(pipe.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "images": len(tasks),
        "batch": batch,
        "steps": steps,
        "rounds": options.rounds,
        "images_per_second": {name: len(tasks) / statistics.median(times) for name, times in wall.items()},
        "cpu_seconds_per_image": {name: statistics.median(times) / len(tasks) for name, times in processor.items()},
        "engine_images_per_s": len(tasks) / statistics.median(wall["engine"]),
        "bare_images_per_s": len(tasks) / statistics.median(wall["bare"]),
        "ratio_to_bare": _ratio(wall["bare"], wall["engine"]),
        "engine_over_bare": _ratio(wall["bare"], wall["engine"]),
        "engine_over_bare_by_cpu": _ratio(processor["bare"], processor["engine"]),
        "engine_over_one_at_a_time": _ratio(wall["one at a time"], wall["engine"]),
    }
    sys.stdout.write(f"{request.model.location} in {figures['dtype']} on {figures['device']}, batches of {batch}\n")
    for name in candidates:
        rate, cost = figures["images_per_second"][name], figures["cpu_seconds_per_image"][name]
        sys.stdout.write(f"{name:14} {rate:8.2f} images/s   {cost * 1000:8.1f} ms CPU an image\n")
    sys.stdout.write(
        f"engine / bare: {figures['engine_over_bare']:.3f} (by CPU time {figures['engine_over_bare_by_cpu']:.3f}; "
        f"goal {options.goal}); engine / one at a time: {figures['engine_over_one_at_a_time']:.2f}\n"
    )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if figures["engine_over_bare"] >= options.goal else 1


def save_sd15_sized_model(folder: Path, dtype: Any) -> None:
    """Write a StableDiffusionPipeline of the very sizes of SD 1.5 (860 million weights in its UNet), random weights."""
    import diffusers as untyped_diffusers
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    diffusers: Any = untyped_diffusers
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        words = ["<|startoftext|>", "<|endoftext|>", *(f"{letter}{end}" for letter in LETTERS for end in ("", "</w>"))]
        diffusers.StableDiffusionPipeline(
            vae=diffusers.AutoencoderKL(
                block_out_channels=(128, 256, 512, 512),
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                layers_per_block=2,
                latent_channels=4,
                sample_size=512,
            ),
            text_encoder=CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=49_408,
                    hidden_size=768,
                    intermediate_size=3072,
                    num_hidden_layers=12,
                    num_attention_heads=12,
                    bos_token_id=0,
                    eos_token_id=1,
                    pad_token_id=1,
                )
            ),
            tokenizer=CLIPTokenizer(vocab={word: at for at, word in enumerate(words)}, merges=[], model_max_length=77),
            unet=diffusers.UNet2DConditionModel(
                sample_size=64,
                block_out_channels=(320, 640, 1280, 1280),
                cross_attention_dim=768,
                attention_head_dim=8,
            ),
            scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ).save_pretrained(folder)
    finally:
        torch.set_default_dtype(torch.float32)
    (folder / "defaults.json").write_text('{"steps": 20, "guidance_scale": 7.5}')


def _ratio(floor: list[float], ours: list[float]) -> float:
    """Return the median over rounds of floor time by our time: 1 is as fast, more is faster."""
    return statistics.median(bare / own for bare, own in zip(floor, ours, strict=True))


def _request(options: argparse.Namespace) -> RenderRequest:
    per_prompt = options.images // len(TEXTS)
    return RenderRequest(
        lease=Lease(job=NOBODY, token=NOBODY, attempt=1),
        lane="batch",
        model=ModelReference(id=NOBODY, name=options.model, location=options.model),
        settings=RenderSettings(steps=options.steps),
        prompts=tuple(
            RenderPrompt(
                id=UUID(int=number),
                text=text,
                slots=tuple(ImageSlot(position=at, seed=100 * number + at) for at in range(per_prompt)),
            )
            for number, text in enumerate(TEXTS, 1)
        ),
        storage_url="file:///",  # not used: each run gets a folder of its own
    )


def _read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="folder:easel-icons")
    parser.add_argument(
        "--family", choices=["sd15"], help="instead of a model: one of this size with random weights, in half precision"
    )
    parser.add_argument("--images", type=int, default=16, help="images per round, spread over four prompts")
    parser.add_argument("--batch", type=int, default=8, help="images per call")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--storage", type=Path, default=Path(os.environ.get("TMPDIR", tempfile.gettempdir())))
    parser.add_argument("--goal", type=float, default=0.98, help="engine / bare below this is a failure")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
