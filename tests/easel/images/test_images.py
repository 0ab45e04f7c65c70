"""Images are served to the members of their project, and to nobody else."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from easel.images.models import Candidate
from PIL import Image
from pytest_django import Settings
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import Cast, browser_of, client_of


@pytest.fixture
def candidate(cast: Cast) -> Candidate:
    """One image of the project."""
    stage.make_items(cast, 1)
    return Candidate.objects.of_project(cast.project)[0]


def test_a_member_gets_the_very_pixels_that_the_worker_stored(
    cast: Cast, candidate: Candidate, storage_folder: Path
) -> None:
    answer: Any = browser_of(cast.bob).get(f"/images/{candidate.pk}/")
    shown = Image.open(io.BytesIO(b"".join(answer.streaming_content)))
    stored = Image.open(storage_folder / candidate.key)
    assert shown.convert("RGB").tobytes() == stored.convert("RGB").tobytes()  # a small icon loses nothing
    assert answer["Content-Type"] == "image/webp"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"].startswith("private")
    assert candidate.key not in str(answer.headers)


def test_behind_nginx_the_bytes_do_not_pass_through_python(
    cast: Cast, candidate: Candidate, settings: Settings
) -> None:
    settings.MEDIA_ACCEL = "/protected"
    answer = browser_of(cast.bob).get(f"/images/{candidate.pk}/")
    candidate.refresh_from_db()
    assert candidate.preview_key.endswith(".webp")
    assert answer["X-Accel-Redirect"] == f"/protected/{candidate.preview_key}"
    assert answer.content == b""
    assert browser_of(cast.charlie).get(f"/images/{candidate.pk}/").status_code == 404


def test_a_file_that_is_gone_is_not_found(cast: Cast, candidate: Candidate, storage_folder: Path) -> None:
    (storage_folder / candidate.key).unlink()
    assert browser_of(cast.bob).get(f"/images/{candidate.pk}/").status_code == 404


@pytest.mark.parametrize("path", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/x", "x", "0" * 64])
def test_no_path_leads_to_a_file(cast: Cast, candidate: Candidate, path: str) -> None:
    assert browser_of(cast.bob).get(f"/images/{path}/").status_code == 404


def test_the_address_that_the_api_names_is_the_images(cast: Cast, candidate: Candidate, alice: APIClient) -> None:
    listed = alice.get(f"/api/v1/generations/{candidate.request_id}/candidates/").json()["results"]
    address = next(one["url"] for one in listed if one["id"] == str(candidate.pk))
    assert browser_of(cast.alice).get(address).status_code == 200
    assert client_of(cast.alice).get(address).status_code == 200  # scripts have a token and no session
