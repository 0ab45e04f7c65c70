"""Render a candidate again from its manifest and compare: `python -m generation.verify --help`.

On the CPU, with the same library versions and threads, every pixel must be the same; elsewhere the mean difference must
stay within TOLERANCE. Exit status: 0 the same, 1 different, 2 it could not be rendered again.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
from PIL import Image, UnidentifiedImageError
from pydantic import ValidationError

from generation import fetched
from generation.env import quieten_libraries
from generation.errors import RenderError
from generation.storage import Storage, StorageError
from generation.types import (
    ImageSlot,
    Lease,
    Manifest,
    ModelReference,
    RenderedImage,
    RenderPrompt,
    RenderRequest,
    RenderSettings,
)
from generation.writing import Pixels

if TYPE_CHECKING:
    from generation.engine import Engine  # seconds of imports that --help does without

TOLERANCE = 2.0
"""Mean absolute difference in 8-bit levels. Of the built-in model, bf16 instead of float32 makes at most 0.6, and
another seed at least 9."""

_NOBODY = UUID(int=0)


class CannotVerifyError(Exception):
    """There is nothing to compare; the message says why."""


@dataclass(frozen=True)
class Comparison:
    """How an image and what was rendered again from its manifest differ."""

    same: bool
    """Bitwise where that is promised, else within TOLERANCE."""
    bitwise: bool
    """Every pixel is the same."""
    mean_difference: float
    """Mean absolute difference of the channels, in levels of 255."""
    max_difference: int
    notes: list[str]
    """What differs in the circumstances, and in the images."""


def verify(manifest: Manifest, content: bytes, pictures: Storage, engine: Engine) -> Comparison:
    """Render the image of `manifest` again and compare it with the file `content`.

    pictures: where the pictures lie that the image started from. Raises CannotVerifyError or a RenderError.
    """
    try:
        theirs = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise CannotVerifyError(f"the image to compare with is no whole image file: {error}") from error
    notes = circumstances(manifest, engine)
    ours = render_again(manifest, pictures, engine)
    if ours.shape != theirs.shape:
        notes.append(f"the size: {theirs.shape[1]} x {theirs.shape[0]}, now {ours.shape[1]} x {ours.shape[0]} pixels")
        return Comparison(same=False, bitwise=False, mean_difference=255.0, max_difference=255, notes=notes)
    difference = np.abs(ours.astype(np.int16) - theirs)
    mean, most = float(difference.mean()), int(difference.max())
    promised = not notes and engine.device.type == "cpu"
    if most:
        where = int((difference.max(axis=-1) > 0).sum())
        notes.append(f"{where:,} of {ours.shape[0] * ours.shape[1]:,} pixels differ")
    same = most == 0 if promised else mean <= TOLERANCE
    return Comparison(same=same, bitwise=most == 0, mean_difference=mean, max_difference=most, notes=notes)


def circumstances(manifest: Manifest, engine: Engine) -> list[str]:
    """Return what is not as it was when the image was rendered: with anything here, the bits may differ."""
    import torch

    from generation.engine import VERSIONS

    now = {
        "device": (manifest.device, engine.name),
        **{library: (manifest.versions.get(library, "unknown"), version) for library, version in VERSIONS.items()},
    }
    if engine.device.type == "cpu":
        now["threads"] = (str(manifest.threads), str(torch.get_num_threads()))
    return [f"{what}: {before}, now {after}" for what, (before, after) in now.items() if before != after]


def render_again(manifest: Manifest, pictures: Storage, engine: Engine) -> Pixels:
    """Return what the manifest's model makes now, (height, width, 3).

    A batch of the same size is rendered, full of this one image: what the neighbours are does not matter to the bits,
    how many they are does. Raises CannotVerifyError or a RenderError.
    """
    with tempfile.TemporaryDirectory(prefix="easel-verify-") as folder:
        storage = Storage(Path(folder).as_uri())
        request = _request(manifest, storage)
        try:
            if manifest.conditioning is not None:
                for key in filter(None, (manifest.conditioning.image, manifest.conditioning.mask)):
                    storage.put(pictures.read(key), key.rpartition(".")[2])
            for adapter in manifest.adapters:
                if adapter.location.startswith(fetched.PREFIX):
                    key = adapter.location.removeprefix(fetched.PREFIX)
                    storage.put(pictures.read(key), key.rpartition(".")[2])
        except StorageError as error:
            raise CannotVerifyError(f"a file that the image was made with cannot be read: {error}") from error
        made: list[RenderedImage] = []
        engine.render(request, storage, on_images=made.extend)
        return np.asarray(Image.open(io.BytesIO(storage.read(made[0].key))).convert("RGB"))


def _request(manifest: Manifest, storage: Storage) -> RenderRequest:
    if manifest.service is not None:
        raise CannotVerifyError(f"{manifest.service.service} made the image; a service cannot be asked for it again")
    if not manifest.model_location or not manifest.prompt or manifest.seed is None:
        raise CannotVerifyError("the manifest lacks the model's location, the prompt or the seed")
    from_a_picture = manifest.conditioning is not None
    return RenderRequest(
        lease=Lease(job=_NOBODY, token=_NOBODY, attempt=1),
        lane="batch",
        model=ModelReference(
            id=_NOBODY,
            name=manifest.model,
            location=manifest.model_location,
            sha256=manifest.model_sha256,
            adapters=manifest.adapters,
            controlnet=manifest.controlnet,
        ),
        settings=RenderSettings(
            steps=manifest.steps,
            guidance_scale=manifest.guidance_scale,
            width=None if from_a_picture else manifest.width,  # there the picture says it
            height=None if from_a_picture else manifest.height,
            scheduler=manifest.requested_scheduler,
            strength=manifest.strength,
            control_scale=manifest.control_scale,
        ),
        prompts=(
            RenderPrompt(
                id=_NOBODY,
                text=manifest.prompt,
                negative=manifest.negative,
                conditioning=manifest.conditioning,
                slots=tuple(ImageSlot(position=at, seed=manifest.seed) for at in range(manifest.batch)),
            ),
        ),
        storage_url=storage.url,
    )


def main(arguments: list[str] | None = None) -> int:
    """Print what differs and return the exit status."""
    options = _read(arguments)
    quieten_libraries(hub_download=options.hub_download)
    try:
        manifest = Manifest.model_validate_json(options.manifest.read_bytes())
        pictures = Storage(options.storage) if options.storage else Storage(Path.cwd().as_uri())
        content = options.image.read_bytes() if options.image else pictures.read(options.key)
        comparison = verify(manifest, content, pictures, _engine(manifest, hub_download=options.hub_download))
    except (CannotVerifyError, StorageError) as error:
        return _give_up("cannot_verify", error)
    except RenderError as error:
        return _give_up(error.code, error)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the file"
        return _give_up("cannot_verify", f"{options.manifest}, {where}: {problem['msg']}")
    except OSError as error:
        return _give_up("cannot_verify", f"{error.filename}: {error.strerror}")
    if options.json:
        sys.stdout.write(json.dumps(asdict(comparison)) + "\n")
    else:
        for note in comparison.notes:
            sys.stdout.write(f"{note}\n")
        verdict = "every pixel is the same" if comparison.bitwise else (
            f"the mean difference is {comparison.mean_difference:.3f} of 255 levels, the greatest "
            f"{comparison.max_difference}; {'within' if comparison.same else 'not within'} what is promised"
        )  # fmt: skip
        sys.stdout.write(f"{'same' if comparison.same else 'DIFFERENT'}: {verdict}\n")
    return 0 if comparison.same else 1


def _engine(manifest: Manifest, *, hub_download: bool) -> Engine:
    """Return an engine as much like the one that made the image as this machine allows."""
    import torch

    from generation.engine import Engine

    if manifest.device == "cpu":
        torch.set_num_threads(manifest.threads)
    device = torch.device("cpu") if manifest.device == "cpu" else None
    return Engine(device=device, batch=manifest.batch, hub_download=hub_download)


def _give_up(code: str, reason: object) -> int:
    sys.stderr.write(f"{code}: {reason}\n")
    return 2


def _read(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m generation.verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manifest", type=Path, required=True, help="JSON file with the candidate's manifest")
    parser.add_argument("--image", type=Path, help="the candidate's file")
    parser.add_argument("--storage", metavar="URL", help="the image storage, for --key and for starting pictures")
    parser.add_argument("--key", help="the candidate's key in the storage, instead of --image")
    parser.add_argument("--hub-download", action="store_true", help="fetch a hub: model that is not here yet")
    parser.add_argument(
        "--json", action="store_true", help="print same, bitwise, mean_difference, max_difference and notes as JSON"
    )
    options = parser.parse_args(arguments)
    if (options.image is None) == (options.key is None) or (options.key and not options.storage):
        parser.error("give either --image, or --storage and --key")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
