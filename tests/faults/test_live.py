"""Live mode on real processes: from the press to the images, an image that is varied, and a press while others run."""

from __future__ import annotations

import pytest
from easel.images.models import Candidate
from easel.registry.models import ModelVersion

from tests import live
from tests.cast import Cast, client_of
from tests.faults.processes import Nursery, sweeping, wait_for

pytestmark = [
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("platform_worker"),
]


def test_a_press_brings_the_first_image_alone_then_all_and_one_of_them_is_varied(
    committed_cast: Cast, tiny: ModelVersion, renderers: Nursery
) -> None:
    project, bob = live.go_live(committed_cast.project), client_of(committed_cast.bob)
    renderers.renderer()
    settings = {"steps": 6, "size": [64, 64]}
    attempt = live.ask(bob, project, "a fox", painter=str(tiny.pk), settings=settings)
    wait_for(sweeping(lambda: live.look(bob, attempt)["assignment"]), "the images and their item", renderers.log)
    told = live.look(bob, attempt)
    assert len(told["assignment"]["item"]["candidates"]) == 4
    first, *others = Candidate.objects.filter(request__pk=attempt).order_by("position")
    assert first.created_at < min(one.created_at for one in others), "it came before the others"
    assert (first.manifest["batch"], first.width) == (1, 64)
    assert live.submit(bob, told).status_code == 201

    # Nobody rings twice here: the bell of the second attempt is heard by itself.
    varied = live.ask(bob, project, "a fox", painter=str(tiny.pk), settings=settings, vary=str(others[1].pk))
    wait_for(lambda: live.look(bob, varied)["assignment"], "the varied images", renderers.log)
    made = list(Candidate.objects.filter(request__pk=varied))
    assert {(one.manifest["strength"], one.manifest["conditioning"]["image"]) for one in made} == {(0.7, others[1].key)}
    assert len({one.sha256 for one in (*made, *others, first)}) == 8


def test_a_press_while_images_are_made_stops_them_and_keeps_the_attempt(
    committed_cast: Cast, tiny: ModelVersion, renderers: Nursery
) -> None:
    project, bob = live.go_live(committed_cast.project), client_of(committed_cast.bob)
    renderers.renderer()
    slow = {"steps": 150, "size": [128, 128]}
    first = live.ask(bob, project, "a fox", painter=str(tiny.pk), settings=slow)
    wait_for(sweeping(lambda: live.look(bob, first)["progress"]["step"]), "a step", renderers.log)
    assert live.look(bob, first)["progress"]["steps"] == 150
    second = live.ask(bob, project, "a hen", painter=str(tiny.pk), settings={"steps": 2})
    wait_for(lambda: live.look(bob, second)["assignment"], "the second attempt", renderers.log)
    told = live.look(bob, first)
    assert (told["state"], told["outcome"]) == ("cancelled", "waiting")
    assert [one["id"] for one in live.attempts(bob, project)] == [second, first]
