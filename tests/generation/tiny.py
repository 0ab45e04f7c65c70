"""A real diffusers pipeline, small enough to make in a moment: random weights, 16 x 16 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers as untyped_diffusers
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

diffusers: Any = untyped_diffusers
TOKENS = 16
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_WIDTH = 16


def save_tiny_model(folder: Path, *, seed: int = 0) -> Path:
    """Write a StableDiffusionPipeline with weights drawn from `seed`, and return its folder."""
    torch.manual_seed(seed)
    diffusers.StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=_text_encoder(CLIPTextModel),
        tokenizer=_tokenizer(),
        unet=_unet(cross_attention_dim=_WIDTH),
        scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    (folder / "defaults.json").write_text('{"steps": 2, "guidance_scale": 3.0}')
    return folder


def save_tiny_xl_model(folder: Path) -> Path:
    """Write a StableDiffusionXLPipeline, whose prompts are read by two text encoders, and return its folder."""
    torch.manual_seed(0)
    diffusers.StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=_text_encoder(CLIPTextModel),
        text_encoder_2=_text_encoder(CLIPTextModelWithProjection),
        tokenizer=_tokenizer(),
        tokenizer_2=_tokenizer(),
        unet=_unet(
            cross_attention_dim=2 * _WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + _WIDTH,
        ),
        scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1),
        add_watermarker=False,
    ).save_pretrained(folder)
    (folder / "defaults.json").write_text('{"steps": 2}')
    return folder


def _tokenizer() -> Any:
    """Return a tokenizer that reads every letter as one token."""
    words = ["<|startoftext|>", "<|endoftext|>", *(f"{letter}</w>" for letter in _LETTERS), *_LETTERS]
    return CLIPTokenizer(vocab={word: at for at, word in enumerate(words)}, merges=[], model_max_length=TOKENS)


def _text_encoder(kind: Any) -> Any:
    config = CLIPTextConfig(
        vocab_size=2 + 2 * len(_LETTERS),
        hidden_size=_WIDTH,
        projection_dim=_WIDTH,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return kind(config).eval()


def _vae() -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
    ).eval()


def _unet(**options: Any) -> Any:
    return diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        attention_head_dim=4,
        norm_num_groups=4,
        **options,
    ).eval()
