"""LoRA adapters on top of a loaded pipeline: put on for the requests that name them, and off without a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from generation import pipelines, storage
from generation.errors import RenderError, WrongAdapterError
from generation.pipelines import LoadedPipeline
from generation.types import AdapterReference


def put_on(
    loaded: LoadedPipeline,
    wanted: tuple[AdapterReference, ...],
    *,
    hub_download: bool = False,
    files: storage.Storage | None = None,
) -> None:
    """Leave exactly the `wanted` adapters on the pipeline, each with its scale. Those of fine-tunes lie in `files`.

    Raises ModelNotFoundError, ModelBrokenError, WeightsChangedError or WrongAdapterError; the pipeline may then be half
    changed, and has to be dropped.
    """
    folders = [
        pipelines.find_folder(adapter, having=storage.ADAPTER_FILE, hub_download=hub_download, files=files)
        for adapter in wanted
    ]
    prints = tuple(pipelines.fingerprint(folder) for folder in folders)
    if loaded.adapters != (wanted, prints):
        if loaded.adapters[0]:
            loaded.pipe.unload_lora_weights()  # gives back the very modules of the model: its images are as before
            loaded.adapters = ((), ())
        if wanted:
            _check_family(loaded.pipe, wanted[0])
            names = [_load(loaded.pipe, *pair, number) for number, pair in enumerate(zip(wanted, folders, strict=True))]
            loaded.pipe.set_adapters(names, adapter_weights=[adapter.scale for adapter in wanted])
            loaded.adapters = (wanted, prints)


def _check_family(pipe: Any, adapter: AdapterReference) -> None:
    if not hasattr(pipe, "load_lora_weights"):
        raise WrongAdapterError(
            f"adapter {adapter.name!r}: diffusers puts no adapters on a {type(pipe).__name__}. Leave it out."
        )


def _load(pipe: Any, adapter: AdapterReference, folder: Path, number: int) -> str:
    """Put one adapter on and return the name under which the pipeline knows it."""
    pipelines.refuse_pickles(adapter, folder)
    pipelines.check_hash(adapter, storage.weights_hash(folder))
    name = f"adapter_{number}"
    try:
        stored = pipelines.count_weights(folder / storage.ADAPTER_FILE, without=".alpha")
        pipe.load_lora_weights(
            str(folder),
            weight_name=storage.ADAPTER_FILE,  # named, so that nothing else in the folder is ever looked at
            adapter_name=name,
            use_safetensors=True,
            local_files_only=True,
        )
    except SafetensorError as error:
        raise WrongAdapterError(
            f"adapter {adapter.name!r}: {storage.ADAPTER_FILE} of {adapter.location} is no whole safetensors file: "
            f"{error}. Copy it again."
        ) from error
    except (torch.OutOfMemoryError, RenderError):
        raise
    except Exception as error:  # whatever a stranger's file makes the loaders raise, it is the file that does not fit
        raise _misfit(pipe, adapter, str(error)) from error
    put = 0
    for module in pipe.components.values():
        if isinstance(module, torch.nn.Module):
            for path, parameter in module.named_parameters():
                if f".{name}." in f"{path}.":
                    put += parameter.numel()
                    parameter.data = parameter.data.to(pipe.dtype)
    if put < stored or not stored:  # the loaders only warn of what they found no place for
        raise _misfit(pipe, adapter, f"{put:,} of its {stored:,} weights have a place there")
    return name


def _misfit(pipe: Any, adapter: AdapterReference, reason: str) -> WrongAdapterError:
    lines = [line.strip() for line in reason.splitlines() if line.strip()] or ["it cannot be loaded"]
    return WrongAdapterError(
        f"adapter {adapter.name!r} of {adapter.location} does not fit this {type(pipe).__name__}: "
        f"{' '.join(lines[:2])[:300]}. Choose one that was made for this base model."
    )
