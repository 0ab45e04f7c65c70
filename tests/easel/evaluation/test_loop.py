"""The overview knows where the loop stands, and what comes next, once around."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from django.utils import timezone
from easel.annotation import services as annotation
from easel.annotation.gathering import gather
from easel.annotation.progress import next_step, overview_of
from easel.evaluation import services
from easel.evaluation.figures import result_of
from easel.evaluation.loop import loop_of, next_of
from easel.evaluation.models import Evaluation, Score
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion
from easel.training.services import finish, report

from tests import cast as stage
from tests.cast import Cast, browser_of
from tests.easel.evaluation.judging import icons, measure_all
from tests.easel.training import stage as training


@pytest.fixture
def cast(cast: Cast, model_folders: Path) -> Cast:
    """The model of the project is the built-in one."""
    return replace(cast, model=icons(model_folders))


def step(cast: Cast) -> str:
    cast.project.refresh_from_db()
    figures = overview_of(cast.project, timezone.now())
    return next_of(next_step(figures, live=False, failed=False), loop_of(cast.project))


def judge_all(cast: Cast, evaluation: Evaluation) -> None:
    while found := annotation.lease_next(cast.project, cast.bob, timezone.now()):
        images = {one.model_id: str(one.pk) for one in found.item.candidates.all()}
        stage.submit(found, {"ranking": [[images[evaluation.b_id]], [images[evaluation.a_id]]]})


def teach(cast: Cast, method: str = "listwise") -> ModelVersion:
    run = training.start(cast, training.frozen(cast), method)
    request = training.claim()
    report(training.told(request), timezone.now())
    finish(training.result(request, weights=method.encode()), timezone.now())
    run.refresh_from_db()
    assert run.made is not None
    return run.made


def test_the_next_step_leads_once_around_the_loop(cast: Cast) -> None:
    prompts = stage.make_prompts(cast.project, *(f"a {n} hen" for n in range(12)))
    Prompt.objects.filter(pk__in=[one.pk for one in prompts]).update(held_out=True)
    stage.make_items(cast, 1)
    assert step(cast) == "rankings"
    stage.annotate(cast.project, cast.bob)
    assert step(cast) == "snapshot"
    snapshot = training.frozen(cast)
    assert step(cast) == "finetune"
    run = training.start(cast, snapshot)
    assert step(cast) == "training"
    request = training.claim()
    report(training.told(request), timezone.now())
    finish(training.result(request), timezone.now())
    run.refresh_from_db()
    assert step(cast) == "evaluate" and run.made is not None
    evaluation = services.start_evaluation(
        cast.project, cast.alice, timezone.now(), a=cast.model, b=run.made, judges="people"
    )
    assert step(cast) == "judging"
    stage.work_off()
    services.advance(timezone.now())
    assert step(cast) == "rankings"
    judge_all(cast, evaluation)
    assert step(cast) == "promote"
    page = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/").content.decode()
    assert f"{run.made.name} is better" in page and "Run 1" in page
    services.promote(evaluation, cast.alice, timezone.now())
    assert step(cast) == "round"
    (one,) = loop_of(cast.project).rounds
    assert (one.rankings, one.promoted, one.evaluation) == (4, True, evaluation) and one.tally is not None
    assert one.tally.won == 12 and loop_of(cast.project).generator == run.made
    stage.generate(cast, stage.make_prompts(cast.project, "a fox"))
    stage.work_off()
    gather(timezone.now(), cast.project)
    stage.annotate(cast.project, cast.bob)
    assert step(cast) == "snapshot"


def test_a_project_of_old_shows_no_rounds_and_asks_for_a_snapshot(cast: Cast) -> None:
    stage.make_items(cast, 2)
    stage.annotate(cast.project, cast.bob, 2)
    page = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/").content.decode()
    assert "Take a snapshot" in page and "Rounds" not in page


def test_a_reward_model_of_the_project_scores_the_images_and_the_run_tells_its_accuracy(cast: Cast) -> None:
    made = teach(cast)
    reward = teach(cast, "reward")
    assert reward.kind == ModelVersion.Kind.REWARD
    prompts = stage.make_prompts(cast.project, "a hen", "an owl")
    evaluation = services.start_evaluation(
        cast.project, cast.alice, timezone.now(), a=cast.model, b=made, prompts=prompts
    )
    stage.work_off()
    services.advance(timezone.now())
    measure_all()
    assert Score.objects.filter(reward_model=reward, values__reward__gte=0).count() == 4
    result = result_of(evaluation)
    score, accuracy = result.beside_named("Reward score"), result.beside_named("Implicit accuracy")
    assert score is not None and score.a is not None and score.b is not None
    assert accuracy is not None and (accuracy.a, accuracy.b) == (None, 0.6)
