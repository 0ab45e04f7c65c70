"""Train the built-in model: text encoder and denoiser together, on the latents of a trained autoencoder.

    python -m generation.builtin.train_vae --out .easel/train/vae --minutes 12
    python -m generation.builtin.train --vae .easel/train/vae --out .easel/train/unet --minutes 60

Runs on CPU or CUDA in bf16. On CPU, one process per core with one thread each was twice as fast as one process with
many threads, for a busy core then delays a step and not every operation of it:

    OMP_NUM_THREADS=1 torchrun --standalone --nproc-per-node 2 -m generation.builtin.train ...

The same command continues from the last checkpoint after a stop. With --start-from a new training begins at the weights
of an exported folder, whose language may be smaller: so subjects are added to a model that draws some. Every few
minutes it exports the averaged weights as a diffusers folder that `StableDiffusionPipeline.from_pretrained(folder)`
loads, with a contact sheet.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from generation.builtin import data
from generation.builtin.train_vae import to_tensor


@dataclasses.dataclass(frozen=True)
class Config:
    """What decides the result; the rest of the command line says only where and how long."""

    channels: tuple[int, int, int] = (64, 128, 192)
    text_width: int = 192
    text_layers: int = 2
    text_length: int = 20  # tokens, with begin and end
    batch: int = 32  # few samples are affordable on a CPU; more, smaller steps use them better
    learning_rate: float = 1e-3
    warmup: int = 200  # steps
    weight_decay: float = 0.01
    ema: float = 0.999
    guidance_dropout: float = 0.1  # share of captions emptied, for classifier-free guidance
    snr_clamp: float = 4.0
    weight_floor: float = 0.5
    noisy_from: int = 150  # timestep
    noisy_share: float = 0.88  # share of samples at or above it
    bank: int = 36_000  # pictures as drawn
    flipped_bank: int = 6_000  # mirrored pictures
    flips_from: float = 0.85  # share of the training time after which mirrored pictures join in
    default_steps: int = 8  # what a request gets that says nothing; see generation.pipelines.Defaults
    default_guidance: float = 2.0
    seed: int = 0


PADDING, BEGIN, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"


# -- parts -------------------------------------------------------------------------------------------------------------


def build_tokenizer(words: list[str], length: int) -> PreTrainedTokenizerFast:
    """One token per word of the captions' language; any other word is <unk>, and a long prompt is cut at `length`."""
    special = [PADDING, BEGIN, END, UNKNOWN]
    vocabulary = {word: index for index, word in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(",", "removed"), pre_tokenizers.Split(".", "removed")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}", special_tokens=[(one, vocabulary[one]) for one in (BEGIN, END)]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PADDING,
        unk_token=UNKNOWN,
        model_max_length=length,
    )


