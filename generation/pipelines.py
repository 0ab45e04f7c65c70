"""Loading diffusers pipelines that other people made, without running anything that came with them.

What is loaded: safetensors weights into classes of diffusers and transformers. What is refused: pickled weights,
classes from elsewhere, code in the folder, weights other than those that were registered.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import safe_open

from generation import fetched, storage
from generation.errors import (
    ModelBrokenError,
    ModelNotFoundError,
    WeightsChangedError,
    WrongPipelineError,
    WrongSchedulerError,
)
from generation.types import AdapterReference, ModelReference, Scheduler, WeightsReference

DEFAULTS_FILE = "defaults.json"
_LIBRARIES: dict[str, Any] = {
    "diffusers": diffusers,
    "transformers": transformers,
    "stable_diffusion": diffusers.pipelines.stable_diffusion,  # diffusers' own home of its safety checker
}
_PICKLED = {".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"}
_HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.model"]
_SCHEDULERS: dict[Scheduler, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "euler_trailing": ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}

diffusers.utils.logging.disable_progress_bar()
transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]


class Defaults(BaseModel):
    """What a model renders with unless a request says otherwise: the optional `defaults.json` of its folder."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    steps: int = Field(default=30, ge=1, le=150)
    guidance_scale: float | None = Field(default=None, ge=0, le=30)  # None: what the pipeline's class has
    width: int | None = Field(default=None, ge=16, le=2048)  # pixels; None: what the pipeline was trained at
    height: int | None = Field(default=None, ge=16, le=2048)  # pixels


Fingerprint = tuple[tuple[str, int, int], ...]
"""Name, size in bytes and time of change in nanoseconds of each file of a model."""


@dataclass
class LoadedPipeline:
    """A pipeline on its device, with what the engine has learned about it."""

    pipe: Any
    sha256: str
    files: Fingerprint
    defaults: Defaults
    schedule: dict[str, Any]
    """The configuration of the model's own scheduler."""
    own_scheduler: type
    batch: dict[Hashable, int] = field(default_factory=dict)
    """Images that fitted into one call, by kind of call and size."""
    adapters: tuple[tuple[AdapterReference, ...], tuple[Fingerprint, ...]] = ((), ())
    """What is on the pipeline, with the files that it came from (see `generation.adapters`)."""
    variants: dict[str, Any] = field(default_factory=dict)
    """Sister pipelines that share these weights, by kind of call (see `generation.variants`)."""
    controlnet: object = None
    """The ControlNet that was used last."""

    def fresh_scheduler(self, name: Scheduler) -> Any:
        """Return a new scheduler, the model's own or another. Raises WrongSchedulerError."""
        kind, options = _SCHEDULERS.get(name, ("", {}))
        if kind and "Flow" in self.own_scheduler.__name__:
            raise WrongSchedulerError(
                f"the model samples with {self.own_scheduler.__name__}; scheduler {name!r} is for diffusion models "
                "with a noise schedule. Choose 'default'."
            )
        made: Any = getattr(diffusers, kind) if kind else self.own_scheduler
        # A fresh one per request: multistep schedulers keep state that an interrupted call would leave behind.
        return made.from_config({**self.schedule, **options})

    @property
    def size_factor(self) -> int:
        """What both sides of an image are multiples of, in pixels."""
        factor = int(self.pipe.vae_scale_factor)
        packed = int(self.pipe.image_processor.config.vae_scale_factor)  # of Flux and its kin: 2 x 2 latents a token
        if packed > factor:
            return packed
        transformer = getattr(self.pipe, "transformer", None)
        return factor * int(getattr(transformer.config, "patch_size", None) or 1) if transformer is not None else factor


def find_folder(
    model: WeightsReference,
    *,
    having: str = storage.PIPELINE_FILE,
    hub_download: bool = False,
    files: storage.Storage | None = None,
) -> Path:
    """Return the local folder of a model, an adapter or a ControlNet. Raises ModelNotFoundError.

    A hub model comes from this machine's hub cache; it is downloaded (no pickles, no code) only if that is allowed.
    What a fine-tune made is fetched from `files`, the image storage.
    """
    if storage.is_local_folder(model):
        try:
            return storage.model_folder(model.location, having)
        except storage.ModelNotFoundError as error:
            raise ModelNotFoundError(str(error)) from error
    if model.location.startswith("api:"):
        raise ModelNotFoundError(f"model {model.name!r}: {model.location} is a service; there are no weights to load")
    if model.location.startswith(fetched.PREFIX):
        return _fetch(model, having, files)
    name = model.location.removeprefix("hub:")
    try:
        folder = Path(snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=not hub_download))
        if not (folder / having).is_file():
            raise ModelNotFoundError(f"model {model.name!r}: {model.location} has no {having}. Register another one.")
        return folder
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).splitlines()[0] if hub_download else "it is not in the hub cache of this worker"
        raise ModelNotFoundError(
            f"model {name!r}: {reason}. Fetch it there with `hf download {name}`, or set EASEL_HUB_DOWNLOAD=1."
        ) from error


def _fetch(model: WeightsReference, having: str, files: storage.Storage | None) -> Path:
    if files is None:
        raise ModelNotFoundError(f"model {model.name!r}: {model.location} needs the image storage, and none is named")
    try:
        folder = fetched.fetch_weights(model.location, files)
    except storage.StorageError as error:
        raise ModelNotFoundError(f"model {model.name!r}: {error}") from error
    if not (folder / having).is_file():
        raise ModelNotFoundError(f"model {model.name!r}: {model.location} has no {having}")
    return folder


