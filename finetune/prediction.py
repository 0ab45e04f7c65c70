"""What a base model predicts of a noised image, and how wrong it is: one file for every kind of model.

    family                  network       predicts                   time
    Stable Diffusion 1, 2   UNet          noise, or v                timestep 0..999
    Stable Diffusion XL     UNet          noise, or v                timestep 0..999
    Stable Diffusion 3      transformer   flow (noise - image)       sigma 0..1
    Flux                    transformer   flow, of packed latents    sigma 0..1

The residual (prediction minus target) is float32 and has the shape of the latents; an image's error is its mean square.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from diffusers import DDPMScheduler, FluxPipeline, StableDiffusion3Pipeline, StableDiffusionPipeline
from diffusers import StableDiffusionXLPipeline as XLPipeline
from torch import Tensor

from finetune.errors import WrongBaseError

Text = Mapping[str, Tensor]
"""Embeddings of prompts by the names of a pipeline's arguments, each with a leading axis of N prompts."""

_FLUX_GUIDANCE = 1.0  # what the distilled guidance is told in training, as in diffusers' own LoRA recipe


class Predictor(Protocol):
    """A denoising network with its way of adding noise."""

    part: str
    """`unet` or `transformer`: the network's name in its pipeline."""
    network: Any

    def times(self, uniform: Tensor) -> Tensor:
        """Turn numbers that are uniform in 0..1 into times as the model was trained on. (N,) -> (N,)."""

    def residual(self, latents: Tensor, noise: Tensor, times: Tensor, text: Text) -> Tensor:
        """Return prediction minus target. latents, noise: (N, C, H, W) float32, times: (N,); returns (N, C, H, W)."""


def errors(residual: Tensor) -> Tensor:
    """Mean squared error of each image: (N, C, H, W) -> (N,)."""
    return residual.flatten(1).square().mean(1)


def predictor_of(pipe: Any) -> Predictor:
    """Return the predictor of a pipeline. Raises WrongBaseError for one that no trainer knows."""
    if isinstance(pipe, StableDiffusionPipeline | XLPipeline):
        return _Diffusion(pipe)
    if isinstance(pipe, StableDiffusion3Pipeline):
        return _Flow(pipe, _stable_diffusion_3)
    if isinstance(pipe, FluxPipeline):
        return _Flow(pipe, _flux)
    raise WrongBaseError(
        f"a {type(pipe).__name__} cannot be fine-tuned here. Choose a Stable Diffusion 1, 2, XL or 3, or a Flux model."
    )


class _Diffusion:
    """Noise schedules: x_t = a x + s n with a^2 + s^2 = 1; predicts n, or v = a n - s x (arXiv:2202.00512)."""

    part = "unet"

    def __init__(self, pipe: Any) -> None:
        self.network = pipe.unet
        self._dtype: torch.dtype = pipe.unet.dtype  # which diffusers looks for in every module each time
        self._pixels = int(pipe.vae_scale_factor)  # a side of one latent
        self._sizes = isinstance(pipe, XLPipeline)
        # Whatever scheduler the folder samples with, training adds noise by the schedule that it was made from.
        config: Any = pipe.scheduler.config
        self._kind = config.get("prediction_type", "epsilon")
        if self._kind not in {"epsilon", "v_prediction"}:
            raise WrongBaseError(
                f"the base predicts {self._kind!r}; fine-tuning knows models that predict epsilon, v or a flow"
            )
        made: Any = DDPMScheduler.from_config(pipe.scheduler.config)  # type: ignore[no-untyped-call]
        self._alphas: Tensor = made.alphas_cumprod.to(self.network.device)

    def times(self, uniform: Tensor) -> Tensor:
        return (uniform * len(self._alphas)).long().clamp(max=len(self._alphas) - 1)

    def residual(self, latents: Tensor, noise: Tensor, times: Tensor, text: Text) -> Tensor:
        kept = self._alphas[times].view(-1, 1, 1, 1)
        a, s = kept.sqrt(), (1 - kept).sqrt()
        target = noise if self._kind == "epsilon" else a * noise - s * latents
        added: dict[str, Tensor] | None = None
        if self._sizes:
            height, width = latents.shape[-2] * self._pixels, latents.shape[-1] * self._pixels
            sizes = torch.tensor([height, width, 0, 0, height, width], device=latents.device)  # whole, not cropped
            added = {"text_embeds": text["pooled_prompt_embeds"], "time_ids": sizes.expand(len(latents), -1)}
        predicted: Tensor = self.network(
            (a * latents + s * noise).to(self._dtype),
            times,
            encoder_hidden_states=text["prompt_embeds"],
            added_cond_kwargs=added,
            return_dict=False,
        )[0]
        residual: Tensor = predicted.float() - target
        return residual