def build_text_encoder(config: Config, tokenizer: PreTrainedTokenizerFast) -> CLIPTextModel:
    """A two-layer CLIP text model: (B, L) token ids -> (B, L, text_width)."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.text_width,
            intermediate_size=4 * config.text_width,
            num_hidden_layers=config.text_layers,
            num_attention_heads=config.text_width // 48,
            max_position_embeddings=config.text_length,
            projection_dim=config.text_width,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_unet(config: Config) -> Any:
    """The denoiser of (B, 4, 16, 16) latents: cross-attention at 8x8 and 4x4, the caption in the time embedding too."""
    return UNet2DConditionModel(  # type: ignore[no-untyped-call]
        sample_size=data.IMAGE_SIZE // 4,
        block_out_channels=config.channels,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=config.text_width,
        attention_head_dim=4,
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
        resnet_time_scale_shift="scale_shift",
    )


def build_scheduler() -> Any:
    """DDIM with zero terminal SNR and trailing steps (Lin et al. 2023, arXiv:2305.08891): black can be reached."""
    return DDIMScheduler(  # type: ignore[no-untyped-call]
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
    )


def assemble(vae: Any, tokenizer: PreTrainedTokenizerFast, parts: nn.ModuleDict) -> Any:
    """The parts as a standard pipeline."""
    pipeline: Any = StableDiffusionPipeline(  # type: ignore[no-untyped-call]
        vae=vae,
        text_encoder=parts["text_encoder"],
        tokenizer=tokenizer,
        unet=parts["unet"],
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


# -- loss --------------------------------------------------------------------------------------------------------------


def draw_timesteps(config: Config, count: int, generator: torch.Generator, last: int = 1000) -> Tensor:
    """(count,) timesteps, most of them noisy: what is asked for is decided early, at high noise."""
    noisy = torch.rand(count, generator=generator) < config.noisy_share
    low = torch.randint(0, config.noisy_from, (count,), generator=generator)
    high = torch.randint(config.noisy_from, last, (count,), generator=generator)
    return torch.where(noisy, high, low)


def loss_weight(alphas_cumprod: Tensor, clamp: float, floor: float) -> Tensor:
    """Weight of the squared v error at each timestep. (T,) -> (T,).

    Min-SNR for v-prediction (Hang et al. 2023, arXiv:2303.09556): min(SNR, clamp) / (SNR + 1), plus a floor. Without
    the floor the weight vanishes with the SNR, and with it the gradient where unsaid style and background are decided.
    """
    snr = alphas_cumprod / (1 - alphas_cumprod)
    return snr.clamp(max=clamp) / (snr + 1) + floor


def noised_and_target(latents: Tensor, noise: Tensor, alpha_cumprod: Tensor) -> tuple[Tensor, Tensor]:
    """The noised latents and the velocity to predict (Salimans & Ho 2022, arXiv:2202.00512).

    latents, noise: (B, 4, 16, 16); alpha_cumprod: (B,).
    x_t = a x + s n and v = a n - s x, with a^2 = alpha_cumprod = 1 - s^2.
    """
    a = alpha_cumprod.sqrt().view(-1, 1, 1, 1)
    s = (1 - alpha_cumprod).sqrt().view(-1, 1, 1, 1)
    return a * latents + s * noise, a * noise - s * latents


# -- the latents to learn from -----------------------------------------------------------------------------------------


@torch.no_grad()
def encode_bank(config: Config, sprites: data.Sprites, vae: Any, cached: Path) -> tuple[Tensor, list[data.Attributes]]:
    """(N, 4, 16, 16) fp16 latents of unit variance and their attributes; the mirrored pictures come last.

    Pictures are encoded once: a bank this size is seen a few times, and each time under a new caption and noise.
    """
    device = vae.device
    sizes = ((config.bank, 0.0, config.seed + 10), (config.flipped_bank, 1.0, config.seed + 11))
    attributes = [one for count, _, seed in sizes for one in data.sample_many(sprites, count, seed)]
    if cached.exists():
        return load_file(cached)["latents"], attributes
    latents = []
    for count, flips, seed in sizes:
        images, _ = data.make_bank(sprites, count, seed, flips)
        for start in range(0, count, 100):
            with torch.autocast(device.type, torch.bfloat16):
                encoded = vae.encode(to_tensor(images[start : start + 100], device)).latents
            latents.append((encoded.float() * vae.config.scaling_factor).half().cpu())
    whole = torch.cat(latents).contiguous()
    save_file({"latents": whole}, cached)
    return whole, attributes


# -- saving ------------------------------------------------------------------------------------------------------------


def save_checkpoint(
    path: Path,
    parts: nn.ModuleDict,
    ema: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    progress: dict[str, float],
) -> None:
    """Everything needed to go on, in one safetensors file that appears whole or not at all."""
    tensors = {f"now.{name}": value for name, value in parts.state_dict().items()}
    tensors |= {f"ema.{name}": value for name, value in ema.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{name}": value for name, value in state.items()}
    tensors |= {f"progress.{name}": torch.tensor(value, dtype=torch.float64) for name, value in progress.items()}
    save_file({name: value.contiguous() for name, value in tensors.items()}, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def load_checkpoint(
    path: Path, parts: nn.ModuleDict, ema: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[str, float]:
    """Put a checkpoint back into the parts, the average and the optimizer; returns its progress."""
    groups: dict[str, dict[str, Tensor]] = {"now": {}, "ema": {}, "adam": {}, "progress": {}}
    for name, value in load_file(path).items():
        group, _, rest = name.partition(".")
        groups[group][rest] = value
    parts.load_state_dict(groups["now"])
    for name, value in groups["ema"].items():
        ema[name].copy_(value)
    adam: dict[int, dict[str, Tensor]] = {}
    for name, value in groups["adam"].items():
        index, _, field = name.partition(".")
        adam.setdefault(int(index), {})[field] = value
    optimizer.load_state_dict({"state": adam, "param_groups": optimizer.state_dict()["param_groups"]})
    return {name: float(value) for name, value in groups["progress"].items()}


def start_from(folder: Path, tokenizer: PreTrainedTokenizerFast, parts: nn.ModuleDict) -> None:
    """Take over the weights of an exported folder; a word that it did not know begins as the mean of its words."""
    known = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer").get_vocab()
    text = load_file(folder / "text_encoder" / "model.safetensors")
    name = next(name for name in text if name.endswith("token_embedding.weight"))
    old = text[name].float()
    embedding = old.mean(0).repeat(len(tokenizer), 1)
    for word, index in tokenizer.get_vocab().items():
        if word in known:
            embedding[index] = old[known[word]]
    text[name] = embedding
    parts["text_encoder"].load_state_dict({name: value.float() for name, value in text.items()})
    unet = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    parts["unet"].load_state_dict({name: value.float() for name, value in unet.items()})


def export(config: Config, vae: Any, tokenizer: PreTrainedTokenizerFast, ema: dict[str, Tensor], folder: Path) -> None:
    """Write the averaged weights as an fp16 diffusers folder, which a reader finds whole, old or new."""
    parts = nn.ModuleDict({"text_encoder": build_text_encoder(config, tokenizer), "unet": build_unet(config)})
    parts.load_state_dict(ema)
    new, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    half: Any = AutoencoderTiny.from_config(vae.config)  # type: ignore[no-untyped-call]
    half.load_state_dict(vae.state_dict())
    assemble(half, tokenizer, parts).to(torch.float16).save_pretrained(new, safe_serialization=True)
    defaults = {"steps": config.default_steps, "guidance_scale": config.default_guidance}
    (new / "defaults.json").write_text(json.dumps(defaults) + "\n")
    for weights in new.rglob("*.safetensors"):
        weights.chmod(0o644)  # written for its owner only, but whoever serves the model must read it
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


SHEET_PROMPTS = (
    "a 3d icon of a red apple on a white background",
    "a cartoon icon of a cat on a yellow background",
    "a flat icon of a pizza on a blue background",
    "a 3d icon of a rocket on a black background",
    "a silhouette icon of a purple owl on a white background",
    "a pixel art icon of a mushroom on a green background",
    "a 3d icon of a blue apple on a pink background",
    "a flat icon of a green heart on a yellow background",
    "a cartoon icon of a robot on an orange background",
    "an icon of a burger",
    "a fish on a white background",
    "a 3d penguin",
    "a butterfly",
    "a cartoon icon of a teal car on a gray background",
    "a 3d icon of a panda on a purple background",
    "a flat icon of a sunflower",
)


def sample_sheet(folder: Path, target: Path, guidance: float = Config.default_guidance, rows: int = 4) -> None:
    """Four candidates of each of sixteen prompts, from the exported folder as anybody would load it."""
    pipeline: Any = StableDiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
        folder, torch_dtype=torch.float32
    )
    pipeline.set_progress_bar_config(disable=True)
    columns = []
    for index, prompt in enumerate(SHEET_PROMPTS):
        generators = [torch.Generator().manual_seed(1000 * index + row) for row in range(rows)]
        result = pipeline(
            [prompt] * rows, num_inference_steps=8, guidance_scale=guidance, generator=generators, output_type="np"
        )
        columns.append(np.round(result.images * 255).astype(np.uint8))
    data.contact_sheet(np.stack(columns, 1).reshape(-1, *columns[0].shape[1:]), len(SHEET_PROMPTS)).save(target)


# -- several processes -------------------------------------------------------------------------------------------------


def average_gradients(parameters: list[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes, in one message."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def agreed(value: float) -> float:
    """The first process's value, so that all processes see the same time and stop at the same step."""
    if not dist.is_initialized():
        return value
    shared = torch.tensor(value, dtype=torch.float64)
    dist.broadcast(shared, 0)
    return shared.item()


