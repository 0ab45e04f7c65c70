"""Looking at a model's files without loading them: no torch, no pickle, and never a whole file in memory.

What is taken: safetensors weights for classes of diffusers and transformers. Everything else that a stranger's folder
may hold is refused with one line that names the file. The worker checks again, before it loads anything.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easel.common.errors import InvalidInput
from easel.registry.models import ModelVersion
from generation.storage import ADAPTER_FILE, CONTROLNET_FILE, PIPELINE_FILE, model_folders

FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
DEFAULTS_FILE = "defaults.json"
MAX_FILES = 5_000
MAX_JSON = 8 * 2**20  # bytes; a tokenizer's is the largest that a pipeline has
MAX_HEADER = 16 * 2**20  # bytes of a safetensors file's table of contents
_LIBRARIES = {"diffusers", "transformers", "stable_diffusion"}  # the last is diffusers' own home of its safety checker
_PICKLED = {".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".npy", ".npz"}
_CODE = {".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".exe", ".sh", ".bat", ".js", ".jar"}
_KINDS = {
    PIPELINE_FILE: ModelVersion.Kind.PIPELINE,
    ADAPTER_FILE: ModelVersion.Kind.ADAPTER,
    CONTROLNET_FILE: ModelVersion.Kind.CONTROLNET,
}


class BrokenModel(InvalidInput):
    """A model that cannot be registered."""

    code = "broken_model"


@dataclass(frozen=True)
class ModelFile:
    """One file of a model."""

    name: str
    size: int  # bytes


@dataclass(frozen=True)
class Inspected:
    """A model folder that may be registered."""

    path: Path
    kind: str
    family: str
    """The class that its index names; empty for an adapter, which has none."""
    files: tuple[ModelFile, ...]
    also_in: tuple[Path, ...] = ()
    """Other model folders that hold one of the same name."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def find(name: str) -> tuple[Path, tuple[Path, ...]]:
    """Return the folder of that name in the first model folder that has it, and the others. Raises BrokenModel."""
    if not FOLDER_NAME.fullmatch(name):
        raise BrokenModel(
            f"{name!r} is no name of a model folder: letters, digits, '.', '_' and '-', one '/' at most. "
            "Name the folder below EASEL_MODEL_PATH, not a path."
        )
    found = []
    for root in model_folders():
        path = root / name
        if not path.is_dir():
            continue
        if not path.resolve().is_relative_to(root.resolve()):
            raise BrokenModel(f"{path} is a link that leads out of {root}. Copy the model there instead.")
        if any((path / file).is_file() for file in _KINDS):
            found.append(path.resolve())
    if not found:
        looked = ", ".join(str(root) for root in model_folders())
        raise BrokenModel(
            f"model {name!r}: no folder with a {PIPELINE_FILE} (or {ADAPTER_FILE}, or a ControlNet's "
            f"{CONTROLNET_FILE}) of that name in {looked}. Put it there, or add its parent folder to EASEL_MODEL_PATH."
        )
    return found[0], tuple(path for path in found[1:] if path != found[0])


def inspect_folder(name: str) -> Inspected:
    """Check the model folder of that name. Raises BrokenModel."""
    path, others = find(name)
    return inspect(path, others)


def inspect(path: Path, others: tuple[Path, ...] = (), *, inside: Path | None = None) -> Inspected:
    """Check a model's files. Links may lead to places below `inside` (the folder itself, if left out).

    Raises BrokenModel.
    """
    files = tuple(_files(path, (inside or path).resolve(), spare_pickles=inside is not None))
    kind = next(kind for file, kind in _KINDS.items() if (path / file).is_file())
    weights = [file for file in files if file.name.endswith(".safetensors")]
    family = ""
    if kind == ModelVersion.Kind.PIPELINE:
        family = _check_index(path)
    elif kind == ModelVersion.Kind.CONTROLNET:
        family = str(_read_json(path / CONTROLNET_FILE, "ControlNet configuration").get("_class_name", ""))
        if "ControlNet" not in family or not family.isidentifier():
            raise BrokenModel(f"{path / CONTROLNET_FILE} names no ControlNet class. Copy the ControlNet again.")
    if not weights:
        raise BrokenModel(f"{path} holds no .safetensors file; other weight formats are not loaded.")
    for file in files:
        if file.name.endswith("config.json") and "auto_map" in _read_json(path / file.name, "configuration"):
            raise BrokenModel(
                f"{file.name} of {path} names code of its own (auto_map), which is never run. "
                "Only models that diffusers and transformers load by themselves can be registered."
            )
    for file in weights:
        _check_safetensors(path / file.name, file.size)
    return Inspected(path, kind, family, files, others)


def folders() -> list[str]:
    """Return the names of all models in the model folders of this machine, without looking into their files."""
    found: dict[str, None] = {}
    for root in model_folders():
        for path in _below(root):
            if _looks_like_a_model(path):
                found[path.relative_to(root).as_posix()] = None
            else:
                found |= {
                    below.relative_to(root).as_posix(): None for below in _below(path) if _looks_like_a_model(below)
                }
    return sorted(name for name in found if FOLDER_NAME.fullmatch(name))


