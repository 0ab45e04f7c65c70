"""Pictures that images start from: the prompt's own, else the request's, reach the worker."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from easel.images.models import GenerationRequest
from easel.projects.models import Project
from easel.prompts.models import ConditioningImage, Prompt
from rest_framework.test import APIClient

from generation.types import Conditioning, Margins
from tests import cast as stage
from tests.cast import API, Cast

KEY = f"ab/{'ab' * 32}.png"
MASK = f"cd/{'cd' * 32}.png"


def picture(cast: Cast, kind: str, project: Project | None = None, **others: Any) -> ConditioningImage:
    """Keep a picture, as an upload does."""
    return ConditioningImage.objects.create(
        project=project or cast.project, kind=kind, image_key=KEY, width=64, height=64, created_by=cast.alice,
        created_at=timezone.now(), **others,
    )  # fmt: skip


def ask(client: APIClient, cast: Cast, **body: Any) -> Any:
    """Ask for images."""
    return client.post(f"{API}/projects/{cast.project.pk}/generations/", {"model": "Painter", **body})


def test_a_prompts_own_picture_goes_before_the_requests(cast: Cast, alice: APIClient) -> None:
    fox, hen = stage.make_prompts(cast.project, "a fox", "a hen")
    inpaint = picture(cast, "inpaint", mask_key=MASK)
    outpaint = picture(cast, "outpaint", margins={"left": 8})
    Prompt.objects.filter(pk=hen.pk).update(conditioning=outpaint)
    made = ask(alice, cast, conditioning=str(inpaint.pk), settings={"strength": 0.5})
    assert made.status_code == 202
    assert GenerationRequest.objects.get().conditioning == inpaint
    assert {prompt.id: prompt.conditioning for prompt in stage.claim().prompts} == {
        fox.pk: Conditioning(kind="inpaint", image=KEY, mask=MASK),
        hen.pk: Conditioning(kind="outpaint", image=KEY, margins=Margins(left=8)),
    }


@pytest.mark.parametrize(
    ("kind", "chosen", "field", "words"),
    [
        (None, {"strength": 0.5}, "settings", "no prompt has one"),
        ("control", {"strength": 0.5}, "settings", "no prompt has one"),
        ("image", {"control_scale": 0.5}, "settings", "no prompt has one"),
        ("control", {}, "model", "Painter has no ControlNet"),
    ],
)
def test_what_nothing_would_use_is_refused(
    cast: Cast, alice: APIClient, kind: str | None, chosen: dict[str, float], field: str, words: str
) -> None:
    stage.make_prompts(cast.project, "a fox")
    start = {"conditioning": str(picture(cast, kind).pk)} if kind else {}
    refused = ask(alice, cast, settings=chosen, **start)
    assert (refused.status_code, list(refused.json()["fields"])) == (400, [field])
    assert words in refused.json()["detail"]
    assert not GenerationRequest.objects.exists()


def test_another_projects_picture_is_none_of_this_one(cast: Cast, alice: APIClient) -> None:
    stage.make_prompts(cast.project, "a fox")
    refused = ask(alice, cast, conditioning=str(picture(cast, "image", cast.foreign).pk))
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["conditioning"])