# -- the loop ----------------------------------------------------------------------------------------------------------


def train(
    config: Config,
    sprites: data.Sprites,
    vae: Any,
    out: Path,
    folder: Path,
    minutes: float,
    export_every: float,
    begin_with: Path | None = None,
) -> None:
    """Train for `minutes` in all (over restarts too), on a cosine schedule in time, exporting on the way."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rank, processes = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    batch = config.batch // processes
    torch.manual_seed(config.seed)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer(data.vocabulary(sprites.subjects), config.text_length)
    text_encoder, unet = build_text_encoder(config, tokenizer), build_unet(config)
    parts = nn.ModuleDict({"text_encoder": text_encoder, "unet": unet})
    if begin_with:
        start_from(begin_with, tokenizer, parts)
    parts.to(device)
    if device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())  # SDPA's backward took a quarter of the step in bf16 on CPU
    print(
        f"{sum(p.numel() for p in parts.parameters()) / 1e6:.2f}M parameters, {len(sprites.subjects)} subjects",
        flush=True,
    )
    ema = {name: value.detach().clone() for name, value in parts.state_dict().items()}
    optimizer = torch.optim.AdamW(
        parts.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.99), fused=True
    )
    alphas = build_scheduler().alphas_cumprod.to(device)
    weights = loss_weight(alphas, config.snr_clamp, config.weight_floor)
    if rank > 0:
        dist.barrier()  # the first process encodes and writes, the others read
    latents, attributes = encode_bank(config, sprites, vae.to(device), out / "bank.safetensors")
    if rank == 0 and processes > 1:
        dist.barrier()
    print(f"bank of {len(latents)} latents, deviation {latents.float().std():.3f}", flush=True)

    checkpoint, step, spent = out / "checkpoint.safetensors", 0, 0.0
    if checkpoint.exists():
        progress = load_checkpoint(checkpoint, parts, ema, optimizer)
        step, spent = int(progress["step"]), progress["spent"]
        print(f"continuing from step {step}", flush=True)
    generator = torch.Generator().manual_seed(config.seed + step + 1_000_003 * rank)
    words = np.random.default_rng((config.seed + step, rank))
    now_state = parts.state_dict()  # shares storage with the parameters
    averaged, current = [ema[name] for name in now_state], list(now_state.values())
    began, logged, exported, losses = time.monotonic() - spent, time.monotonic(), spent, []
    while (spent := agreed(time.monotonic() - began)) < 60 * minutes:
        done = spent / 60 / minutes
        rate = config.learning_rate * min(1.0, (step + 1) / config.warmup) * (0.5 + 0.5 * math.cos(math.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = max(rate, 1e-5)

        available = len(latents) if done >= config.flips_from else config.bank
        picked = torch.randint(available, (batch,), generator=generator)
        captions = [data.caption(attributes[i], words) for i in picked.tolist()]
        captions = ["" if words.random() < config.guidance_dropout else text for text in captions]
        ids = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids.to(device)
        clean = latents[picked].to(device).float()
        noise = torch.randn(clean.shape, generator=generator).to(device)
        timesteps = draw_timesteps(config, batch, generator).to(device)
        noised, target = noised_and_target(clean, noise, alphas[timesteps])
        with torch.autocast(device.type, torch.bfloat16):
            states = text_encoder(ids).last_hidden_state
            predicted = unet(noised, timesteps, states).sample
        error = (predicted.float() - target).square().mean((1, 2, 3))
        loss = (weights[timesteps] * error).mean()

        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if processes > 1:
            average_gradients(list(parts.parameters()))
        torch.nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        step += 1
        torch._foreach_lerp_(averaged, current, 1 - min(config.ema, (1 + step) / (10 + step)))
        losses.append(loss.item())
        if rank > 0:
            continue

        if step % 100 == 0:
            speed = 100 * config.batch / (time.monotonic() - logged)
            mean = sum(losses[-100:]) / 100
            print(f"step {step} loss {mean:.4f} {speed:.1f} samples/s {spent / 60:.1f} min", flush=True)
            logged, losses = time.monotonic(), losses[-100:]
        if step % 250 == 0:
            save_checkpoint(checkpoint, parts, ema, optimizer, {"step": step, "spent": spent})
        if spent - exported > 60 * export_every:
            export(config, vae, tokenizer, ema, folder)
            sample_sheet(folder, out / f"sheet-{spent / 60:03.0f}.png")
            exported = spent

    if rank > 0:
        return
    save_checkpoint(checkpoint, parts, ema, optimizer, {"step": step, "spent": spent})
    export(config, vae, tokenizer, ema, folder)
    sample_sheet(folder, out / "sheet-final.png")
    print(f"final: {step} steps, batch {config.batch}, {spent / 60:.1f} minutes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=data.DEFAULT_CACHE)
    parser.add_argument("--subjects", type=Path, default=data.HERE / "subjects.txt")
    parser.add_argument("--vae", type=Path, required=True, help="folder written by train_vae")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint and the sheets")
    parser.add_argument("--export", type=Path, help="diffusers folder to write; default: OUT/easel-icons")
    parser.add_argument("--export-every", type=float, default=8, help="minutes")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--start-from", type=Path, help="exported folder to take the first weights from")
    parser.add_argument("--batch", type=int, default=Config.batch)
    parser.add_argument("--learning-rate", type=float, default=Config.learning_rate)
    arguments = parser.parse_args()
    sprites = data.Sprites(data.read_subjects(arguments.subjects), arguments.cache)
    vae: Any = AutoencoderTiny.from_pretrained(arguments.vae)  # type: ignore[no-untyped-call]
    vae.eval().requires_grad_(False)
    folder = arguments.export or arguments.out / "easel-icons"
    if "WORLD_SIZE" in os.environ:  # set by torchrun
        dist.init_process_group("gloo")
    config = Config(batch=arguments.batch, learning_rate=arguments.learning_rate)
    train(config, sprites, vae, arguments.out, folder, arguments.minutes, arguments.export_every, arguments.start_from)


if __name__ == "__main__":
    main()
