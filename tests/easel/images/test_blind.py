"""Ranking is blind: nothing that an annotator gets tells which model made an image, from which seed, or when."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.models import Assignment
from easel.evaluation.services import start_evaluation
from easel.images.models import Candidate
from easel.registry.models import ModelVersion
from easel.registry.services import register_folder
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast, browser_of, client_of, make_model_folder

SEEDS = [271828182, 314159265]


@pytest.fixture
def compared(cast: Cast, model_folders: Path) -> list[Candidate]:
    """Images of three models for six prompts, made one model after the other."""
    models = []
    for name in ("Zinnober", "Indigo"):
        make_model_folder(model_folders / name.lower())
        models.append(register_folder(name, name.lower(), "Apache-2.0", timezone.now()))
    prompts = stage.make_prompts(cast.project, *(f"an icon of {n} pears" for n in range(6)))
    stage.generate(cast, prompts, 2, seeds=SEEDS, compared=models)
    stage.work_off()
    gather(timezone.now(), cast.project)
    made = list(Candidate.objects.of_project(cast.project).order_by("created_at", "position"))
    assert len(made) == 6 * 2 * 3 and len({one.model_id for one in made}) == 3
    return made


def test_nothing_tells_that_a_comparison_judges_two_models(cast: Cast, compared: list[Candidate]) -> None:
    """An evaluation's items look like all others: neither the models, nor that there is an evaluation, can be read."""
    prompts = stage.make_prompts(cast.project, *(f"an icon of {n} plums" for n in range(3)))
    zinnober, indigo = (ModelVersion.objects.get(name=name) for name in ("Zinnober", "Indigo"))
    evaluation = start_evaluation(cast.project, cast.alice, timezone.now(), a=zinnober, b=indigo, prompts=prompts)
    stage.work_off()
    gather(timezone.now(), cast.project)
    secrets = secrets_of(list(Candidate.objects.of_project(cast.project))) | {str(evaluation.pk), "evaluation"}
    got = everything_bob_gets(cast)
    shown = [body.decode() for kind, _, _, body in got if kind == "json" and body]
    assert sum("plums" in body for body in shown) >= 3, "bob is given the comparisons"
    for kind, address, headers, body in got:
        told = address + json.dumps(headers) + ("" if kind == "image" else body.decode())
        assert not [secret for secret in secrets if secret in told], (kind, address)
    sides = [
        [str(pk) for pk in one.shown_order].index(str(one.item.candidates.get(model=indigo).pk))
        for one in Assignment.objects.filter(item__request=evaluation.request_id)
    ]
    assert len(sides) == 3 and set(sides) <= {0, 1}
    assert client_of(cast.bob).get(f"{API}/evaluations/{evaluation.pk}/").status_code == 403


def secrets_of(candidates: list[Candidate]) -> set[str]:
    """Return every text that would tell something."""
    found = {"Painter", "Zinnober", "Indigo", "DDIMScheduler", '"seed', "model_sha256"}
    for one in candidates:
        found |= {
            str(one.seed),
            str(one.model_id),
            one.key,
            one.sha256,
            one.preview_key or one.key,
            str(one.request_id),
        }
        found |= {str(one.chunk_id), one.created_at.isoformat(), str(one.size) + " bytes"}
    return found


def everything_bob_gets(cast: Cast) -> list[tuple[str, str, dict[str, str], bytes]]:
    """Walk through all items as an annotator does; return each answer with its address and headers."""
    api, browser = client_of(cast.bob), browser_of(cast.bob)
    page = browser.get(f"/projects/{cast.project.pk}/rank/")
    got = [("page", "rank", dict(page.items()), page.content)]
    answer: Any = api.post(f"{API}/projects/{cast.project.pk}/assignments/", {})
    while answer.status_code != 204 and answer.json():
        got.append(("json", "assignment", dict(answer.items()), answer.content))
        work = answer.json().get("next", answer.json())
        if work is None:
            break
        for one in work["item"]["candidates"]:
            image: Any = browser.get(one["url"])
            got.append(("image", one["url"], dict(image.items()), b"".join(image.streaming_content)))
        ranking = [[one["id"]] for one in work["item"]["candidates"]]
        body = {"answers": {"ranking": ranking}, "active_ms": 900}
        answer = api.put(f"{API}/assignments/{work['id']}/annotation/", body)
    return got


