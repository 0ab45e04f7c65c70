"""Train the built-in model's autoencoder: 64 px RGB to 16 x 16 x 4 latents and back.

    python -m generation.builtin.train_vae --out .easel/train/vae --minutes 14

Runs on CPU or CUDA; the same command continues from the last checkpoint after a stop. The result is a diffusers
`AutoencoderTiny` folder; its `scaling_factor` makes latents of unit variance, which the denoiser's schedule assumes.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from safetensors.torch import load_file, save_file
from torch import Tensor

from generation.builtin import data


@dataclasses.dataclass(frozen=True)
class Config:
    """What decides the result; the rest of the command line says only where and how long."""

    width: int = 48
    batch: int = 32
    learning_rate: float = 2e-3
    warmup: int = 100  # steps
    ema: float = 0.998
    latent_noise: float = 0.03  # in latent units; keeps neighbouring latents decodable, as the denoiser is never exact
    bank: int = 16_000  # pictures
    seed: int = 0


def build_vae(config: Config) -> Any:
    """An f4 AutoencoderTiny (two halvings): (B, 3, 64, 64) in -1..1 <-> (B, 4, 16, 16)."""
    widths = (config.width,) * 3
    return AutoencoderTiny(  # type: ignore[no-untyped-call]
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        num_encoder_blocks=(1, 2, 2),
        num_decoder_blocks=(2, 2, 1),
        latent_channels=4,
        scaling_factor=1.0,
    )


def reconstruction_loss(reconstructed: Tensor, images: Tensor) -> Tensor:
    """L1 + L2 + L1 of the horizontal and vertical gradients, which keeps edges sharp. (B, 3, H, W) twice -> scalar."""
    error = reconstructed - images
    rows, columns = error[..., 1:, :] - error[..., :-1, :], error[..., 1:] - error[..., :-1]
    return error.abs().mean() + error.square().mean() + rows.abs().mean() + columns.abs().mean()


def psnr(reconstructed: Tensor, images: Tensor) -> float:
    """Peak signal-to-noise ratio in dB over the batch, for images in -1..1."""
    return float(10 * torch.log10(4 / F.mse_loss(reconstructed.clamp(-1, 1), images)))


def to_tensor(images: data.Bytes, device: torch.device) -> Tensor:
    """(B, 64, 64, 3) uint8 -> (B, 3, 64, 64) in -1..1, channels last."""
    tensor = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    return tensor.contiguous(memory_format=torch.channels_last)


def train(config: Config, sprites: data.Sprites, out: Path, minutes: float) -> None:
    """Train for `minutes` in all (over restarts too), on a cosine schedule in time, and save to `out`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(config.seed)
    images, _ = data.make_bank(sprites, config.bank, seed=config.seed, flips=0.3)
    held_out = to_tensor(data.make_bank(sprites, 256, seed=config.seed + 1)[0], device)
    vae = build_vae(config).to(device, memory_format=torch.channels_last)
    ema = {name: value.detach().clone() for name, value in vae.state_dict().items()}
    optimizer = torch.optim.AdamW(vae.parameters(), lr=config.learning_rate, weight_decay=1e-4, betas=(0.9, 0.99))
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, step, spent = out / "checkpoint.safetensors", 0, 0.0
    if checkpoint.exists():
        saved = load_file(checkpoint)
        vae.load_state_dict({name.removeprefix("now."): v for name, v in saved.items() if name.startswith("now.")})
        ema = {name.removeprefix("ema."): v.to(device) for name, v in saved.items() if name.startswith("ema.")}
        step, spent = int(saved["step"]), float(saved["spent"])
        print(f"continuing from step {step}", flush=True)

    random = torch.Generator().manual_seed(config.seed + step)
    began, logged = time.monotonic() - spent, time.monotonic()
    while (spent := time.monotonic() - began) < 60 * minutes:
        warm = min(1.0, (step + 1) / config.warmup)
        rate = (
            config.learning_rate * warm * (0.5 + 0.5 * float(torch.cos(torch.tensor(torch.pi * spent / 60 / minutes))))
        )
        for group in optimizer.param_groups:
            group["lr"] = max(rate, 1e-5)
        picked = torch.randint(len(images), (config.batch,), generator=random)
        batch = to_tensor(images[picked.numpy()], device)
        with torch.autocast(device.type, torch.bfloat16):
            latents = vae.encode(batch).latents
            reconstructed = vae.decode(latents + config.latent_noise * torch.randn_like(latents)).sample
        # A faint pull to unit scale: otherwise the encoder grows its latents to outrun the noise.
        pull = 1e-3 * (latents.float().square().mean() - 1).square()
        loss = reconstruction_loss(reconstructed.float(), batch) + pull
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        step += 1
        decay = min(config.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in vae.state_dict().items():
                ema[name].lerp_(value, 1 - decay)
        if step % 100 == 0:
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
                quality = psnr(vae(held_out[:64]).sample.float(), held_out[:64])
            seconds = time.monotonic() - logged
            logged = time.monotonic()
            speed = 100 * config.batch / seconds
            print(
                f"step {step} loss {loss.item():.4f} {quality:.2f} dB {speed:.0f} samples/s {spent / 60:.1f} min",
                flush=True,
            )
            now = {f"now.{name}": value for name, value in vae.state_dict().items()}
            kept = {f"ema.{name}": value for name, value in ema.items()}
            scalars = {"step": torch.tensor(step), "spent": torch.tensor(spent)}
            contiguous = {name: value.contiguous() for name, value in (now | kept | scalars).items()}
            save_file(contiguous, checkpoint.with_suffix(".tmp"))
            checkpoint.with_suffix(".tmp").replace(checkpoint)

    vae.load_state_dict(ema)
    vae = vae.eval().to(memory_format=torch.contiguous_format)
    with torch.no_grad():
        latents = vae.encode(held_out).latents
        print(
            f"final: {psnr(vae.decode(latents).sample, held_out):.2f} dB, latent deviation {latents.std():.3f}",
            flush=True,
        )
    vae.register_to_config(scaling_factor=float(1 / latents.std()))
    vae.save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=data.DEFAULT_CACHE)
    parser.add_argument("--subjects", type=Path, default=data.HERE / "subjects.txt")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=14)
    arguments = parser.parse_args()
    sprites = data.Sprites(data.read_subjects(arguments.subjects), arguments.cache)
    train(Config(), sprites, arguments.out, arguments.minutes)


if __name__ == "__main__":
    main()