class _Flow:
    """Rectified flows: x = (1 - sigma) x + sigma n; predicts n - x (Lipman et al. 2022, arXiv:2210.02747)."""

    part = "transformer"

    def __init__(self, pipe: Any, predict: Callable[[Any, Tensor, Tensor, Text], Tensor]) -> None:
        self.network = pipe.transformer
        self._dtype: torch.dtype = pipe.transformer.dtype
        self._predict = predict
        config: Any = pipe.scheduler.config
        # A shift that depends on the size is the sampler's own, and no part of how the model was trained.
        self._shift = 1.0 if config.get("use_dynamic_shifting") else float(config.get("shift", 1.0))

    def times(self, uniform: Tensor) -> Tensor:
        """Logit-normal, then shifted towards noise (Esser et al. 2024, arXiv:2403.03206, 3.1 and 5.3.2)."""
        sigma: Tensor = torch.special.ndtri(uniform.double().clamp(1e-6, 1 - 1e-6)).sigmoid()
        return (self._shift * sigma / (1 + (self._shift - 1) * sigma)).float()

    def residual(self, latents: Tensor, noise: Tensor, times: Tensor, text: Text) -> Tensor:
        sigma = times.view(-1, 1, 1, 1)
        noised = ((1 - sigma) * latents + sigma * noise).to(self._dtype)
        return self._predict(self.network, noised, times, text).float() - (noise - latents)


def _stable_diffusion_3(network: Any, noised: Tensor, sigma: Tensor, text: Text) -> Tensor:
    predicted: Tensor = network(
        hidden_states=noised,
        timestep=sigma * 1000,
        encoder_hidden_states=text["prompt_embeds"],
        pooled_projections=text["pooled_prompt_embeds"],
        return_dict=False,
    )[0]
    return predicted


def _flux(network: Any, noised: Tensor, sigma: Tensor, text: Text) -> Tensor:
    count, channels, height, width = noised.shape
    rows, columns = height // 2, width // 2
    packed = noised.view(count, channels, rows, 2, columns, 2).permute(0, 2, 4, 1, 3, 5)
    places = torch.zeros(rows, columns, 3, device=noised.device, dtype=noised.dtype)
    places[..., 1] += torch.arange(rows, device=noised.device)[:, None]
    places[..., 2] += torch.arange(columns, device=noised.device)[None, :]
    told = network.config.guidance_embeds
    predicted = network(
        hidden_states=packed.reshape(count, rows * columns, 4 * channels),  # 2 x 2 latents are one token
        timestep=sigma.to(noised.dtype),
        guidance=torch.full((count,), _FLUX_GUIDANCE, device=noised.device) if told else None,
        encoder_hidden_states=text["prompt_embeds"],
        pooled_projections=text["pooled_prompt_embeds"],
        txt_ids=torch.zeros(text["prompt_embeds"].shape[1], 3, device=noised.device, dtype=noised.dtype),
        img_ids=places.reshape(rows * columns, 3),
        return_dict=False,
    )[0]
    unpacked: Tensor = predicted.view(count, rows, columns, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return unpacked.reshape(count, channels, height, width)
