"""A tiny model like the built-in one: it predicts v, and its autoencoder says one latent instead of a distribution."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.generation.tiny import _text_encoder, _tokenizer, diffusers


def save_tiny_v_model(folder: Path, *, seed: int = 0) -> Path:
    """Write a StableDiffusionPipeline with weights drawn from `seed`, and return its folder."""
    from transformers import CLIPTextModel

    torch.manual_seed(seed)
    diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderTiny(
            encoder_block_out_channels=(8, 8),
            decoder_block_out_channels=(8, 8),
            num_encoder_blocks=(1, 1),
            num_decoder_blocks=(1, 1),
            scaling_factor=4.0,  # what random weights encode is small
        ).eval(),
        text_encoder=_text_encoder(CLIPTextModel),
        tokenizer=_tokenizer(),
        unet=diffusers.UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8,),
            down_block_types=("CrossAttnDownBlock2D",),
            up_block_types=("CrossAttnUpBlock2D",),
            mid_block_type=None,
            layers_per_block=1,
            attention_head_dim=4,
            norm_num_groups=4,
            cross_attention_dim=16,
        ).eval(),
        scheduler=diffusers.DDIMScheduler(
            prediction_type="v_prediction",
            rescale_betas_zero_snr=True,
            timestep_spacing="trailing",
            clip_sample=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    (folder / "defaults.json").write_text('{"steps": 2, "guidance_scale": 2.0}')
    return folder
