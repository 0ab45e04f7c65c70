"""A tiny real model in a model folder, an image storage, and requests for them."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import UUID, uuid5

import pytest

from generation.env import quieten_libraries
from generation.storage import MODEL_PATH_VARIABLE, Storage
from generation.types import (
    AdapterReference,
    ImageSlot,
    Lease,
    ModelReference,
    RenderedImage,
    RenderPrompt,
    RenderRequest,
    RenderSettings,
    WeightsReference,
)

os.environ.setdefault("OMP_NUM_THREADS", "1")
quieten_libraries(hub_download=False)

import torch  # noqa: E402 -- the two lines above must come first

from generation.engine import Engine  # noqa: E402
from tests.generation.tiny import (  # noqa: E402
    save_tiny_adapter,
    save_tiny_controlnet,
    save_tiny_flux_model,
    save_tiny_model,
    save_tiny_pixart_model,
    save_tiny_sd3_model,
    save_tiny_xl_model,
)

torch.set_num_threads(1)
gc.collect()
gc.freeze()  # as the worker does

Ask = Callable[..., RenderRequest]
Render = Callable[..., dict[tuple[str, int], RenderedImage]]


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with the tiny models. Only for reading: all tests share it."""
    folder = tmp_path_factory.mktemp("models")
    save_tiny_model(folder / "tiny")
    save_tiny_model(folder / "second", seed=1)
    save_tiny_model(folder / "third", seed=2)
    save_tiny_xl_model(folder / "xl")
    save_tiny_sd3_model(folder / "sd3")
    save_tiny_flux_model(folder / "flux")
    save_tiny_pixart_model(folder / "pixart")
    for family in ("tiny", "xl", "sd3", "flux"):
        save_tiny_controlnet(folder / f"{family}-control", family)
        save_tiny_adapter(folder / f"{family}-lora", folder / family)
    save_tiny_adapter(folder / "tiny-lora-2", folder / "tiny", seed=1)
    return folder


@pytest.fixture
def models(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shared model folder, named in this test's environment."""
    monkeypatch.setenv(MODEL_PATH_VARIABLE, str(tiny_models))
    return tiny_models


@pytest.fixture
def own_models(tmp_path: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder, with a copy of `folder:tiny` in it, that this test may spoil."""
    folder = tmp_path / "models"
    shutil.copytree(tiny_models / "tiny", folder / "tiny")
    monkeypatch.setenv(MODEL_PATH_VARIABLE, str(folder))
    return folder


@pytest.fixture(scope="session")
def shared_engine() -> Engine:
    """An engine that many tests use, one after another, as a worker's does with jobs."""
    return Engine(models_kept=8)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """An empty image storage."""
    return Storage((tmp_path / "storage").as_uri())


@pytest.fixture
def ask(request: pytest.FixtureRequest, storage: Storage) -> Ask:
    """Return a maker of requests for the tiny model: prompts to seeds."""

    if "own_models" not in request.fixturenames:
        request.getfixturevalue("models")

    def make(
        prompts: dict[str, Iterable[int]], model: ModelReference | None = None, **settings: object
    ) -> RenderRequest:
        return RenderRequest(
            lease=Lease(job=id_of("job"), token=id_of("token"), attempt=1),
            lane="batch",
            model=model or reference("tiny"),
            settings=RenderSettings.model_validate(settings),
            prompts=tuple(
                RenderPrompt(
                    id=id_of(text),
                    text=text,
                    slots=tuple(ImageSlot(position=position, seed=seed) for position, seed in enumerate(seeds)),
                )
                for text, seeds in prompts.items()
            ),
            storage_url=storage.url,
        )

    return make


@pytest.fixture
def render(storage: Storage, shared_engine: Engine) -> Render:
    """Return a function that renders a request and gives its images by prompt text and position."""

    def run(request: RenderRequest, engine: Engine | None = None) -> dict[tuple[str, int], RenderedImage]:
        texts = {prompt.id: prompt.text for prompt in request.prompts}
        found: dict[tuple[str, int], RenderedImage] = {}

        def collect(images: tuple[RenderedImage, ...]) -> None:
            for image in images:
                assert (texts[image.prompt], image.position) not in found, "an image was reported twice"
                found[texts[image.prompt], image.position] = image

        (engine or shared_engine).render(request, storage, on_images=collect)
        return found

    return run


def reference(name: str, sha256: str | None = None) -> ModelReference:
    """Return the registry's reference to a model folder."""
    return ModelReference(id=id_of(name), name=name.capitalize(), location=f"folder:{name}", sha256=sha256)


def weights(name: str, sha256: str | None = None) -> WeightsReference:
    """Return the registry's reference to a ControlNet's folder."""
    return WeightsReference(id=id_of(name), name=name.capitalize(), location=f"folder:{name}", sha256=sha256)


def adapter(name: str, scale: float = 1.0, sha256: str | None = None) -> AdapterReference:
    """Return the registry's reference to an adapter's folder."""
    return AdapterReference(**weights(name, sha256).model_dump(), scale=scale)


def id_of(name: str) -> UUID:
    """Return the same id for the same name."""
    return uuid5(UUID(int=0), name)