def hub_folder(name: str) -> Path | None:
    """Return where this machine's hub cache keeps a model, or None. Only looked up, never fetched."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    repository = cache / f"models--{name.replace('/', '--')}"
    try:
        revision = (repository / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    path = repository / "snapshots" / revision
    if not re.fullmatch(r"[0-9a-f]{40}", revision) or not _looks_like_a_model(path):
        return None
    return path


def defaults_of(path: Path) -> dict[str, Any]:
    """Return what a model's `defaults.json` says. Raises BrokenModel."""
    file = path / DEFAULTS_FILE
    return _read_json(file, "file of defaults") if file.is_file() else {}


def _below(path: Path) -> list[Path]:
    try:
        return sorted(each for each in path.iterdir() if each.is_dir() and not each.is_symlink())
    except OSError:  # a folder that this process may not read has nothing for it
        return []


def _looks_like_a_model(path: Path) -> bool:
    if (path / PIPELINE_FILE).is_file() or (path / ADAPTER_FILE).is_file():
        return True
    try:
        with (path / CONTROLNET_FILE).open("rb") as file:  # every part of a pipeline has such a file, too
            return re.search(rb'"_class_name"\s*:\s*"\w*ControlNet', file.read(2**16)) is not None
    except OSError:
        return False


def _files(path: Path, inside: Path, *, spare_pickles: bool) -> Iterator[ModelFile]:
    """Yield the files of a folder in the order of their names. Raises BrokenModel for what does not belong there."""
    for number, file in enumerate(sorted(path.rglob("*")), 1):
        name = file.relative_to(path).as_posix()
        if number > MAX_FILES:
            raise BrokenModel(f"{path} holds more than {MAX_FILES:,} files. Register the model's own folder.")
        try:
            at_home = file.resolve().is_relative_to(inside)
            status = file.stat() if at_home else None
        except (OSError, RuntimeError) as error:  # the latter is how pathlib says that links go round in a circle
            reason = getattr(error, "strerror", None) or "it is a link to itself"
            raise BrokenModel(f"{name} of {path} cannot be read: {reason}. Copy the model again.") from error
        if status is None:
            raise BrokenModel(f"{name} of {path} is a link that leads out of the model. Copy the file there instead.")
        if stat.S_ISDIR(status.st_mode):
            continue
        if not stat.S_ISREG(status.st_mode):
            raise BrokenModel(f"{name} of {path} is no ordinary file. Delete it.")
        suffix = file.suffix.lower()
        if suffix in _CODE:
            raise BrokenModel(
                f"{name} of {path} is code, and a model's own code is never run. "
                "Only models that diffusers and transformers load by themselves can be registered."
            )
        if suffix in _PICKLED and not (spare_pickles and any(file.parent.glob("*.safetensors"))):
            raise BrokenModel(
                f"{name} of {path} is pickled, and loading a pickle can run any code. Convert it to safetensors, "
                "or delete it where a safetensors file stands beside it."
            )
        yield ModelFile(name, status.st_size)


def _check_index(path: Path) -> str:
    """Return the pipeline's class, if every part of it comes from a library that may be loaded. Raises BrokenModel."""
    index = _read_json(path / PIPELINE_FILE, "diffusers model index")
    family = index.get("_class_name")
    if not isinstance(family, str) or not re.fullmatch(r"[A-Z][A-Za-z0-9]{0,90}Pipeline", family):
        raise BrokenModel(
            f"{path / PIPELINE_FILE} is no diffusers model index: _class_name is {str(family)[:60]!r}, "
            "not the name of a pipeline of diffusers. Copy the model again."
        )
    for part, value in index.items():
        if part.startswith("_") or not isinstance(value, list):
            continue
        if not re.fullmatch(r"[a-z][a-z0-9_]*", part) or len(value) != 2:
            raise BrokenModel(f"{path / PIPELINE_FILE} is no diffusers model index: {part[:60]!r} is no part.")
        library, name = value
        if library is None and name is None:
            continue  # a part that this pipeline does without
        if (
            not isinstance(library, str)
            or library not in _LIBRARIES
            or not isinstance(name, str)
            or not name.isidentifier()
        ):
            raise BrokenModel(
                f"{path / PIPELINE_FILE}: its {part} is a class of {str(library)[:60]!r}. "
                "Only classes of diffusers and transformers are loaded."
            )
        if not (path / part).is_dir():
            raise BrokenModel(f"{path} has no folder {part!r}, which its model index names. Copy the model again.")
    return family


def _read_json(path: Path, what: str) -> dict[str, Any]:
    reason = "it holds no object"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_JSON + 1)
        if len(content) <= MAX_JSON:
            found = json.loads(content)
            if isinstance(found, dict):
                return found
        else:
            reason = f"it is larger than {MAX_JSON // 2**20} MB"
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error)[:200]
    raise BrokenModel(f"{path} is no {what}: {reason}. Copy the model again.")


def _check_safetensors(path: Path, size: int) -> None:
    """Raise BrokenModel where a file's table of contents is unreadable or does not fit its size. Reads no weights."""
    reason = "it does not begin with a table of contents"
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            table = json.loads(file.read(length)) if length <= min(size - 8, MAX_HEADER) else None
        if isinstance(table, dict):
            ends = [int(entry["data_offsets"][1]) for name, entry in table.items() if name != "__metadata__"]
            end = 8 + length + max(ends, default=0)
            if end == size:
                return
            reason = f"it has {size:,} bytes, and its table of contents says {end:,}"
    except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        reason = str(error)[:200] or type(error).__name__
    raise BrokenModel(f"{path} is no safetensors file: {reason}. Copy the model again.")
