"""The environment of the processes that tests of faults start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from easel.embedded.commands import WEB_WORKER
from pytest_django import Settings

from generation.storage import MODEL_PATH_VARIABLE
from tests.cast import Cast
from tests.faults.processes import running


@pytest.fixture
def environment(
    committed_cast: Cast,  # first: it settles where the storage is
    environment_of_tests: dict[str, str],
    model_folders: Path,
    settings: Settings,
) -> dict[str, str]:
    """The processes' environment, with a tiny real model in the model folder and short leases."""
    from tests.generation.tiny import save_tiny_model  # torch takes seconds to import, and most tests need none

    save_tiny_model(model_folders / "tiny")
    settings.CHUNK_IMAGES = 4
    return {
        **environment_of_tests,
        MODEL_PATH_VARIABLE: str(model_folders),
        "EASEL_JOB_LEASE_SECONDS": "3",
        "EASEL_HEARTBEAT_SECONDS": "0.5",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def renderer_environment(environment: dict[str, str]) -> dict[str, str]:
    """What `./run up` gives a renderer: no database, no key."""
    secret = {"DATABASE_URL", "EASEL_SECRET_KEY", "DJANGO_SETTINGS_MODULE"}
    return {name: value for name, value in environment.items() if name not in secret}


@pytest.fixture
def platform_worker(environment: dict[str, str], tmp_path: Path) -> Iterator[None]:
    """The platform's own Celery worker."""
    with running(WEB_WORKER, environment, tmp_path / "web.log"):
        yield
