"""Fixtures of all tests. Nothing here touches the database unless a test asks for it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from django.utils import timezone
from easel.env import REPOSITORY
from easel.forms.services import load_gallery
from pytest_django import DjangoDbBlocker, Settings
from rest_framework.test import APIClient

from generation.storage import MODEL_PATH_VARIABLE
from tests.cast import Cast, client_of, make_cast, make_model_folder


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let the long forms of the tests take their time; every other test that hangs fails after some minutes."""
    if os.environ.get("EASEL_LONG_FAULTS"):
        config.option.timeout = 0


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    """Hash passwords quickly: the true hasher takes half a second on purpose."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The database, with the gallery in it: read once, not once a test."""
    with django_db_blocker.unblock():
        load_gallery(timezone.now())


@pytest.fixture
def model_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models with the model `painter` in it, where the registry looks."""
    root = tmp_path / "models"
    make_model_folder(root / "painter")
    monkeypatch.setenv(MODEL_PATH_VARIABLE, str(root))
    return root


@pytest.fixture
def storage_folder(tmp_path: Path, settings: Settings) -> Path:
    """An empty storage of the test's own."""
    folder = tmp_path / "storage"
    settings.STORAGE_URL = folder.as_uri()
    return folder


@pytest.fixture
def cast(db: None, model_folders: Path, storage_folder: Path) -> Cast:
    """Everybody, in a transaction that is rolled back."""
    return make_cast()


@pytest.fixture
def committed_cast(transactional_db: None, model_folders: Path, storage_folder: Path) -> Cast:
    """Everybody, committed: for tests with several connections or processes."""
    return make_cast()


@pytest.fixture
def alice(cast: Cast) -> APIClient:
    """The owner's API client."""
    return client_of(cast.alice)


@pytest.fixture
def bob(cast: Cast) -> APIClient:
    """The annotator's API client."""
    return client_of(cast.bob)


@pytest.fixture
def charlie(cast: Cast) -> APIClient:
    """The stranger's API client."""
    return client_of(cast.charlie)


@pytest.fixture
def environment_of_tests(settings: Settings, tmp_path: Path) -> dict[str, str]:
    """The environment in which a process of its own sees the database, broker, storage and models of the test."""
    database = settings.DATABASES["default"]
    user = f"{quote(database['USER'])}:{quote(database['PASSWORD'])}@" if database["USER"] else ""
    host = quote(str(database["HOST"]), safe="")
    port = f"&port={database['PORT']}" if database["PORT"] else ""
    return {
        **os.environ,
        "DATABASE_URL": f"postgresql://{user}/{database['NAME']}?host={host}{port}",
        "BROKER_URL": settings.CELERY_BROKER_URL,
        "STORAGE_URL": settings.STORAGE_URL,
        "EASEL_HOME": str(tmp_path / "home"),
        "EASEL_SECRET_KEY": settings.SECRET_KEY,
        "DJANGO_SETTINGS_MODULE": "easel.settings",
        "PYTHONPATH": f"{REPOSITORY / 'platform'}{os.pathsep}{REPOSITORY}",
    }
