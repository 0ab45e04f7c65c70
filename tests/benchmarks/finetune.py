"""One step of our Diffusion-DPO against the public recipe on the same model and batch: time and peak memory.

    python -m tests.benchmarks.finetune                  # the built-in model on this machine's CPU
    python -m tests.benchmarks.finetune --family sd15    # on CUDA: an SD 1.5-sized pipeline with random weights
    python -m tests.benchmarks.finetune --family sdxl

The recipe is diffusers' examples/research_projects/diffusion_dpo, written anew and plainly, with those flags of its
README that bear on a step: images and prompts are encoded at every step, the reference is a second forward pass with
the adapter off, gradient checkpointing is on. It is spared the decoding of images. Both train the same LoRA with AdamW.
Ours is what `finetune.dpo` does between two optimizer steps, with everything encoded before.

Steps run in turn within one process, the order changing from round to round, and the median of the rounds' ratios
counts. Memory is the peak of a process that does nothing else; on a CPU that is its resident size, libraries and all.
"""

from __future__ import annotations

import argparse
import atexit
import hashlib
import io
import itertools
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from generation.env import quieten_libraries

ITEMS = 32
ARMS = ("recipe", "ours", "ours, checkpointing")
GOALS = {"builtin": (0.5, math.inf), "sd15": (0.6, 0.8), "sdxl": (0.7, 0.8)}
"""Step time and memory as shares of the recipe's; no goal of memory was set for the built-in model on a CPU."""
BUILT_IN = Path("generation/builtin/easel-icons")
THINGS = ("apple", "cat", "house", "star", "fish", "car", "owl", "robot")


def main() -> int:
    """Measure, print, and return the exit status: 1 when a goal is missed."""
    options = _read()
    quieten_libraries(hub_download=False)
    import torch

    name = options.family or "builtin"
    if options.family and not torch.cuda.is_available():
        sys.stdout.write(f"skipped: a pipeline of the size of {options.family} needs a CUDA device\n")
        return 0
    if options.arm:
        return _alone(options)
    work = Path(tempfile.mkdtemp(prefix="easel-benchmark-", dir=options.storage))
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    options.base = options.base or (_random_base(options.family, work / "base") if options.family else BUILT_IN)
    options.pixels = options.pixels or {"builtin": 64, "sd15": 512, "sdxl": 1024}[name]
    options.snapshot = _write_snapshot(work, options.pixels)

    device = torch.device("cuda" if torch.cuda.is_available() and options.family else "cpu")
    memory = {arm: _memory_of(arm, options) for arm in ARMS}  # first: this process holds nothing on the device yet
    wall: dict[str, list[float]] = {arm: [] for arm in ARMS}
    processor: dict[str, list[float]] = {arm: [] for arm in ARMS}
    steps = {arm: _arm(arm, options) for arm in ARMS}
    for number in range(options.rounds + options.warm_up):
        for arm in ARMS if number % 2 else reversed(ARMS):
            before, used = time.perf_counter(), time.process_time()
            steps[arm](number)
            if device.type == "cuda":
                torch.cuda.synchronize()
            if number >= options.warm_up:
                wall[arm].append(time.perf_counter() - before)
                processor[arm].append(time.process_time() - used)

    figures: dict[str, Any] = {
        "model": options.family or str(options.base),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "pixels": options.pixels,
        "pairs": options.pairs,
        "rounds": options.rounds,
        "seconds_a_step": {arm: statistics.median(times) for arm, times in wall.items()},
        "cpu_seconds_a_step": {arm: statistics.median(times) for arm, times in processor.items()},
        "peak_mib": memory,
        "step_ratio": _ratio(wall, "ours"),
        "step_ratio_by_cpu": _ratio(processor, "ours"),
        "step_ratio_checkpointing": _ratio(wall, "ours, checkpointing"),
        "memory_ratio": memory["ours, checkpointing"] / memory["recipe"],
        "memory_ratio_without_checkpointing": memory["ours"] / memory["recipe"],
    }
    sys.stdout.write(
        f"{figures['model']} on {figures['device']}, {options.pairs} pairs of {options.pixels} px a step\n"
    )
    for arm in ARMS:
        seconds, used = figures["seconds_a_step"][arm], figures["cpu_seconds_a_step"][arm]
        sys.stdout.write(f"{arm:20} {seconds * 1000:9.0f} ms {used * 1000:9.0f} ms CPU {memory[arm]:9.0f} MiB\n")
    step_goal, memory_goal = GOALS[name]
    sys.stdout.write(
        f"ours / recipe: step {figures['step_ratio']:.3f} (by CPU time {figures['step_ratio_by_cpu']:.3f}; "
        f"goal {step_goal}), with checkpointing {figures['step_ratio_checkpointing']:.3f}; "
        f"memory with checkpointing {figures['memory_ratio']:.3f}"
        f"{'' if memory_goal == math.inf else f' (goal {memory_goal})'}, "
        f"without {figures['memory_ratio_without_checkpointing']:.3f}\n"
    )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if figures["step_ratio"] <= step_goal and figures["memory_ratio"] <= memory_goal else 1


