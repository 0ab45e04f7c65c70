"""Folders of models of every kind, as small as the registry takes them."""

from __future__ import annotations

from pathlib import Path

from tests.cast import make_model_folder


def safetensors(table: bytes = b"{}") -> bytes:
    """Return a safetensors file without tensors."""
    return len(table).to_bytes(8, "little") + table


def make_adapter_folder(folder: Path, table: bytes = b"{}") -> Path:
    """Write a LoRA adapter in diffusers' format; another table is another hash."""
    folder.mkdir(parents=True)
    (folder / "pytorch_lora_weights.safetensors").write_bytes(safetensors(table))
    return folder


def make_controlnet_folder(folder: Path) -> Path:
    """Write a ControlNet."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"_class_name": "ControlNetModel"}')
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(safetensors())
    return folder


def make_hub_cache(cache: Path, name: str) -> Path:
    """Write a model as the hub's own client keeps it, its files being links to blobs; return the snapshot."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = make_model_folder(repository / "snapshots" / ("a" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    (repository / "blobs").mkdir()
    weights = snapshot / "unet" / "model.safetensors"
    weights.rename(repository / "blobs" / "b1")
    weights.symlink_to("../../../blobs/b1")
    return snapshot
