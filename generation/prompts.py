"""Text on its way into a pipeline: is it short enough, and its embedding, computed once for all its images."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from generation.errors import PromptTooLongError

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


def encode(pipe: Any, text: str, negative: str, *, guided: bool) -> Embeddings | None:
    """Return the embeddings of one prompt, or None for a pipeline that has to encode by itself.

    One text at a time, so that its embedding does not depend on what else is in the request.
    """
    device = pipe.device
    unwanted = negative or None  # SDXL takes "" for a text and None for the zeros that it was trained with
    kind = type(pipe).__name__
    if kind == "StableDiffusionPipeline":
        positive, other = pipe.encode_prompt(text, device, 1, guided, unwanted)
        return _given(prompt_embeds=positive, negative_prompt_embeds=other if guided else None)
    if kind == "StableDiffusionXLPipeline":
        positive, other, pooled, other_pooled = pipe.encode_prompt(
            text, device=device, do_classifier_free_guidance=guided, negative_prompt=unwanted
        )
        return _given(
            prompt_embeds=positive,
            negative_prompt_embeds=other if guided else None,
            pooled_prompt_embeds=pooled,
            negative_pooled_prompt_embeds=other_pooled if guided else None,
        )
    return None


def _given(**embeddings: torch.Tensor | None) -> Embeddings:
    return {name: value for name, value in embeddings.items() if value is not None}
