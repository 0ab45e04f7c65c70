"""Who may know how an image was made can take that along in its file."""

from __future__ import annotations

import io
from typing import Any

import pytest
from easel.common.pictures import open_picture
from easel.images.metadata import a1111, read_metadata
from easel.images.models import Candidate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from rest_framework.test import APIClient

from generation.types import Manifest
from tests import cast as stage
from tests.cast import Cast, browser_of, client_of
from tests.easel.images.test_metadata import tricky

TRICKY = 'a "red", apple\nSteps: 3, Sampler: none\n猫と, <lora:x:1>'


@pytest.fixture
def candidate(cast: Cast) -> Candidate:
    """An image whose prompt is hard to write down."""
    stage.generate(cast, stage.make_prompts(cast.project, TRICKY), 1)
    stage.work_off()
    return Candidate.objects.of_project(cast.project)[0]


def download(client: APIClient, candidate: Candidate) -> Any:
    """Ask for the file."""
    return client.get(f"/images/{candidate.pk}/download/")


def test_the_download_says_everything_in_two_languages_and_its_pixels_are_untouched(
    cast: Cast, candidate: Candidate, storage_folder: Any
) -> None:
    answer = download(client_of(cast.dave), candidate)
    content = b"".join(answer.streaming_content)
    assert answer["Content-Type"] == "image/png"
    assert int(answer["Content-Length"]) == len(content)
    assert answer["Content-Disposition"] == (
        f'attachment; filename="painter-{candidate.seed}-{candidate.pk.hex[-8:]}.png"'
    )
    image = open_picture("download.png", content)
    with Image.open(storage_folder / candidate.key) as stored:
        assert image.tobytes() == stored.tobytes()
    found = read_metadata(image)
    assert found is not None
    assert (found.generator, found.prompt, found.seed) == ("Easel", TRICKY, candidate.seed)
    assert (found.model_name, found.steps, found.sampler) == ("Painter", 20, "DDIMScheduler")
    assert Manifest.model_validate(found.extra["manifest"]) == Manifest.model_validate(candidate.manifest)
    others = a1111.read(image.info["parameters"])  # as any other program reads it
    assert (others.prompt, others.seed, others.steps, others.guidance) == (TRICKY, candidate.seed, 20, 5.0)
    assert others.model_hash == candidate.manifest["model_sha256"][:10]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(tricky.map(str.strip).filter(bool), tricky.map(str.strip), st.integers(-(2**63), 2**63 - 1))
def test_whatever_stands_in_a_prompt_comes_back(
    candidate: Candidate, cast: Cast, prompt: str, negative: str, seed: int
) -> None:
    type(candidate.prompt).objects.filter(pk=candidate.prompt_id).update(text=prompt, negative=negative)
    Candidate.objects.filter(pk=candidate.pk).update(seed=seed)
    browser = browser_of(cast.erin)
    found = read_metadata(Image.open(io.BytesIO(b"".join(download(browser, candidate).streaming_content))))
    assert found is not None
    assert (found.prompt, found.negative, found.seed) == (prompt, negative, seed)


def test_annotators_and_strangers_get_no_original(cast: Cast, candidate: Candidate) -> None:
    assert download(browser_of(cast.bob), candidate).status_code == 403
    assert download(browser_of(cast.charlie), candidate).status_code == 404
    assert download(APIClient(), candidate).status_code == 401


def test_a_file_that_is_gone_is_not_found(cast: Cast, candidate: Candidate, storage_folder: Any) -> None:
    (storage_folder / candidate.key).unlink()
    assert download(client_of(cast.alice), candidate).status_code == 404
