"""The LoRA adapter that a fine-tune trains: put on, switched off for the reference, saved as diffusers reads it.

One network is both: with its adapter it is the policy, without it the reference that it started from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from finetune.errors import WrongBaseError
from generation.storage import ADAPTER_FILE

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
BESIDE_ATTENTION = ("ff.net.0.proj", "ff.net.2", "time_emb_proj", "conv1", "conv2")
"""Feed-forward layers, projections of time, convolutions: a small model has too little attention to learn much by."""
_NAME = "default"  # diffusers' own


def put_on(network: Any, *, rank: int, alpha: float, targets: Sequence[str], seed: int) -> list[torch.nn.Parameter]:
    """Freeze the network and put a fresh adapter on it that changes nothing yet; return its parameters.

    They are float32, whatever the network is. The same seed gives the same adapter.
    """
    network.requires_grad_(False)
    network.eval()  # a base with dropout would else be noisy, and its reference too
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made: Any = LoraConfig(r=rank, target_modules=list(targets), init_lora_weights=True)
        made.lora_alpha = alpha  # peft divides by the rank, and is content with fractions
        network.add_adapter(made)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.data = parameter.data.float()
    return parameters


def fuse(pipe: Any, adapters: Sequence[tuple[Path, float]]) -> None:
    """Add adapters to the weights for good: the base of a further round is a model and what it has been taught.

    adapters: folders with `pytorch_lora_weights.safetensors` (or such files), and how strongly each counts.
    Raises WrongBaseError where one does not fit.
    """
    if not adapters:
        return
    names = [f"taught_{number}" for number, _ in enumerate(adapters)]
    for name, (path, _) in zip(names, adapters, strict=True):
        file = path / ADAPTER_FILE if path.is_dir() else path
        try:
            expected = len(load_file(file))
            pipe.load_lora_weights(
                str(file.parent),
                weight_name=file.name,
                adapter_name=name,
                use_safetensors=True,
                local_files_only=True,
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise WrongBaseError(
                f"adapter {path.name!r} does not fit the base {type(pipe).__name__}: {reason[:300]}. "
                "Choose one that was made for this base."
            ) from error
        found = sum(f".{name}." in f"{place}." for place, _ in _all_parameters(pipe))
        if found < expected - sum(key.endswith(".alpha") for key in load_file(file)) or not found:
            raise WrongBaseError(  # the loader only warns of what it finds no place for
                f"adapter {path.name!r} does not fit the base {type(pipe).__name__}: {found} of its {expected} weights "
                "have a place there. Choose one that was made for this base."
            )
    pipe.set_adapters(names, adapter_weights=[scale for _, scale in adapters])
    pipe.fuse_lora(adapter_names=names)
    pipe.unload_lora_weights()


def _all_parameters(pipe: Any) -> Iterator[tuple[str, Tensor]]:
    for module in pipe.components.values():
        if isinstance(module, torch.nn.Module):
            yield from module.named_parameters()


@contextmanager
def reference(network: Any) -> Iterator[None]:
    """Within this, the network is the one that the fine-tune started from, and nothing has a gradient.

    Whatever happens within, afterwards the adapter is on, and what had a gradient has one: peft forgets the latter.
    """
    layers: list[Any] = [module for module in network.modules() if isinstance(module, BaseTunerLayer)]
    flags = [(parameter, parameter.requires_grad) for layer in layers for parameter in layer.parameters()]
    try:
        for layer in layers:
            layer.enable_adapters(False)
        with torch.no_grad():
            yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def state(network: Any) -> dict[str, Tensor]:
    """Return the adapter's weights, by name, on the CPU."""
    weights: Mapping[str, Tensor] = get_peft_model_state_dict(network, adapter_name=_NAME)
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}


def load_state(network: Any, weights: Mapping[str, Tensor]) -> None:
    """Put weights as `state` returns them back into the adapter, bit by bit."""
    mine = state(network)
    if {name: tensor.shape for name, tensor in weights.items()} != {name: one.shape for name, one in mine.items()}:
        raise WrongBaseError(
            "the checkpoint's adapter does not fit this base and rank. Start in an empty folder, or with the settings "
            "that it was begun with."
        )
    set_peft_model_state_dict(network, dict(weights), adapter_name=_NAME)


def save(pipe: Any, part: str, folder: Path) -> Path:
    """Write the adapter as `pytorch_lora_weights.safetensors`, which `pipe.load_lora_weights(folder)` reads."""
    network = getattr(pipe, part)
    config = network.peft_config[_NAME]
    told = {"r": config.r, "lora_alpha": config.lora_alpha, "target_modules": sorted(config.target_modules)}
    type(pipe).save_lora_weights(
        folder, **{f"{part}_lora_layers": state(network), f"{part}_lora_adapter_metadata": told}
    )
    path = folder / ADAPTER_FILE
    path.chmod(0o644)  # written for its owner only, but whoever serves the model must read it
    return path


def load(network: Any, part: str, file: Path) -> None:
    """Put an adapter that `save` wrote back on the network that has one of the same shape."""
    load_state(network, {name.removeprefix(f"{part}."): tensor for name, tensor in load_file(file).items()})