def _ratio(times: dict[str, list[float]], arm: str) -> float:
    """Return the median over rounds of our time by the recipe's: less is faster."""
    return statistics.median(own / recipe for own, recipe in zip(times[arm], times["recipe"], strict=True))


# -- the two ways of a step --------------------------------------------------------------------------------------------


def _arm(arm: str, options: argparse.Namespace) -> Callable[[int], None]:
    return _recipe(options) if arm == "recipe" else _ours(options, checkpointing=arm != "ours")


def _ours(options: argparse.Namespace, *, checkpointing: bool) -> Callable[[int], None]:
    """Return a step of `finetune.dpo`: its own opening, and its own gradients."""
    import torch

    from finetune import adapters, defaults, devices, dpo, draws, opening
    from finetune.caching import Cache
    from finetune.prediction import predictor_of
    from finetune.types import TrainSettings

    state = devices.start_processes()
    settings = defaults.fill(
        "dpo",
        defaults.weights_of(options.base),
        TrainSettings(batch=options.pairs, lora_rank=options.rank, lora_alpha=options.rank, prompt_dropout=0.0),
    )
    rows = list(opening.read_rows(options.snapshot, "train"))
    config = dpo.Config(
        base=str(options.base), snapshot=str(options.snapshot), out="", images_at_once=2 * options.pairs
    )
    pairs = dpo.pairs_of(rows)
    loaded = opening.load_base(options.base, [], state.device)
    predictor = predictor_of(loaded.pipe)
    parameters = adapters.put_on(
        predictor.network, rank=options.rank, alpha=options.rank, targets=_targets(options), seed=0
    )
    if checkpointing:
        predictor.network.enable_gradient_checkpointing()
    cache = Cache(loaded, options.snapshot, (options.pixels, options.pixels))
    cache.fill([image for row in rows for image in row.images], [row.prompt for row in rows])
    room = devices.Room(config.images_at_once, settings, state.device)
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=state.device.type == "cuda")

    def step(number: int) -> None:
        chosen = [pairs[place] for place in draws.batch(len(pairs), options.pairs, 0, number)]
        sums = dpo._gradients(chosen, config, settings, number, predictor, cache, room, state, parameters)
        devices.add_up([*devices.gradients(parameters), sums])
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        sums.tolist()  # the figures of the step, which wait for the device

    return step


