"""Simulated annotators rank as people do, are known as simulated everywhere, and are left out unless asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone
from easel.accounts.models import User
from easel.accounts.services import create_user
from easel.annotation.gathering import gather
from easel.annotation.models import Annotation, Assignment, Item, Record
from easel.common import jobs
from easel.common.errors import Conflict, InvalidInput
from easel.evaluation import simulation as simulated
from easel.evaluation.models import Score, Simulation
from easel.evaluation.scoring import claim_scores
from easel.snapshots import exports

from generation.types import Failure
from tests import cast as stage
from tests.cast import Cast
from tests.easel.evaluation.judging import WORKER, icons, measure_all


def start(cast: Cast, **options: object) -> Simulation:
    chosen = {"taste": "3d", "rankings": 4, "noise": 0.0, "annotators": 2} | options
    return simulated.start_simulation(cast.project, cast.alice, timezone.now(), **chosen)  # type: ignore[arg-type]


@pytest.fixture
def cast(cast: Cast, model_folders: Path) -> Cast:
    """The model of the project is the built-in one, which the judges know."""
    from dataclasses import replace

    return replace(cast, model=icons(model_folders))


def test_they_rank_what_their_judge_has_measured_by_what_they_like(cast: Cast) -> None:
    stage.make_items(cast, 4, images=4, colours=2**24)
    simulation = start(cast)
    assert simulated.advance(simulation, timezone.now()) == 0, "nothing is measured yet"
    assert measure_all() == 1
    assert simulated.advance(simulation, timezone.now()) == 4
    assert (simulation.state, simulation.done) == ("done", 4)
    for one in Annotation.objects.select_related("annotator", "assignment"):
        liked = Score.objects.of(one.assignment.shown_order, "taste")
        utility = {str(pk): values["is_3d"] + 0.25 * values["subject"] for pk, values in liked.items()}
        best = [max(utility[image] for image in group) for group in one.ranking]
        assert best == sorted(best, reverse=True)
        assert one.annotator.kind == User.Kind.SIMULATED and one.assignment.state == Assignment.State.SUBMITTED
    assert {one.annotator.username for one in Annotation.objects.select_related("annotator")} == {
        "simulated-3d-0-1", "simulated-3d-0-2",
    }  # fmt: skip
    assert Item.objects.filter(state=Item.State.DONE).count() == 4


def test_exports_leave_them_out_unless_asked_and_mark_them(cast: Cast) -> None:
    stage.make_items(cast, 2)
    stage.annotate(cast.project, cast.bob)
    simulated.advance(start(cast, taste="careless", rankings=1), timezone.now())
    assert [row["annotator_kind"] for row in exports.judgements(cast.project)] == ["human"]
    both = [row["annotator_kind"] for row in exports.judgements(cast.project, include_simulated=True)]
    assert sorted(both) == ["human", "simulated"]


def test_an_item_that_two_must_rank_is_ranked_by_two_of_them_and_by_nobody_twice(cast: Cast) -> None:
    cast.project.overlap = 2
    cast.project.save()
    stage.make_items(cast, 3)
    simulation = start(cast, taste="careless", rankings=6, annotators=3)
    assert simulated.advance(simulation, timezone.now()) == 6
    assert Item.objects.filter(state=Item.State.DONE).count() == 3
    assert len(set(Annotation.objects.values_list("item", "annotator"))) == 6


def test_they_end_when_nothing_is_left_and_say_so(cast: Cast) -> None:
    stage.make_items(cast, 2)
    simulation = start(cast, taste="careless", rankings=500)
    assert simulated.advance(simulation, timezone.now()) == 2
    assert (simulation.state, simulation.ended) == ("ended", "Nothing was left to rank after 2 of 500 rankings.")
    assert simulated.advance(simulation, timezone.now()) == 0


def test_they_wait_for_images_that_are_still_being_made(cast: Cast) -> None:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox"))
    simulation = start(cast, taste="careless", rankings=500)
    assert simulated.advance(simulation, timezone.now()) == 0
    assert simulation.state == "running"


def test_they_end_with_the_reason_where_images_cannot_be_measured(cast: Cast) -> None:
    stage.make_items(cast, 1)
    simulation = start(cast)
    simulated.advance(simulation, timezone.now())
    request = claim_scores(WORKER, timezone.now())
    assert request is not None
    failure = Failure(lease=request.lease, code="bad_image", reason="An image is missing.", retryable=False)
    jobs.fail(failure, timezone.now())
    simulated.advance(simulation, timezone.now())
    assert simulation.ended == "Images could not be measured: An image is missing."


def test_the_same_seed_gives_the_same_rankings_and_another_one_others(cast: Cast) -> None:
    def said(seed: int) -> list[list[list[str]]]:
        Annotation.objects.all().delete()
        Assignment.objects.all().delete()
        Record.objects.all().delete()
        Item.objects.update(state=Item.State.READY, votes=0, lead=0, wants=None)
        simulated.advance(start(cast, taste="careless", rankings=6, seed=seed), timezone.now())
        return list(Annotation.objects.order_by("item").values_list("ranking", flat=True))

    stage.make_items(cast, 6)
    assert said(1) == said(1) != said(2)


def test_what_can_never_be_is_refused_in_one_line(cast: Cast) -> None:
    for options, line in (
        ({"taste": "sweet"}, "There is no taste 'sweet'; choose one of 3d, flat"),
        ({"noise": 0.7}, "noise is 0.7; it is the share of pairs that come out the wrong way round, from 0 to 0.5"),
        ({"annotators": 0}, "annotators is 0; it is how many simulated annotators rank, from 1 to 20"),
        ({"rankings": 0}, "rankings is 0; it is how many rankings they give together, from 1 to 100,000"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            start(cast, **options)
        assert refusal.value.detail.startswith(line)
    assert not Simulation.objects.exists()


def test_pictures_that_their_judge_does_not_know_are_refused(cast: Cast, model_folders: Path) -> None:
    stage.make_items(cast, 1)
    other = icons(model_folders, "Watercolours", "watercolours")
    stage.generate(cast, stage.make_prompts(cast.project, "a hen"), compared=[other])
    stage.work_off()
    gather(timezone.now(), cast.project)
    with pytest.raises(InvalidInput, match="Items with images of Watercolours wait to be ranked"):
        start(cast)
    assert start(cast, taste="careless").state == "running"


def test_an_account_of_a_person_is_never_taken(cast: Cast) -> None:
    create_user("simulated-warm-0-1", None)
    with pytest.raises(Conflict, match="is a person's"):
        start(cast, taste="warm")


def test_a_simulation_can_be_cancelled_once(cast: Cast) -> None:
    stage.make_items(cast, 1)
    simulation = start(cast, taste="careless")
    simulated.cancel(simulation, timezone.now())
    with pytest.raises(Conflict, match="nothing to cancel"):
        simulated.cancel(simulation, timezone.now())
    simulation.refresh_from_db()
    assert simulated.advance(simulation, timezone.now()) == 0 and not Annotation.objects.exists()
