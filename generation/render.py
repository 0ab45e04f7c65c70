"""Render a prompt from the command line, through the same engine as a worker: `python -m generation.render --help`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from uuid import UUID

from generation.api_renderer import ApiRenderer
from generation.env import quieten_libraries
from generation.errors import RenderError
from generation.renderers import Renderer, Renderers
from generation.services import read_services
from generation.storage import Storage
from generation.types import (
    ImageSlot,
    Lease,
    ModelReference,
    RenderedImage,
    RenderPrompt,
    RenderRequest,
    RenderSettings,
)

_NOBODY = UUID(int=0)  # no platform takes part, so nothing needs a real id


def main(arguments: list[str] | None = None) -> int:
    """Render into a folder, print one line per image (its file, its seed), and return the exit status."""
    options = _read(arguments)
    quieten_libraries(hub_download=options.hub_download)
    options.out.mkdir(parents=True, exist_ok=True)
    request = RenderRequest(
        lease=Lease(job=_NOBODY, token=_NOBODY, attempt=1),
        lane="live",
        model=ModelReference(id=_NOBODY, name=options.model, location=options.model),
        settings=RenderSettings(
            steps=options.steps,
            guidance_scale=options.guidance,
            width=options.width,
            height=options.height,
            scheduler=options.scheduler,
        ),
        prompts=tuple(
            RenderPrompt(
                id=UUID(int=number),
                text=text,
                negative=options.negative,
                slots=tuple(ImageSlot(position=at, seed=seed) for at, seed in enumerate(options.seed)),
            )
            for number, text in enumerate(options.prompt, 1)
        ),
        storage_url=options.out.absolute().as_uri(),
    )

    def show(images: tuple[RenderedImage, ...]) -> None:
        for image in images:
            seed = "no seed" if image.manifest.seed is None else f"seed {image.manifest.seed}"
            line = image.model_dump_json() if options.json else f"{options.out / image.key}\t{seed}"
            sys.stdout.write(f"{line}\n")

    def engine() -> Renderer:
        from generation.engine import Engine  # seconds of imports that --help and services do without

        return Engine(batch=options.batch, hub_download=options.hub_download)

    try:
        Renderers(engine, ApiRenderer(read_services())).render(request, Storage(request.storage_url), on_images=show)
    except RenderError as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        return 1
    return 0


def _read(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m generation.render", description=__doc__)
    parser.add_argument("--model", required=True, help="folder:NAME, hub:OWNER/NAME or api:NAME")
    parser.add_argument("--prompt", required=True, action="append", help="may be given several times")
    parser.add_argument("--negative", default="", help="what the image should not show")
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="one image per seed and prompt")
    parser.add_argument("--out", type=Path, required=True, help="folder for the PNG files")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--width", type=int, help="pixels")
    parser.add_argument("--height", type=int, help="pixels")
    parser.add_argument("--scheduler", default="default")
    parser.add_argument("--batch", type=int, help="images per call")
    parser.add_argument("--hub-download", action="store_true", help="fetch a hub: model that is not here yet")
    parser.add_argument("--json", action="store_true", help="print each image with its manifest as JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