def _recipe(options: argparse.Namespace) -> Callable[[int], None]:
    """Return a step as the public script makes it, its images ready as pixels."""
    import numpy as np
    import torch
    import torch.nn.functional as F
    from diffusers import DDPMScheduler, DiffusionPipeline
    from peft import LoraConfig
    from PIL import Image

    from finetune import snapshot

    device = torch.device("cuda" if options.family and torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    pipe: Any = DiffusionPipeline.from_pretrained(options.base, torch_dtype=dtype)  # type: ignore[no-untyped-call]
    pipe.to(device)
    unet, vae = pipe.unet, pipe.vae
    for part in (unet, vae, pipe.text_encoder, getattr(pipe, "text_encoder_2", None)):
        if part is not None:
            part.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=options.rank, lora_alpha=options.rank, target_modules=list(_targets(options))))
    parameters = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.data = parameter.data.float()
    unet.enable_gradient_checkpointing()
    unet.train()
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=device.type == "cuda")
    schedule: Any = DDPMScheduler.from_config(pipe.scheduler.config)  # type: ignore[no-untyped-call]

    rows = list(snapshot.read(options.snapshot, "train"))
    prompts = [row.prompt for row in rows]
    pictures = [
        [np.array(Image.open(io.BytesIO(snapshot.image_bytes(options.snapshot, image)))) for image in row.images]
        for row in rows
    ]
    pixels = torch.from_numpy(np.array(pictures)).permute(0, 1, 4, 2, 3)  # (items, 2, 3, H, W)

    def encode(images: Any) -> Any:
        parts = []
        for start in range(0, len(images), 8):  # the script's vae_encode_batch_size
            encoded = vae.encode(images[start : start + 8])
            parts.append(encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.sample())
        return torch.cat(parts) * vae.config.scaling_factor

    def embed(texts: list[str]) -> dict[str, Any]:
        made = pipe.encode_prompt(texts, device=device, num_images_per_prompt=1, do_classifier_free_guidance=False)
        if options.family != "sdxl":
            return {"encoder_hidden_states": made[0].repeat(2, 1, 1)}
        sizes = torch.tensor([[options.pixels, options.pixels, 0, 0, options.pixels, options.pixels]], device=device)
        added = {"text_embeds": made[2].repeat(2, 1), "time_ids": sizes.repeat(2 * len(texts), 1)}
        return {"encoder_hidden_states": made[0].repeat(2, 1, 1), "added_cond_kwargs": added}

    def errors(noisy: Any, timesteps: Any, text: dict[str, Any], target: Any) -> Any:
        predicted = unet(noisy, timesteps, **text).sample
        return F.mse_loss(predicted.float(), target.float(), reduction="none").mean((1, 2, 3))

    def step(number: int) -> None:
        picked = [(options.pairs * number + place) % len(rows) for place in range(options.pairs)]
        images = pixels[picked].transpose(0, 1).flatten(0, 1).to(device, dtype) / 127.5 - 1
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            with torch.no_grad():
                latents = encode(images)
                text = embed([prompts[place] for place in picked])
            noise = torch.randn_like(latents).chunk(2)[0].repeat(2, 1, 1, 1)
            timesteps = torch.randint(0, 1000, (options.pairs,), device=device).repeat(2)
            noisy = schedule.add_noise(latents, noise, timesteps)
            is_epsilon = schedule.config.prediction_type == "epsilon"
            target = noise if is_epsilon else schedule.get_velocity(latents, noise, timesteps)
            policy = errors(noisy, timesteps, text, target)
            unet.disable_adapters()
            with torch.no_grad():
                reference = errors(noisy, timesteps, text, target)
            unet.enable_adapters()
            (policy_won, policy_lost), (won, lost) = policy.chunk(2), reference.chunk(2)
            loss = -F.logsigmoid(2500.0 * ((won - lost) - (policy_won - policy_lost))).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # the script logs it

    return step


