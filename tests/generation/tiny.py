"""Real diffusers pipelines of each family, small enough to make in a moment: random weights, 16 x 16 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers as untyped_diffusers
import torch
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

diffusers: Any = untyped_diffusers
TOKENS = 16
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_WIDTH = 16
_UNET: dict[str, Any] = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "attention_head_dim": 4,
    "norm_num_groups": 4,
}
_XL: dict[str, Any] = {
    "cross_attention_dim": 2 * _WIDTH,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 6 * 8 + _WIDTH,
}
_SD3: dict[str, Any] = {
    "sample_size": 8,
    "patch_size": 2,
    "in_channels": 16,
    "out_channels": 16,
    "num_layers": 2,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": 2 * _WIDTH,
    "caption_projection_dim": _WIDTH,
    "pooled_projection_dim": 2 * _WIDTH,
    "pos_embed_max_size": 32,
}
_FLUX: dict[str, Any] = {
    "in_channels": 16,  # four latent channels of 2 x 2 places
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": _WIDTH,
    "pooled_projection_dim": _WIDTH,
    "guidance_embeds": True,
    "axes_dims_rope": (2, 2, 4),
}


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
        unet=_unet(**_XL),
        scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1),
        add_watermarker=False,
    ).save_pretrained(folder)
    (folder / "defaults.json").write_text('{"steps": 2}')
    return folder


def save_tiny_sd3_model(folder: Path) -> Path:
    """Write a StableDiffusion3Pipeline, with two short text encoders and a roomy one, and return its folder."""
    torch.manual_seed(0)
    diffusers.StableDiffusion3Pipeline(
        vae=_vae(shift_factor=0.0, latent_channels=16),  # its inpainting insists on 16
        text_encoder=_text_encoder(CLIPTextModelWithProjection),
        text_encoder_2=_text_encoder(CLIPTextModelWithProjection),
        text_encoder_3=_t5(2 * _WIDTH),
        tokenizer=_tokenizer(),
        tokenizer_2=_tokenizer(),
        tokenizer_3=_t5_tokenizer(),
        transformer=diffusers.SD3Transformer2DModel(**_SD3).eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder)
    (folder / "defaults.json").write_text('{"steps": 2}')
    return folder


def save_tiny_flux_model(folder: Path) -> Path:
    """Write a FluxPipeline, and return its folder."""
    torch.manual_seed(0)
    diffusers.FluxPipeline(
        vae=_vae(shift_factor=0.0, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=_text_encoder(CLIPTextModel),
        text_encoder_2=_t5(_WIDTH),
        tokenizer=_tokenizer(),
        tokenizer_2=_t5_tokenizer(),
        transformer=diffusers.FluxTransformer2DModel(**_FLUX).eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder)
    (folder / "defaults.json").write_text('{"steps": 2, "width": 16, "height": 16}')
    return folder


def save_tiny_pixart_model(folder: Path) -> Path:
    """Write a PixArtSigmaPipeline, and return its folder."""
    torch.manual_seed(0)
    diffusers.PixArtSigmaPipeline(
        vae=_vae(),
        text_encoder=_t5(_WIDTH),
        tokenizer=_t5_tokenizer(),
        transformer=diffusers.PixArtTransformer2DModel(
            sample_size=8,
            patch_size=2,
            num_layers=1,
            num_attention_heads=2,
            attention_head_dim=8,
            cross_attention_dim=_WIDTH,
            caption_channels=_WIDTH,
            norm_num_groups=4,
            use_additional_conditions=False,
        ).eval(),
        scheduler=diffusers.DPMSolverMultistepScheduler(),
    ).save_pretrained(folder)
    (folder / "defaults.json").write_text('{"steps": 2}')
    return folder


def save_tiny_controlnet(folder: Path, family: str) -> Path:
    """Write a ControlNet for the tiny model of a family (tiny, xl, sd3, flux), and return its folder.

    Its outputs are not zero, as those of an untrained one would be.
    """
    torch.manual_seed(1)
    if family == "sd3":
        made = diffusers.SD3ControlNetModel(**_SD3)
    elif family == "flux":
        made = diffusers.FluxControlNetModel(**_FLUX)
    else:
        options = _XL if family == "xl" else {"cross_attention_dim": _WIDTH}
        made = diffusers.ControlNetModel(
            **{key: value for key, value in (_UNET | options).items() if key not in {"up_block_types", "sample_size"}},
            conditioning_embedding_out_channels=(8, 8),
        )
    for parameter in made.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    made.save_pretrained(folder)
    return folder


def save_tiny_adapter(folder: Path, base: Path, *, seed: int = 0, half: bool = False) -> Path:
    """Write a LoRA adapter for the attention of a tiny model, in diffusers' format, and return its folder."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(seed)
    pipe = diffusers.DiffusionPipeline.from_pretrained(base, dtype=torch.float32)
    part = "unet" if hasattr(pipe, "unet") else "transformer"
    denoiser = getattr(pipe, part)
    denoiser.add_adapter(
        LoraConfig(r=2, lora_alpha=4, init_lora_weights=False, target_modules=["to_q", "to_k", "to_v", "to_out.0"])
    )
    weights = get_peft_model_state_dict(denoiser)
    if half:
        weights = {name: tensor.half() for name, tensor in weights.items()}
    metadata = {
        f"{part}_lora_adapter_metadata": {
            "r": 2,
            "lora_alpha": 4,
            "target_modules": ["to_q", "to_k", "to_v", "to_out.0"],
        }
    }
    type(pipe).save_lora_weights(folder, **{f"{part}_lora_layers": weights}, **metadata)
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


def _t5_tokenizer() -> Any:
    """Return a tokenizer that reads every letter as one token, and has room for many."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -2.0), ("▁", -1.0), *((letter, -1.0) for letter in _LETTERS)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)


def _t5(width: int) -> Any:
    config = T5Config(
        vocab_size=4 + len(_LETTERS), d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2, dropout_rate=0.0
    )
    encoder: Any = T5EncoderModel(config)
    return encoder.eval()


def _vae(**options: Any) -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        sample_size=16,
        **({"latent_channels": 4} | options),
    ).eval()


def _unet(**options: Any) -> Any:
    return diffusers.UNet2DConditionModel(**_UNET, **options).eval()
