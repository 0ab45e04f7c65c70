"""The sister pipelines of a loaded one: from a picture, within a mask, under a ControlNet. They share its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting, AutoPipelineForText2Image

from generation import pipelines, storage
from generation.conditioning import Kind
from generation.errors import ModelBrokenError, RenderError, WrongAdapterError, WrongConditioningError
from generation.pipelines import Fingerprint, LoadedPipeline
from generation.types import WeightsReference

_CONTROLNETS = {
    "StableDiffusionPipeline": "ControlNetModel",
    "StableDiffusionXLPipeline": "ControlNetModel",
    "StableDiffusion3Pipeline": "SD3ControlNetModel",
    "FluxPipeline": "FluxControlNetModel",
}
_IN_WORDS: dict[Kind, str] = {"image": "starts from a picture", "inpaint": "fills in a mask"}
_MUST_AGREE = ("cross_attention_dim", "block_out_channels", "joint_attention_dim", "attention_head_dim",
               "num_attention_heads", "in_channels")  # fmt: skip


@dataclass(frozen=True)
class LoadedControlNet:
    """A ControlNet on its device, beside the pipeline that it was loaded for."""

    module: Any
    folder: Path
    files: Fingerprint
    sha256: str


def variant(loaded: LoadedPipeline, kind: Kind, controlnet: LoadedControlNet | None = None) -> Any:
    """Return the pipeline for a kind of call. Raises WrongConditioningError where the family has none."""
    if kind == "text":
        return loaded.pipe
    if kind == "control":
        if controlnet is None:
            raise WrongConditioningError("a control picture needs a ControlNet. Choose one for this request.")
        return _quiet(AutoPipelineForText2Image.from_pipe(loaded.pipe, controlnet=controlnet.module))
    if kind not in loaded.variants:
        auto = AutoPipelineForImage2Image if kind == "image" else AutoPipelineForInpainting
        try:
            loaded.variants[kind] = _quiet(auto.from_pipe(loaded.pipe))
        except ValueError as error:  # diffusers knows no such pipeline
            raise WrongConditioningError(
                f"diffusers has no {type(loaded.pipe).__name__} that {_IN_WORDS[kind]}. "
                "Choose another model, or leave the picture out."
            ) from error
    return loaded.variants[kind]


def load_controlnet(
    reference: WeightsReference, loaded: LoadedPipeline, device: torch.device, *, hub_download: bool = False
) -> LoadedControlNet:
    """Return a ControlNet for the pipeline, the warm one if it is the same.

    Raises ModelNotFoundError, ModelBrokenError, WeightsChangedError or WrongAdapterError.
    """
    folder = pipelines.find_folder(reference, having=storage.CONTROLNET_FILE, hub_download=hub_download)
    files = pipelines.fingerprint(folder)
    warm = loaded.controlnet
    if isinstance(warm, LoadedControlNet) and (warm.folder, warm.files) == (folder, files):
        pipelines.check_hash(reference, warm.sha256)
        return warm
    loaded.controlnet = None  # the old one makes room first
    sha256 = storage.weights_hash(folder)
    pipelines.check_hash(reference, sha256)
    pipelines.refuse_pickles(reference, folder)
    kind = _class_of(reference, folder, loaded)
    try:
        module = kind.from_pretrained(
            folder, torch_dtype=loaded.pipe.dtype, use_safetensors=True, local_files_only=True
        )
        pipelines.check_complete(reference, "the ControlNet", folder, module)
        module.to(device).eval()
    except (torch.OutOfMemoryError, RenderError):
        raise
    except Exception as error:  # whatever a stranger's files make the loaders raise is their fault
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelBrokenError(
            f"ControlNet {reference.name!r}: {reference.location} cannot be loaded: {reason}"
        ) from error
    _check_fit(reference, loaded.pipe, module)
    loaded.controlnet = LoadedControlNet(module, folder, files, sha256)
    return loaded.controlnet


def _class_of(reference: WeightsReference, folder: Path, loaded: LoadedPipeline) -> Any:
    try:
        config = json.loads((folder / storage.CONTROLNET_FILE).read_text(encoding="utf-8"))
        name = config["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelBrokenError(
            f"ControlNet {reference.name!r}: config.json of {reference.location} is unreadable: {error}"
        ) from error
    family = type(loaded.pipe).__name__
    if family not in _CONTROLNETS:
        raise WrongAdapterError(f"diffusers has no ControlNet for a {family}. Choose another model.")
    if name != _CONTROLNETS[family]:
        raise WrongAdapterError(
            f"ControlNet {reference.name!r} is a {name!r}, and a {family} takes a {_CONTROLNETS[family]}. "
            "Choose one that was made for this base model."
        )
    return getattr(diffusers, _CONTROLNETS[family])


def _check_fit(reference: WeightsReference, pipe: Any, module: Any) -> None:
    """Raise WrongAdapterError where widths differ: the call itself would fail in the middle, with riddles."""
    base = getattr(pipe, "unet", None) or pipe.transformer
    for name in _MUST_AGREE:
        ours, theirs = base.config.get(name), module.config.get(name)
        if ours is not None and theirs is not None and ours != theirs:
            raise WrongAdapterError(
                f"ControlNet {reference.name!r} does not fit this {type(pipe).__name__}: its {name} is {theirs}, "
                f"the model's {ours}. Choose one that was made for this base model."
            )


def _quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe
