"""Held-out prompts: kept for evaluations, by import or by hand, and never one that somebody ranked."""

from __future__ import annotations

import pytest
from django.utils import timezone
from easel.common.errors import Conflict, InvalidInput, NotFound
from easel.evaluation import holding
from easel.images.models import Candidate
from easel.prompts.models import Prompt
from easel.prompts.parsing import Rejected, parse_file
from easel.prompts.services import confirm_import, preview_import

from tests import cast as stage
from tests.cast import API, Cast, browser_of, client_of


def held(cast: Cast) -> set[str]:
    return set(Prompt.objects.held_out(cast.project).values_list("text", flat=True))


def test_a_column_of_a_file_holds_prompts_out(cast: Cast) -> None:
    content = b"prompt,held_out,style\na fox,yes,flat\na hen,,flat\nan owl,No,flat\na cat,perhaps,flat\n"
    preview = preview_import(cast.project, "p.csv", content, cast.alice, timezone.now())
    confirm_import(cast.project, preview.pk, timezone.now())
    assert held(cast) == {"a fox"} and Prompt.objects.get(text="a fox").metadata == {"style": "flat"}
    assert parse_file("p.csv", content, 2**20).rejected == [
        Rejected(5, "column 'held_out' says 'perhaps'; write yes or no, or leave it empty.")
    ]


def test_rest_holds_prompts_out_and_shows_it(cast: Cast) -> None:
    alice = client_of(cast.alice)
    body = {"prompts": [{"text": "a fox", "held_out": True}, "a hen", {"text": "a cat", "held_out": "yes"}]}
    answer = alice.post(f"{API}/projects/{cast.project.pk}/prompts/", body).json()
    assert answer == {"created": 2, "rejected": [{"row": 3, "reason": "held_out must be true or false"}]}
    shown = alice.get(f"{API}/projects/{cast.project.pk}/prompts/").json()["results"]
    assert {one["text"]: one["held_out"] for one in shown} == {"a fox": True, "a hen": False}


def test_rounds_of_images_leave_held_out_prompts_alone_unless_they_are_named(cast: Cast) -> None:
    prompts = stage.make_prompts(cast.project, "a fox", "a hen")
    Prompt.objects.filter(text="a fox").update(held_out=True)
    address = f"{API}/projects/{cast.project.pk}/generations/"
    client_of(cast.alice).post(address, {"model": "Painter", "images_per_prompt": 2})
    stage.work_off()
    assert set(Candidate.objects.values_list("prompt__text", flat=True)) == {"a hen"}
    client_of(cast.alice).post(address, {"model": "Painter", "images_per_prompt": 2, "prompts": [str(prompts[0].pk)]})
    stage.work_off()
    assert set(Candidate.objects.values_list("prompt__text", flat=True)) == {"a hen", "a fox"}


def test_a_prompt_that_was_ranked_is_never_held_out(cast: Cast) -> None:
    item, other = stage.make_items(cast, 2)
    stage.annotate(cast.project, cast.bob)
    with pytest.raises(Conflict, match="may have been trained on it"):
        holding.hold_out(cast.project, item.prompt_id, held_out=True)
    holding.hold_out(cast.project, other.prompt_id, held_out=True)
    assert held(cast) == {other.prompt.text}
    holding.hold_out(cast.project, other.prompt_id, held_out=False)
    assert not held(cast)
    with pytest.raises(NotFound):
        holding.hold_out(cast.foreign, item.prompt_id, held_out=True)


def test_a_share_is_held_out_by_chance_the_same_each_time_without_those_that_were_ranked(cast: Cast) -> None:
    stage.make_items(cast, 2)
    stage.annotate(cast.project, cast.bob, 2)
    stage.make_prompts(cast.project, *(f"a {n} fox" for n in range(18)))
    assert holding.hold_out_share(cast.project, 20) == 4
    first = held(cast)
    assert not any("apples" in text for text in first)
    assert holding.hold_out_share(cast.project, 20) == 0
    Prompt.objects.update(held_out=False)
    assert holding.hold_out_share(cast.project, 20) == 4 and held(cast) == first
    assert holding.hold_out_share(cast.project, 90) == 14
    for percent in (0, 91):
        with pytest.raises(InvalidInput, match="give 1 to 90 per cent"):
            holding.hold_out_share(cast.project, percent)


def test_the_page_shows_them_and_holds_out_and_releases(cast: Cast) -> None:
    (prompt,) = stage.make_prompts(cast.project, "a fox")
    alice = browser_of(cast.alice)
    address = f"/projects/{cast.project.pk}/prompts/"
    alice.post(f"{address}hold-out/", {"prompt": prompt.pk, "held_out": "yes"}, format="multipart")
    assert b"1 of them held out for evaluations" in alice.get(address).content
    alice.post(f"{address}hold-out/", {"prompt": prompt.pk, "held_out": "no"}, format="multipart")
    assert not held(cast)
    alice.post(f"{address}hold-out/", {"percent": "hundred"}, format="multipart")
    assert b"give 1 to 90 per cent" in alice.get(address).content
    assert alice.post(f"{address}hold-out/", {"prompt": "x"}, format="multipart").status_code == 404
