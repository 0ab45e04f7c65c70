"""What a knob is set to where nobody says: by method, and by the size of the base model's denoising network.

The paper's values fit large models. A small one, as the built-in text-to-icon model, needs a weaker pull towards the
reference and a larger step, and learns in minutes: at beta 1000 and a small step its pictures did not move at all.
Free of torch.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from finetune.errors import WrongBaseError, WrongConfigError
from finetune.types import Method, TrainSettings

SMALL = 100_000_000
"""A denoising network with fewer weights is small. That of SD 1.5 has 860 million."""
HUGE = 2_000_000_000
"""One with more keeps too many activations: gradient checkpointing is on. That of SDXL has 2.6 billion."""

_LARGE: dict[str, Any] = {
    "steps": 2_000,
    "learning_rate": 1e-5,
    "batch": 64,
    "lora_rank": 16,
    "lora_alpha": 16.0,
    "warmup_steps": 100,
    "decay": 0.0,
    "prompt_dropout": 0.1,
    "clip": 1.0,
    "stop_above": 0.02,
    "gradient_checkpointing": False,
    "checkpoint_every": 250,
}
_SMALL: dict[str, Any] = _LARGE | {
    "steps": 400,
    "learning_rate": 1e-3,
    "warmup_steps": 10,
    "decay": 0.5,
    # At 5 % it stopped at step 50, and no picture had changed: a small model learns the taste while all errors rise.
    "stop_above": 1.0,
    "checkpoint_every": 100,
}
_BY_METHOD: dict[tuple[Method, bool], dict[str, Any]] = {
    ("dpo", False): _LARGE | {"beta": 2_500.0, "guard": None},
    ("dpo", True): _SMALL | {"beta": 50.0, "guard": None, "batch": 16},
    # A ranking of four is as many pictures as two pairs.
    ("listwise", False): _LARGE | {"beta": 2_500.0, "batch": 32},
    ("listwise", True): _SMALL | {"beta": 40.0, "batch": 8},
    ("rwr", False): _LARGE | {"temperature": 1.0, "batch": 128},
    ("rwr", True): _SMALL | {"temperature": 1.0, "batch": 32},
}


def fill(method: Method, weights: int, settings: TrainSettings) -> TrainSettings:
    """Return the settings with every knob that the method has. weights: of the denoising network, see `weights_of`.

    Raises WrongConfigError for a knob that the method does not have.
    """
    values = dict(_BY_METHOD[method, is_small(weights)])
    values["gradient_checkpointing"] = weights > HUGE
    said = {name: value for name, value in settings.model_dump().items() if value is not None}
    for name in said.keys() - values.keys() - {"seed"}:
        raise WrongConfigError(f"{method} has no {name}. Leave it out.")
    return TrainSettings.model_validate(values | said)


def is_small(weights: int) -> bool:
    """Tell whether a denoising network of so many weights is a small one."""
    return weights < SMALL


def weights_of(base: Path) -> int:
    """Return how many weights the denoising network of a model folder has, without loading them.

    Raises WrongBaseError where the folder has none.
    """
    files = [file for part in ("unet", "transformer") for file in sorted((base / part).glob("*.safetensors"))]
    if not files:
        raise WrongBaseError(
            f"{base.name} has no denoising network in safetensors (unet/ or transformer/). Choose a diffusers folder."
        )
    return sum(_count(file) for file in files)


def _count(file: Path) -> int:
    """Count the numbers of a safetensors file by its header: a length of 8 bytes, then JSON."""
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            header = json.loads(opened.read(length))
        return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, struct.error, MemoryError) as error:
        raise WrongBaseError(f"{file.parent.name}/{file.name} of the base is no whole safetensors file") from error
