"""Checkpoints: the adapter, the optimizer and the step, as safetensors and JSON, whole or not there at all.

What is random in a run is a function of its seed and step (see `finetune.draws`), so that nothing else has a state.

    checkpoints/step-000050/pytorch_lora_weights.safetensors
    checkpoints/step-000050/optimizer.safetensors
    checkpoints/step-000050/state.json
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from finetune import adapters
from finetune.errors import WrongConfigError
from generation.storage import ADAPTER_FILE

log = logging.getLogger(__name__)

KEPT = 2  # the newest, and the one that is gone back to where the newest is no good; measured ones count apart
_MAY_CHANGE = {"steps", "checkpoint_every", "gradient_checkpointing", "stop_above"}


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stands."""

    step: int
    values: dict[str, float]
    """The figures at that step."""
    measured: bool = True
    """Whether the run itself was to be measured there, and not only saved because it was told to stop."""


def save(
    folder: Path,
    pipe: Any,
    part: str,
    optimizer: torch.optim.Optimizer,
    checkpoint: Checkpoint,
    identity: Mapping[str, Any],
) -> None:
    """Write a checkpoint and forget all but the newest two, and the newest two that were measured.

    identity: what a run must have in common with this one to go on from here.
    """
    place = folder / f"step-{checkpoint.step:06d}"
    if place.exists():
        return  # it was saved before the run was interrupted, and would be the same
    unfinished = folder / f".writing-{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    adapters.save(pipe, part, unfinished)
    moments = {
        f"{number}.{name}": tensor.detach().cpu().contiguous()
        for number, state in optimizer.state_dict()["state"].items()
        for name, tensor in state.items()
    }
    save_file(moments, unfinished / "optimizer.safetensors")
    said = dataclasses.asdict(checkpoint) | {"identity": dict(identity)}
    (unfinished / "state.json").write_text(json.dumps(said, indent=1))
    for file in unfinished.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())  # a rename that survives a power cut must not name empty files
    unfinished.rename(place)
    places = _places(folder)
    measured = [place for place in places if _is_measured(place)]
    for old in places[KEPT:]:
        if old not in measured[:KEPT]:
            shutil.rmtree(old)


def restore(
    folder: Path, network: Any, part: str, optimizer: torch.optim.Optimizer, identity: Mapping[str, Any]
) -> Checkpoint | None:
    """Put the newest whole checkpoint back and return it, or None where there is none. Damaged ones are deleted.

    Raises WrongConfigError where it belongs to a run with other settings.
    """
    for place, said, moments in _whole(folder):
        _check(said["identity"], identity, folder)
        adapters.load(network, part, place / ADAPTER_FILE)
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in moments.items():
            number, _, name = key.partition(".")
            state.setdefault(int(number), {})[name] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return _checkpoint(said)
    return None


def go_back(folder: Path, network: Any, part: str, *, before: int) -> Checkpoint | None:
    """Put the adapter of the newest whole checkpoint before a step back; return that, or None where there is none.

    One that was only saved because the run was told to stop does not count: the result must not hang on that.
    """
    for place, said, _ in _whole(folder):
        found = _checkpoint(said)
        if found.measured and found.step < before:
            adapters.load(network, part, place / ADAPTER_FILE)
            return found
    return None


def _whole(folder: Path) -> Iterator[tuple[Path, dict[str, Any], dict[str, torch.Tensor]]]:
    """Yield place, state and optimizer of each checkpoint, the newest first.

    A damaged one is deleted on the way: left there, it would keep the run from writing that step again.
    """
    for place in _places(folder):
        try:
            said = json.loads((place / "state.json").read_text())
            moments = load_file(place / "optimizer.safetensors")
            load_file(place / ADAPTER_FILE)
        except (OSError, ValueError, SafetensorError) as error:
            log.warning("%s is damaged (%s); it is deleted, and the one before is taken", place, error)
            shutil.rmtree(place, ignore_errors=True)  # another process of this run may be at it too
            continue
        yield place, said, moments


def _is_measured(place: Path) -> bool:
    try:
        return _checkpoint(json.loads((place / "state.json").read_text())).measured
    except (OSError, ValueError, KeyError):
        return False  # a damaged one is not worth keeping


def _checkpoint(said: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint(said["step"], said["values"], said.get("measured", True))  # earlier runs did not write the last


def _places(folder: Path) -> Sequence[Path]:
    """Return the checkpoints, the newest first."""
    return sorted(folder.glob("step-*"), reverse=True)


def _check(stored: Mapping[str, Any], given: Mapping[str, Any], folder: Path) -> None:
    now = json.loads(json.dumps(dict(given)))  # as it was stored: tuples are lists there
    for name in sorted(stored.keys() | now.keys()):
        if name not in _MAY_CHANGE and stored.get(name) != now.get(name):
            raise WrongConfigError(
                f"{folder.parent} holds a run with {name} {stored.get(name)}, and this one has {now.get(name)}. "
                "Choose another folder, or the same settings to go on."
            )