def test_no_text_that_an_annotator_gets_names_model_seed_or_file(cast: Cast, compared: list[Candidate]) -> None:
    got = everything_bob_gets(cast)
    assert sum(kind == "image" for kind, *_ in got) == len(compared)
    compared = list(Candidate.objects.of_project(cast.project))  # with their previews' keys
    for kind, address, headers, body in got:
        told = address + json.dumps(headers) + ("" if kind == "image" else body.decode())
        for secret in secrets_of(compared):
            assert secret not in told, (kind, secret)
        if kind == "image":
            assert not any(secret.encode() in body for secret in secrets_of(compared))


def test_the_answers_with_images_differ_in_nothing_but_the_image(cast: Cast, compared: list[Candidate]) -> None:
    images = [(headers, body) for kind, _, headers, body in everything_bob_gets(cast) if kind == "image"]
    assert {json.dumps(headers, sort_keys=True) for headers, _ in images} == {json.dumps(images[0][0], sort_keys=True)}
    headers = images[0][0]
    assert headers["Content-Disposition"] == 'inline; filename="image.webp"'
    assert not {"ETag", "Last-Modified"} & headers.keys()
    assert {len(body) for _, body in images} == {8 * 1024}  # icons of one size, whoever painted them
    assert int(headers["Content-Length"]) == 8 * 1024


def test_ids_do_not_tell_which_image_was_made_first(cast: Cast, compared: list[Candidate]) -> None:
    moments = {one.pk.int >> 80 for one in compared}
    assert len(moments) == 1  # the request's own moment: the rest of each id is chance
    assert {one.pk.version for one in compared} == {7}
    # Were ids in the order of their making, the first third of them would be the first model's.
    by_id = [one.model_id for one in sorted(compared, key=lambda one: one.pk)]
    by_time = [one.model_id for one in compared]
    assert by_id != by_time
    thirds = [set(by_id[start : start + 12]) for start in (0, 12, 24)]
    assert any(len(third) > 1 for third in thirds)


def test_ids_of_one_model_do_not_tell_the_order_of_its_seeds(cast: Cast) -> None:
    stage.generate(cast, stage.make_prompts(cast.project, "a pear"), 24)
    stage.work_off()
    by_id = Candidate.objects.of_project(cast.project).order_by("id").values_list("position", flat=True)
    assert list(by_id) not in (sorted(by_id), sorted(by_id, reverse=True))


def test_the_json_of_an_assignment_has_these_keys_and_no_others(cast: Cast, compared: list[Candidate]) -> None:
    work = client_of(cast.bob).post(f"{API}/projects/{cast.project.pk}/assignments/", {}).json()
    assert work.keys() == {"id", "expires_at", "template_version", "item", "draft"}
    assert work["item"].keys() == {"id", "prompt", "candidates", "sensitive"}
    assert all(one.keys() == {"id", "url", "width", "height"} for one in work["item"]["candidates"])
    assert {(one["width"], one["height"]) for one in work["item"]["candidates"]} == {(16, 16)}
    assert all(one["url"] == f"/images/{UUID(one['id'])}/" for one in work["item"]["candidates"])


def test_no_other_address_tells_an_annotator_more(cast: Cast, compared: list[Candidate]) -> None:
    one = compared[0]
    bob: APIClient = client_of(cast.bob)
    for address in (
        f"/images/{one.pk}/download/",
        f"{API}/generations/{one.request_id}/",
        f"{API}/generations/{one.request_id}/candidates/",
        f"{API}/projects/{cast.project.pk}/generations/",
        f"{API}/projects/{cast.project.pk}/annotations/",
        f"{API}/projects/{cast.project.pk}/export/",
    ):
        assert bob.get(address).status_code == 403, address
    shown = bob.get(f"/images/{one.pk}/?download=1")
    assert not re.search("png", str(shown.headers))