def fingerprint(folder: Path) -> Fingerprint:
    """Return what is cheap to compare of a model's files, and different once somebody replaces one."""
    return tuple(
        (path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for status in [path.stat()]
    )


def check_hash(model: WeightsReference, sha256: str) -> None:
    """Raise WeightsChangedError when the files' hash is not the registered one."""
    if model.sha256 is not None and model.sha256 != sha256:
        raise WeightsChangedError(
            f"model {model.name!r}: the files of {model.location} have hash {sha256[:12]}, registered is "
            f"{model.sha256[:12]}. Restore the registered files, or register these as a new model version."
        )


def load(model: ModelReference, folder: Path, device: torch.device) -> LoadedPipeline:
    """Load a model's pipeline onto `device`.

    Raises ModelBrokenError, WrongPipelineError or WeightsChangedError.
    """
    files = fingerprint(folder)  # before the hash: what changes from here on is noticed by the next request
    sha256 = storage.weights_hash(folder)
    check_hash(model, sha256)
    kind = _check_index(model, folder)
    refuse_pickles(model, folder)
    defaults = _read_defaults(model, folder)
    try:
        pipe = kind.from_pretrained(
            folder,
            dtype=best_dtype(device),  # said even for float32: a half precision folder would else load mixed
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        for part, module in pipe.components.items():
            if isinstance(module, torch.nn.Module):
                check_complete(model, part, folder / part, module)
        pipe.to(device)
    except (torch.OutOfMemoryError, ModelBrokenError):
        raise
    except Exception as error:  # whatever a stranger's files make the loaders raise is the model's fault
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelBrokenError(f"model {model.name!r}: {model.location} cannot be loaded: {reason}") from error
    pipe.set_progress_bar_config(disable=True)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        for part in (getattr(pipe, "unet", None), getattr(pipe, "vae", None)):
            if part is not None:
                part.to(memory_format=torch.channels_last)
    return LoadedPipeline(pipe, sha256, files, defaults, dict(pipe.scheduler.config), type(pipe.scheduler))


def best_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_dtype(device: torch.device) -> torch.dtype:
    """Return the number format for weights: half precision on a GPU, full precision on a CPU."""
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _check_index(model: ModelReference, folder: Path) -> Any:
    """Return the pipeline class that `model_index.json` names, if every class in it may be loaded."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        name = index["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelBrokenError(
            f"model {model.name!r}: model_index.json of {model.location} is unreadable: {error}"
        ) from error
    allowed = {
        kind.__name__: kind
        for kind in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values()
        if "Control" not in kind.__name__ and "Kontext" not in kind.__name__  # these need a picture to start from
    }
    if not isinstance(name, str) or name not in allowed:
        raise WrongPipelineError(
            f"model {model.name!r}: {name!r} is no text-to-image pipeline of diffusers {diffusers.__version__}. "
            "Export the model as one, for instance StableDiffusionPipeline."
        )
    for component, value in index.items():
        if component.startswith("_") or not isinstance(value, list):
            continue
        library, class_name = (*value, None, None)[:2]
        if library is None and class_name is None:
            continue  # a part that this pipeline does without
        if library not in _LIBRARIES:
            raise WrongPipelineError(
                f"model {model.name!r}: its {component} is a class of {library!r}. "
                "Only classes of diffusers and transformers are loaded."
            )
        if (folder / component / f"{library}.py").exists():  # diffusers would take the class from there
            raise WrongPipelineError(
                f"model {model.name!r}: {component}/{library}.py is code, and none that comes with a model is run. "
                "Delete it, or export the model without."
            )
        found = getattr(_LIBRARIES[library], str(class_name), type) if str(class_name).isidentifier() else None
        if not isinstance(found, type):
            raise WrongPipelineError(
                f"model {model.name!r}: its {component}, {class_name!r}, is no class of {library}."
            )
        if not (folder / component).is_dir():
            raise ModelBrokenError(
                f"model {model.name!r}: {model.location} has no folder {component!r}. Copy it again."
            )
    return allowed[name]


def refuse_pickles(model: WeightsReference, folder: Path) -> None:
    """Raise ModelBrokenError where a part has pickled weights only: loading them could run anything."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in _PICKLED and not any(path.parent.glob("*.safetensors")):
            raise ModelBrokenError(
                f"model {model.name!r}: {path.relative_to(folder)} is pickled, and loading a pickle can run any code. "
                "Convert it to safetensors."
            )


def check_complete(model: WeightsReference, part: str, folder: Path, module: torch.nn.Module) -> None:
    """Raise ModelBrokenError where a part has fewer weights on disk than in memory.

    The loaders fill such gaps with random numbers, and only mention it in a log. Numbers are counted, not names: names
    change between versions of the libraries, and one stored tensor may become several.
    """
    stored = sum(count_weights(path) for path in folder.glob("*.safetensors"))
    needed = sum(parameter.numel() for parameter in module.parameters())
    if stored < needed:
        raise ModelBrokenError(
            f"model {model.name!r}: {part} of {model.location} has {stored:,} of {needed:,} weights. Copy it again."
        )


def count_weights(path: Path, *, without: str = "\0") -> int:
    """Return how many numbers a safetensors file holds, tensors whose name ends in `without` left out."""
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if not name.endswith(without)]  # noqa: SIM118 -- not a dict
        slices = [file.get_slice(name) for name in names]
        return sum(math.prod(each.get_shape()) for each in slices if each.get_dtype()[0] in "FB")


def _read_defaults(model: ModelReference, folder: Path) -> Defaults:
    path = folder / DEFAULTS_FILE
    if not path.exists():
        return Defaults()
    try:
        return Defaults.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the file"
        raise ModelBrokenError(f"model {model.name!r}: {DEFAULTS_FILE}, {where}: {problem['msg']}") from error