def _targets(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the layers that ours would put an adapter on; the recipe gets the same."""
    from finetune import adapters, defaults

    small = defaults.is_small(defaults.weights_of(options.base))
    return adapters.ATTENTION + (adapters.BESIDE_ATTENTION if small else ())


# -- memory, in a process of its own -----------------------------------------------------------------------------------


def _memory_of(arm: str, options: argparse.Namespace) -> float:
    """Return the peak in MiB of a process that makes three steps one way."""
    said = ["--arm", arm, "--base", str(options.base), "--snapshot", str(options.snapshot)]
    said += ["--pairs", str(options.pairs), "--rank", str(options.rank), "--pixels", str(options.pixels)]
    said += ["--family", options.family] if options.family else []
    command = [sys.executable, "-m", "tests.benchmarks.finetune", *said]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["peak_mib"])


def _alone(options: argparse.Namespace) -> int:
    import torch

    step = _arm(options.arm, options)
    if options.family:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()  # what training needs, not what encoding needed before
    for number in range(3):
        step(number)
    on_device = torch.cuda.max_memory_allocated() / 2**20 if options.family else 0.0
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    sys.stdout.write(json.dumps({"peak_mib": on_device or resident, "resident_mib": resident}) + "\n")
    return 0


# -- what is trained, and on what --------------------------------------------------------------------------------------


def _write_snapshot(work: Path, pixels: int) -> Path:
    """Write a snapshot of pairs of smooth noise: what is in a picture takes no time."""
    import numpy as np
    from PIL import Image

    from finetune import snapshot
    from finetune.types import Judgement, Preference, SnapshotImage
    from generation.storage import Storage

    storage, rng = Storage((work / "storage").as_uri()), np.random.default_rng(0)

    def image(number: int) -> SnapshotImage:
        file = io.BytesIO()
        small = Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8))
        small.resize((pixels, pixels)).save(file, "PNG")
        content = file.getvalue()
        return SnapshotImage(
            candidate=UUID(int=number),
            key=storage.put(content, "png"),
            sha256=hashlib.sha256(content).hexdigest(),
            width=pixels,
            height=pixels,
            model="Noise",
        )

    rows = [
        Preference(
            item=UUID(int=number),
            split="train",
            prompt=f"a 3d icon of a {THINGS[number % len(THINGS)]} number {number}",
            images=(image(2 * number), image(2 * number + 1)),
            judgements=(Judgement(annotator="somebody", groups=((0,), (1,))),),
            strengths=(0.5, -0.5),
            pairs=((0, 1, 1.0),),
            pair_weights=(1.0,),
        )
        for number in range(ITEMS)
    ]
    folder = work / "snapshot"
    snapshot.write(folder, rows, storage, snapshot.Facts(name="Noise"))
    return folder


def _random_base(family: str, folder: Path) -> Path:
    """Write a pipeline of a family's very sizes with random weights."""
    import torch

    from tests.benchmarks.generation import save_sd15_sized_model

    if family == "sd15":
        save_sd15_sized_model(folder, torch.bfloat16)
    else:
        save_sdxl_sized_model(folder, torch.bfloat16)
    return folder


def save_sdxl_sized_model(folder: Path, dtype: Any) -> None:
    """Write a StableDiffusionXLPipeline of the very sizes of SDXL (2.6 billion weights in its UNet), random weights."""
    import diffusers as untyped_diffusers
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    diffusers: Any = untyped_diffusers
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["<|startoftext|>", "<|endoftext|>", *(f"{a}{end}" for a, end in itertools.product(letters, ("", "</w>")))]
    places = {word: place for place, word in enumerate(words)}
    common: dict[str, Any] = {"vocab_size": 49_408, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    first = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, **common
    )
    second = CLIPTextConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=20,
        projection_dim=1280,
        hidden_act="gelu",
        **common,
    )
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        diffusers.StableDiffusionXLPipeline(
            vae=diffusers.AutoencoderKL(
                block_out_channels=(128, 256, 512, 512),
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                layers_per_block=2,
                latent_channels=4,
                sample_size=1024,
                scaling_factor=0.13025,
            ),
            text_encoder=CLIPTextModel(first),
            text_encoder_2=CLIPTextModelWithProjection(second),
            tokenizer=CLIPTokenizer(vocab=places, merges=[], model_max_length=77),
            tokenizer_2=CLIPTokenizer(vocab=places, merges=[], model_max_length=77),
            unet=diffusers.UNet2DConditionModel(
                sample_size=128,
                block_out_channels=(320, 640, 1280),
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
                transformer_layers_per_block=(1, 2, 10),
                attention_head_dim=(5, 10, 20),
                cross_attention_dim=2048,
                use_linear_projection=True,
                addition_embed_type="text_time",
                addition_time_embed_dim=256,
                projection_class_embeddings_input_dim=2816,
            ),
            scheduler=diffusers.EulerDiscreteScheduler(),
        ).save_pretrained(folder)
    finally:
        torch.set_default_dtype(torch.float32)


def _read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=["sd15", "sdxl"], help="instead of the built-in model; needs CUDA")
    parser.add_argument("--pairs", type=int, default=8, help="pairs a step")
    parser.add_argument("--rank", type=int, default=8, help="of the LoRA; the recipe's README says 8")
    parser.add_argument("--pixels", type=int, help="of a side; by default the model's own")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--warm-up", type=int, default=2, help="rounds that do not count")
    parser.add_argument("--storage", type=Path, default=Path(os.environ.get("TMPDIR", tempfile.gettempdir())))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--snapshot", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
