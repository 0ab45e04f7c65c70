"""Every address x every kind of caller. A route without a row fails, and so does a row without a route.

The rows stand in tests/easel/access/, an app a module. Each case is one real request in a savepoint of its own, so
that none sees what another did.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import override_settings
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from generation.storage import MODEL_PATH_VARIABLE
from tests import cast as stage
from tests.cast import make_cast
from tests.easel.access import APPS
from tests.easel.access.callers import CALLERS, Row
from tests.easel.access.world import World, make_world

MATRIX: dict[str, Row] = {name: row for app in APPS for name, row in app.ROWS.items()}


@pytest.fixture(scope="module")
def world(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One world for all cases: each is rolled back by itself, and the world after the last."""
    root = tmp_path_factory.mktemp("matrix")
    stage.make_model_folder(root / "models" / "painter")
    with (
        pytest.MonkeyPatch.context() as patch,
        override_settings(STORAGE_URL=(root / "storage").as_uri(), CHUNK_IMAGES=4),
        django_db_blocker.unblock(),
        transaction.atomic(),
    ):
        patch.setenv(MODEL_PATH_VARIABLE, str(root / "models"))
        picture = (root / "models" / "painter" / "model_index.json", "image/png")
        patch.setattr("easel.projects.template_views.preview_of", lambda key: picture)
        yield make_world(make_cast())
        transaction.set_rollback(True)


def arguments(name: str, world: World) -> list[Any]:
    """Return what an address of that name names: where its app does not say, the project."""
    named = {key: value for app in APPS for key, value in app.addresses(world).items()}
    return named.get(name, [world.cast.project.pk] if "projects/<uuid:pk>/" in routes()[name] else [])


def body(name: str, method: str, world: World) -> dict[str, Any]:
    """Return a body that somebody who may do it succeeds with."""
    if method not in {"POST", "PUT", "PATCH"}:
        return {}
    bodies = {key: value for app in APPS for key, value in app.bodies(world).items()}
    return bodies.get(name, {})


@cache
def routes() -> dict[str, str]:
    """Return every address of the URLconf by its name."""
    return dict(_walk(get_resolver().url_patterns))


def _walk(patterns: list[URLPattern | URLResolver], route: str = "", namespace: str = "") -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        here = route + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, here, f"{namespace}{pattern.namespace}:")
        else:
            yield f"{namespace}{pattern.name}", here


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert set(routes()) == set(MATRIX)
    assert len(MATRIX) == sum(len(app.ROWS) for app in APPS), "two apps have a row of the same name"


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(MATRIX))
def test_everybody_gets_what_the_matrix_says(name: str, world: World) -> None:
    clients = world.with_token if name.startswith("api:") else world.with_session
    address = reverse(name, args=arguments(name, world))
    found = {
        method: {caller: status(clients[caller], method, address, body(name, method, world)) for caller in CALLERS}
        for method in MATRIX[name]
    }
    assert found == MATRIX[name]
    caller = "anonymous" if name == "sign_in" else "admin"  # who is signed in is led away from there at once
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(MATRIX[name]):
        assert status(clients[caller], method, address, {}) == 405, method


def status(client: APIClient, method: str, address: str, data: dict[str, Any]) -> int:
    """Send one request and take back what it did, to the client too: signing out loses its cookies."""
    cookies = deepcopy(client.cookies)
    files = any(isinstance(value, SimpleUploadedFile) for value in data.values())
    kind = "json" if address.startswith("/api/") and not files else "multipart"
    with transaction.atomic():
        response = client.generic(method, address, **_encoded(client, data, kind))
        getattr(response, "getvalue", bytes)()  # a stream is read to its end
        transaction.set_rollback(True)
    client.cookies = cookies
    return int(response.status_code)


def _encoded(client: APIClient, data: dict[str, Any], kind: str) -> dict[str, Any]:
    content, content_type = client._encode_data(data, format=kind)  # type: ignore[attr-defined]
    return {"data": content, "content_type": content_type}
