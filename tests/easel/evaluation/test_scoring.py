"""Images are measured once by each judge, by workers that are not the platform's."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone
from easel.common.errors import Conflict, InvalidInput
from easel.common.jobs import StaleLease
from easel.common.models import Job
from easel.evaluation import scoring
from easel.evaluation.models import Score, ScoreJob
from easel.images.models import Candidate
from easel.registry.models import ModelVersion

from tests import cast as stage
from tests.cast import Cast
from tests.easel.evaluation.judging import WORKER, icons, measure, measure_all


@pytest.fixture
def images(cast: Cast) -> list[Candidate]:
    stage.make_items(cast, 3, images=2)
    return list(Candidate.objects.of_project(cast.project))


def test_what_a_worker_measures_is_recorded_for_each_image(images: list[Candidate]) -> None:
    (part,) = scoring.request_scores(images, timezone.now(), judge="referee")
    request = scoring.claim_scores(WORKER, timezone.now())
    assert (
        request is not None
        and request.judge == "referee"
        and {one.id for one in request.images} == {one.pk for one in images}
    )
    assert scoring.record_scores(measure(request, diversity=0.5), timezone.now()) == 6
    part.refresh_from_db()
    assert (part.diversity, part.prompts, part.job.state) == (0.5, 3, Job.State.DONE)
    scores = Score.objects.of([images[0].pk], "referee")
    assert scores[images[0].pk].keys() == {
        "subject", "style", "background", "is_3d", "warmth", "coloured_background"
    }  # fmt: skip
    assert not Score.objects.of([images[0].pk], "taste")


def test_nothing_is_measured_twice_and_each_judge_measures_for_itself(images: list[Candidate]) -> None:
    scoring.request_scores(images[:2], timezone.now(), judge="taste")
    (part,) = scoring.request_scores(images, timezone.now(), judge="taste")
    assert part.scores.count() == 4
    assert scoring.request_scores(images, timezone.now(), judge="taste") == []
    assert len(scoring.request_scores(images, timezone.now(), judge="referee")) == 1
    assert measure_all() == 3
    assert Score.objects.filter(values=None).count() == 0 and Score.objects.count() == 12
    assert scoring.claim_scores(WORKER, timezone.now()) is None


def test_the_images_of_a_prompt_stay_together_and_those_of_another_model_apart(
    cast: Cast, model_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = icons(model_folders)
    stage.generate(cast, stage.make_prompts(cast.project, "a", "b", "c"), 2, compared=[other])
    stage.work_off()
    monkeypatch.setattr(scoring, "MAX_IMAGES", 5)
    parts = scoring.request_scores(Candidate.objects.all(), timezone.now(), judge="taste")
    found = [(part.model_id, part.scores.count(), part.prompts) for part in parts]
    assert sorted(found, key=str) == sorted(
        [(model.pk, count, count // 2) for model in (cast.model, other) for count in (4, 2)], key=str
    )


def test_an_answer_about_other_images_is_refused_and_one_that_comes_late_as_well(images: list[Candidate]) -> None:
    scoring.request_scores(images, timezone.now(), judge="taste")
    request = scoring.claim_scores(WORKER, timezone.now())
    assert request is not None
    whole = measure(request)
    with pytest.raises(Conflict, match="about 6 images, and the answer about 5"):
        scoring.record_scores(whole.model_copy(update={"scores": whole.scores[1:]}), timezone.now())
    scoring.record_scores(whole, timezone.now())
    with pytest.raises(StaleLease):
        scoring.record_scores(whole, timezone.now())


def test_a_reward_model_scores_too(cast: Cast, images: list[Candidate]) -> None:
    reward = ModelVersion.objects.create(
        name="Reward 1",
        kind=ModelVersion.Kind.REWARD,
        location=f"storage:aa/{'a' * 64}.safetensors",
        family="reward",
        created_at=timezone.now(),
    )
    scoring.request_scores(images, timezone.now(), reward_model=reward)
    request = scoring.claim_scores(WORKER, timezone.now())
    assert request is not None and request.judge is None and request.reward_model is not None
    assert request.reward_model.location == reward.location
    scoring.record_scores(measure(request), timezone.now())
    assert Score.objects.filter(reward_model=reward, values__reward__gte=0).count() == 6
    with pytest.raises(InvalidInput, match="name one of them"):
        scoring.request_scores(images, timezone.now(), reward_model=reward, judge="taste")
    assert ScoreJob.objects.count() == 1
