"""As many judges as it takes: evaluations by people whose comparisons have enough once one verdict is ahead."""

from __future__ import annotations

from itertools import count

import pytest
from django.utils import timezone
from easel.accounts.models import User
from easel.annotation import services as annotation
from easel.annotation.models import Item
from easel.annotation.stopping import Rule
from easel.common.errors import InvalidInput
from easel.evaluation import services
from easel.evaluation.figures import result_of
from easel.evaluation.leaderboard import board_of
from easel.evaluation.models import Evaluation
from easel.evaluation.votes import votes_of
from easel.projects.models import Membership
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion

from tests import cast as stage
from tests.cast import API, Cast, browser_of, client_of


@pytest.fixture
def tuned(cast: Cast) -> ModelVersion:
    """What a fine-tune made of the model."""
    return ModelVersion.objects.create(
        name="Painter 2",
        kind=ModelVersion.Kind.ADAPTER,
        base=cast.model,
        family="lora",
        location=f"storage:ab/{'ab' * 32}.safetensors",
        sha256="ab" * 32,
        created_at=timezone.now(),
    )


def people(cast: Cast, wanted: int) -> list[User]:
    """Have so many who may rank in the project."""
    numbers = count()
    while Membership.objects.rankers(cast.project).count() < wanted:
        stage.make_user(f"judge-{next(numbers)}", cast.project)
    return [one.user for one in Membership.objects.rankers(cast.project).order_by("user__username")]


def start(cast: Cast, tuned: ModelVersion, **options: object) -> Evaluation:
    """Compare the two on one held-out prompt."""
    if not Prompt.objects.held_out(cast.project):
        stage.make_prompts(cast.project, "a hen")
        Prompt.objects.of_project(cast.project).update(held_out=True)
    chosen = {"a": cast.model, "b": tuned, "adaptive": True} | options
    made = services.start_evaluation(cast.project, cast.alice, timezone.now(), **chosen)  # type: ignore[arg-type]
    stage.work_off()
    services.advance(timezone.now())
    return made


def judge(cast: Cast, evaluation: Evaluation, judge_: User, b_wins: bool) -> bool:
    """Have somebody judge the one comparison, if they are asked."""
    found = annotation.lease_next(cast.project, judge_, timezone.now())
    if found is None:
        return False
    by_model = {one.model_id: str(one.pk) for one in found.item.candidates.all()}
    a, b = by_model[evaluation.a_id], by_model[evaluation.b_id]
    stage.submit(found, {"ranking": [[b], [a]] if b_wins else [[a], [b]]})
    return True


def test_three_who_agree_are_enough(cast: Cast, tuned: ModelVersion) -> None:
    judges = people(cast, 9)
    evaluation = start(cast, tuned)
    assert evaluation.rule == services.ADAPTIVE == Rule(3, 3, 9)
    asked = [judge(cast, evaluation, one, b_wins=True) for one in judges]
    assert asked == [True] * 3 + [False] * 6
    assert Item.objects.get().state == Item.State.DONE
    assert result_of(evaluation).tally.rate.estimate == 1


def test_where_they_differ_more_are_asked_and_the_win_rate_does_not_lean_to_a_draw(
    cast: Cast, tuned: ModelVersion
) -> None:
    """One comparison that all agree on, won by a, and one that takes seven, won by b: each weighs alike."""
    judges = people(cast, 9)
    plain = start(cast, tuned)
    for one in judges[:3]:
        judge(cast, plain, one, b_wins=False)
    close = start(cast, tuned)
    answers = [True, False, True, True, False, True, True, True, True]
    asked = [judge(cast, close, one, b_wins=said) for one, said in zip(judges, answers, strict=True)]
    assert asked == [True] * 7 + [False] * 2, "five against two lead by three"
    found = result_of(close).tally
    assert (found.won, found.lost) == (5, 2)
    # Of the orders of five wins and two losses without an earlier lead of three, so many begin with a win.
    assert found.rate.estimate == pytest.approx(5 / 9)
    votes = votes_of(cast.project, User.Kind.HUMAN)
    assert sum(one.weight for one in votes) == pytest.approx(len(votes)) == 10
    assert sum(one.weight for one in votes if one.weight == votes[0].weight) == pytest.approx(5)
    assert board_of(cast.project).votes == 10


def test_no_more_are_asked_than_there_are(cast: Cast, tuned: ModelVersion) -> None:
    people(cast, 5)
    assert start(cast, tuned).rule == Rule(3, 3, 5)


def test_too_few_people_and_simulated_judges_are_refused_in_one_line(cast: Cast, tuned: ModelVersion) -> None:
    with pytest.raises(InvalidInput, match="Simulated judges are a fixed number"):
        start(cast, tuned, judges="simulated:3d")
    for other in people(cast, 1)[2:]:
        Membership.objects.filter(user=other, project=cast.project).update(deactivated_at=timezone.now())
    with pytest.raises(InvalidInput, match=r"asks 3 annotators or more, and 2 may rank in this project\. Invite more"):
        start(cast, tuned)
    assert not Evaluation.objects.exists()


def test_the_api_and_the_page_ask_so_and_say_so(cast: Cast, tuned: ModelVersion) -> None:
    people(cast, 9)
    start(cast, tuned)
    address = f"{API}/projects/{cast.project.pk}/evaluations/"
    body = {"a": "Painter", "b": "Painter 2"}
    alice = client_of(cast.alice)
    fixed, adaptive = (alice.post(address, body | more, format="json").json() for more in ({}, {"adaptive": True}))
    names = ("overlap", "overlap_lead", "overlap_cap")
    assert [[made[name] for name in names] for made in (fixed, adaptive)] == [[1, 0, 0], [3, 3, 9]]
    browser = browser_of(cast.alice)
    page = f"/projects/{cast.project.pk}/evaluations/new/"
    assert 'value="adaptive" checked' in browser.get(page).content.decode()
    form = {"a": cast.model.pk, "b": tuned.pk, "which": "held_out", "images_per_prompt": 1, "who": "people"}
    made = browser.post(page, form | {"asks": "adaptive", "overlap": ""}, format="multipart")
    assert made.status_code == 302
    assert Evaluation.objects.latest("id").rule == services.ADAPTIVE
    browser.post(page, form | {"asks": "fixed", "overlap": "2"}, format="multipart")
    assert Evaluation.objects.latest("id").rule == Rule(2)


def test_the_page_of_a_small_team_starts_with_a_fixed_number_and_says_why(cast: Cast, tuned: ModelVersion) -> None:
    for other in people(cast, 1)[2:]:
        Membership.objects.filter(user=other, project=cast.project).update(deactivated_at=timezone.now())
    page = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/evaluations/new/").content.decode()
    assert 'value="fixed" checked' in page and "Only 2 people may rank here by now." in page
