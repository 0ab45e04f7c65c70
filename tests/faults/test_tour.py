"""The whole loop at once, through real workers: `easel tour`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from django.utils import timezone
from easel.annotation.models import Annotation
from easel.embedded.commands import RENDER_WORKER, TRAIN_WORKER, WEB_WORKER
from easel.evaluation.models import Evaluation
from easel.projects.models import Project
from easel.prompts.models import Prompt
from easel.tour import stages
from easel.tour.command import tour
from easel.training.models import FinetuneRun
from PIL import Image

from tests.cast import Cast
from tests.faults.processes import running


@pytest.mark.processes
def test_the_tour_goes_once_around_the_loop_and_says_what_came_of_it(
    committed_cast: Cast, environment: dict[str, str], renderer_environment: dict[str, str], tmp_path: Path
) -> None:
    figures, sheet = tmp_path / "tour.json", tmp_path / "tour.png"
    words = [
        "--user",
        "alice",
        "--rankings",
        "24",
        "--steps",
        "2",
        "--compared",
        "1",
        "--json",
        str(figures),
        "--sheet",
        str(sheet),
    ]
    with (
        running(WEB_WORKER, environment, tmp_path / "web.log"),
        running(RENDER_WORKER, renderer_environment, tmp_path / "render.log"),
        running(TRAIN_WORKER, renderer_environment, tmp_path / "train.log"),
    ):
        said = CliRunner().invoke(tour, words, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    told = json.loads(figures.read_text())

    project = Project.objects.get(pk=told["project"])
    run = FinetuneRun.objects.get(project=project)
    evaluation = Evaluation.objects.get(project=project)
    held_out = Prompt.objects.held_out(project).count()
    assert Annotation.objects.filter(project=project).exclude(annotator__kind="simulated").count() == 0
    assert (run.steps_done, run.made) == (2, evaluation.b)
    assert told["votes"] == held_out
    assert told["low"] <= told["win_rate"] <= told["high"]
    assert told["fidelity_ratio"] > 0.9  # two steps teach nothing, and break nothing
    assert told["diversity_ratio"] is None  # one image of each prompt is like no other
    assert [stage["name"] for stage in told["stages"]] == ["prompts", "generate", "rank", "freeze", "teach", "evaluate"]
    assert "blind comparisons" in said.output
    with Image.open(sheet) as picture:
        assert picture.width > 600


@pytest.mark.django_db
def test_more_rankings_than_the_prompts_give_are_refused_in_one_line(cast: Cast) -> None:
    made = stages.begin(stages.Plan(rankings=801), cast.alice, timezone.now())
    with pytest.raises(stages.TourStopped, match=r"need 201 prompts, and the tour has 200\. Ask for at most 800"):
        next(stages.run(made, lambda name, done, total: None))


@pytest.mark.django_db
def test_a_tour_for_nobody_is_refused(cast: Cast) -> None:
    said = CliRunner().invoke(tour, ["--user", "nobody"])
    assert "nobody" in str(said.exception)
    assert not Project.objects.filter(name__startswith="Tour").exists()
