"""Which models are compared next: projects that ask for what tells most are drawn from by stored probabilities."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from django.utils import timezone
from easel.annotation import services as annotation
from easel.annotation.gathering import gather
from easel.annotation.models import Assignment, Item, Matchup
from easel.evaluation.leaderboard import board_of
from easel.evaluation.selecting import open_matchups, select, select_matchups
from easel.images.models import GenerationRequest
from easel.images.services import request_images
from easel.preferences import davidson
from easel.preferences.comparisons import Comparisons
from easel.preferences.newton import Array
from easel.projects.models import Project
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion

from tests import cast as stage
from tests.benchmarks.labels_saved import Policy, World, active, collect, uniform
from tests.cast import API, Cast, browser_of, client_of


@pytest.fixture
def models(cast: Cast) -> list[ModelVersion]:
    """The model of the cast, and three that were made from it."""
    made = [
        ModelVersion.objects.create(
            name=f"Painter {number}",
            kind=ModelVersion.Kind.ADAPTER,
            base=cast.model,
            family="lora",
            location=f"storage:ab/{f'a{number}' * 32}.safetensors",
            sha256=f"a{number}" * 32,
            created_at=timezone.now(),
        )
        for number in (2, 3)
    ]
    Project.objects.filter(pk=cast.project.pk).update(selection=Project.Selection.ACTIVE)
    cast.project.refresh_from_db()
    return [cast.model, *made]


def compare(cast: Cast, a: ModelVersion, *others: ModelVersion, items: int, audience: str = "") -> str:
    """Have items that compare these models; return their key."""
    known = Prompt.objects.of_project(cast.project).count()
    prompts = stage.make_prompts(cast.project, *(f"hen number {known + number}" for number in range(items)))
    made = request_images(
        cast.project, a, prompts, cast.alice, timezone.now(), images_per_prompt=1, compared=others, audience=audience
    )
    stage.work_off()
    gather(timezone.now())
    return Item.objects.filter(request=made).values_list("matchup", flat=True).distinct().get()


def rank(cast: Cast, better: list[ModelVersion], times: int) -> list[str]:
    """Have bob rank what he is given, models in this order; return the keys of the items."""
    place = {model.pk: number for number, model in enumerate(better)}
    keys = []
    for _ in range(times):
        found = annotation.lease_next(cast.project, cast.bob, timezone.now())
        assert found is not None
        images = sorted(found.item.candidates.all(), key=lambda one: place[one.model_id])
        stage.submit(found, {"ranking": [[str(one.pk)] for one in images]})
        keys.append(found.item.matchup)
    return keys


def stored(cast: Cast) -> dict[str, Matchup]:
    return {one.key: one for one in Matchup.objects.filter(project=cast.project)}


def test_all_matchups_with_items_are_drawn_and_each_draws_probability_is_kept(
    cast: Cast, models: list[ModelVersion]
) -> None:
    keys = [compare(cast, a, b, items=3) for a, b in combinations(models, 2)]
    assert select(timezone.now()) == 1
    found = stored(cast)
    assert {key: one.probability for key, one in found.items()} == pytest.approx(dict.fromkeys(keys, 1 / 3))
    assert open_matchups(cast.project)[keys[0]] == tuple(sorted([models[0].pk, models[1].pk]))
    rank(cast, models, 3)
    assert set(Assignment.objects.values_list("probability", flat=True)) == {found[keys[0]].probability}


def test_after_three_votes_each_what_is_unsure_is_asked_and_nothing_is_forgotten(
    cast: Cast, models: list[ModelVersion]
) -> None:
    """Two models that nobody can tell apart, and a third that always loses."""
    close, far = compare(cast, *models[:2], items=12), compare(cast, *models[1:], items=8)
    other = compare(cast, models[0], models[2], items=8)
    for number in range(28):
        if number % 4 == 0:
            select(timezone.now())
        rank(cast, models if number % 2 else [models[1], models[0], models[2]], 1)
    for key, extra in ((close, models[:2]), (far, models[1:]), (other, [models[0], models[2]])):
        assert compare(cast, extra[0], extra[1], items=2) == key
    assert select(timezone.now()) == 1
    found = stored(cast)
    assert sum(one.probability for one in found.values()) == pytest.approx(1)
    assert min(one.probability for one in found.values()) >= 0.2 / 3
    assert found[close].probability > 0.6 and found[close].information > found[far].information
    assert found[close].votes == 12


def test_a_matchup_without_items_is_drawn_no_more_and_a_new_one_comes_in_at_the_next_round(
    cast: Cast, models: list[ModelVersion]
) -> None:
    first = compare(cast, *models[:2], items=2)
    select(timezone.now())
    assert rank(cast, models, 2) == [first, first]
    second = compare(cast, *models, items=2)
    assert select(timezone.now()) == 1
    assert {key: one.probability for key, one in stored(cast).items()} == {first: 0.0, second: 1.0}
    assert rank(cast, models, 1) == [second]
    select(timezone.now())
    assert stored(cast)[second].votes == 2 + 3, "a ranking of three models is a vote on each two of them"


def test_without_news_nothing_is_reckoned_and_one_vote_is_news_as_long_as_there_are_few(
    cast: Cast, models: list[ModelVersion]
) -> None:
    compare(cast, *models[:2], items=3)
    assert [select(timezone.now()), select(timezone.now())] == [1, 0]
    rank(cast, models, 1)
    assert [select(timezone.now()), select(timezone.now())] == [1, 0]


def test_what_is_for_simulated_judges_is_no_matchup_and_other_projects_have_none(
    cast: Cast, models: list[ModelVersion]
) -> None:
    compare(cast, *models[:2], items=1, audience=GenerationRequest.Audience.SIMULATED)
    assert not select_matchups(cast.project, timezone.now()) and not stored(cast)
    compare(cast, *models[1:], items=1)
    Project.objects.filter(pk=cast.project.pk).update(selection=Project.Selection.QUEUE)
    assert select(timezone.now()) == 0
    Project.objects.filter(pk=cast.project.pk).update(selection=Project.Selection.ACTIVE, paused_at=timezone.now())
    assert select(timezone.now()) == 0


def test_the_board_shows_the_strengths_weighed_by_how_unlikely_draws_were_too(
    cast: Cast, models: list[ModelVersion]
) -> None:
    compare(cast, *models[:2], items=3)
    rank(cast, models, 1)
    before = board_of(cast.project)
    assert not before.selected and [row.weighed for row in before.rows] == [None, None]
    select(timezone.now())
    rank(cast, models, 1)
    assert [row.weighed for row in board_of(cast.project).rows] == pytest.approx(
        [row.strength for row in board_of(cast.project).rows]
    ), "one matchup alone is drawn with probability 1"
    page = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/leaderboard/").content.decode()
    assert "Weighed" in page and "Asked next" in page
    board = client_of(cast.alice).get(f"{API}/projects/{cast.project.pk}/leaderboard/").json()
    assert board["rows"][0]["weighed"] == pytest.approx(board["rows"][0]["strength"])
    (asked,) = board["asked_next"]
    assert sorted(asked["models"]) == sorted(str(model.pk) for model in models[:2])
    assert (asked["votes"], asked["probability"]) == (1, 1.0)


def slopes(world: World, policy: Policy, *, weighed: bool, repeats: int = 60) -> Array:
    """How far apart boards find the models, by how far they are: 300 votes on five models each, by simulation."""
    found = []
    for seed in range(repeats):
        worths, _ = world.truth(np.random.default_rng([seed, world.models]))
        _, board, sums = collect(world, policy, 300, 300, seed)
        fitted = davidson.fit(Comparisons(sums[0], sums[1])) if weighed else board.believed
        found.append(np.polyfit(worths, fitted.log_worths, 1)[0])
    return np.array(found)


@pytest.mark.parametrize("world", [World(5, prompts=0, keenness=0), World(5)], ids=["alike", "differing"])
def test_weighed_strengths_of_actively_drawn_votes_are_those_of_uniform_draws(world: World) -> None:
    """Whether people and prompts are alike or not. docs/explanation/labels-saved.md has larger runs."""
    even = slopes(world, uniform, weighed=False)
    more, unweighed = slopes(world, active, weighed=True) - even, slopes(world, active, weighed=False) - even
    error = more.std() / len(more) ** 0.5
    assert abs(more.mean()) < 3 * error
    assert error < 0.06, "so being a fifth too far apart would be seen"
    assert unweighed.mean() < 0.2, "as they are they lie further apart by some, for chance is checked where it unites"
    assert unweighed.std() < more.std(), "and that is the price of weights: they vary more"
