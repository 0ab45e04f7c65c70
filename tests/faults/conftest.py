"""The environment of the processes that tests of faults start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from easel.embedded.commands import WEB_WORKER
from easel.env import REPOSITORY
from easel.registry.models import ModelVersion
from easel.registry.services import register_folder
from pytest_django import Settings

from generation.storage import MODEL_PATH_VARIABLE
from tests.cast import Cast
from tests.faults.processes import Nursery, nursery, running


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


@pytest.fixture(scope="session")
def kept_nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """One nursery for all tests: it loads torch once. Two images a batch, so a chunk of four has two records."""
    secret = {"DATABASE_URL", "EASEL_SECRET_KEY", "DJANGO_SETTINGS_MODULE"}
    environment = {name: value for name, value in os.environ.items() if name not in secret} | {
        "BROKER_URL": django_settings.CELERY_BROKER_URL,
        "EASEL_HEARTBEAT_SECONDS": "0.5",
        "EASEL_RENDER_BATCH": "2",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": f"{REPOSITORY / 'platform'}{os.pathsep}{REPOSITORY}",
    }
    with nursery(environment, tmp_path_factory.mktemp("nursery") / "render.log") as found:
        yield found


@pytest.fixture
def renderers(kept_nursery: Nursery, model_folders: Path) -> Iterator[Nursery]:
    """Starts renderers that know this test's models, and kills them after it."""
    yield kept_nursery
    kept_nursery.stop_all()


@pytest.fixture
def tiny(committed_cast: Cast, environment: dict[str, str]) -> ModelVersion:
    """The registered tiny model."""
    return register_folder("Tiny", "tiny", "", committed_cast.project.created_at)
