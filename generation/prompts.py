"""Text on its way into a pipeline: is it short enough, and its embedding, computed once for all its images."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch

from generation.errors import PromptTooLongError, WrongSettingError

Embeddings = dict[str, torch.Tensor]
"""Arguments of a pipeline's call, each with a leading axis of one prompt."""

_NO_LIMIT = 1_000_000  # tokenizers that know no limit say 1e30


def check_length(pipe: Any, text: str) -> None:
    """Raise PromptTooLongError when no text encoder of the pipeline reads all of `text`.

    Some pipelines read a prompt twice, with a short encoder for its gist and a roomy one for its words (Flux, SD3):
    then the roomy one counts.
    """
    counted = [
        (len(tokenizer(text, truncation=False, verbose=False).input_ids), limit)
        for name, tokenizer in pipe.components.items()
        if name.startswith("tokenizer") and tokenizer is not None
        if pipe.components.get(name.replace("tokenizer", "text_encoder")) is not None  # SD3 may do without its T5
        for limit in [_limit(pipe, tokenizer)]
        if limit is not None
    ]
    if counted and all(tokens > limit for tokens, limit in counted):
        tokens, limit = max(counted, key=lambda pair: pair[1])
        start = text if len(text) <= 80 else f"{text[:80]}..."
        raise PromptTooLongError(
            f"the prompt {start!r} has {tokens} tokens and the model reads {limit} (two of them mark start and end). "
            "Shorten it: Easel never cuts a prompt."
        )


def _limit(pipe: Any, tokenizer: Any) -> int | None:
    """Tokens that are read of a prompt, or None where nobody says."""
    if "CLIP" not in type(tokenizer).__name__:  # T5 and its kin read what the pipeline's call allows them
        parameter = inspect.signature(type(pipe).__call__).parameters.get("max_sequence_length")
        if parameter is not None and isinstance(parameter.default, int):
            return parameter.default
    limit = int(min(tokenizer.model_max_length, _NO_LIMIT))
    return limit if limit < _NO_LIMIT else None


def check_negative(pipe: Any, negative: str) -> None:
    """Raise WrongSettingError when there is a negative text and the pipeline would not look at it."""
    parameters = inspect.signature(type(pipe).__call__).parameters
    ignored = "true_cfg_scale" in parameters and parameters["true_cfg_scale"].default == 1.0  # Flux, by its default
    if negative and (ignored or "negative_prompt" not in parameters):
        raise WrongSettingError(f"a {type(pipe).__name__} reads no negative prompt. Leave it out.")


def encode(pipe: Any, text: str, negative: str, *, guided: bool) -> Embeddings | None:
    """Return the embeddings of one prompt, or None for a pipeline that has to encode by itself.

    One text at a time, so that its embedding does not depend on what else is in the request.
    """
    encoder = _ENCODERS.get(type(pipe).__name__)
    if encoder is None:
        return None
    names, values = encoder(pipe, text, negative, guided)
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


_Encoded = tuple[Sequence[str], Sequence[torch.Tensor | None]]
_POOLED = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")


def _of_stable_diffusion(pipe: Any, text: str, negative: str, guided: bool) -> _Encoded:
    positive, other = pipe.encode_prompt(text, pipe.device, 1, guided, negative or None)
    return _POOLED[:2], (positive, other if guided else None)


def _of_stable_diffusion_xl(pipe: Any, text: str, negative: str, guided: bool) -> _Encoded:
    # It takes "" for a text and None for the zeros that it was trained with.
    values = pipe.encode_prompt(
        text, device=pipe.device, do_classifier_free_guidance=guided, negative_prompt=negative or None
    )
    return _POOLED, values if guided else (values[0], None, values[2], None)


def _of_stable_diffusion_3(pipe: Any, text: str, negative: str, guided: bool) -> _Encoded:
    values = pipe.encode_prompt(
        text, None, None, device=pipe.device, do_classifier_free_guidance=guided, negative_prompt=negative or None
    )
    return _POOLED, values if guided else (values[0], None, values[2], None)


def _of_flux(pipe: Any, text: str, negative: str, guided: bool) -> _Encoded:
    positive, pooled, _positions = pipe.encode_prompt(text, None, device=pipe.device)
    return ("prompt_embeds", "pooled_prompt_embeds"), (positive, pooled)


def _of_pixart(pipe: Any, text: str, negative: str, guided: bool) -> _Encoded:
    names = (
        "prompt_embeds",
        "prompt_attention_mask",
        "negative_prompt_embeds",
        "negative_prompt_attention_mask",
    )
    limit = inspect.signature(type(pipe).__call__).parameters["max_sequence_length"].default
    return names, pipe.encode_prompt(text, guided, negative, device=pipe.device, max_sequence_length=limit)


_ENCODERS: dict[str, Callable[[Any, str, str, bool], _Encoded]] = {
    "StableDiffusionPipeline": _of_stable_diffusion,
    "StableDiffusionXLPipeline": _of_stable_diffusion_xl,
    "StableDiffusion3Pipeline": _of_stable_diffusion_3,
    "FluxPipeline": _of_flux,
    "PixArtAlphaPipeline": _of_pixart,
    "PixArtSigmaPipeline": _of_pixart,
}


def beside_embeddings(pipe: Any) -> dict[str, Any]:
    """Return what a call needs to be told when its prompts are encoded already."""
    if type(pipe).__name__ in {"PixArtAlphaPipeline", "PixArtSigmaPipeline"}:
        return {"negative_prompt": None, "clean_caption": False}  # its own "" would stand in the embedding's way
    return {}
