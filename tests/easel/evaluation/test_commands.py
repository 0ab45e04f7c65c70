"""The same acts over REST and from the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from django.utils import timezone
from easel.annotation.models import Annotation
from easel.cli import easel
from easel.common.errors import InvalidInput, NotFound
from easel.evaluation import services
from easel.evaluation.models import Evaluation
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion

from tests import cast as stage
from tests.cast import API, Cast, browser_of, client_of
from tests.easel.evaluation.judging import icons, measure_all


@pytest.fixture
def cast(cast: Cast, model_folders: Path) -> Cast:
    """The built-in model and its rival, and three held-out prompts."""
    model, _ = icons(model_folders), icons(model_folders, "Rival", "easel-icons-2")
    ModelVersion.objects.filter(name="Rival").update(base=model, kind=ModelVersion.Kind.ADAPTER)
    stage.make_prompts(cast.project, *(f"a {n} hen" for n in range(3)), "a fox to learn from")
    Prompt.objects.filter(text__contains="hen").update(held_out=True)
    return replace(cast, model=model)


def run(*arguments: object) -> str:
    done = CliRunner().invoke(easel, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_an_evaluation_is_asked_for_judged_and_read_over_rest(cast: Cast) -> None:
    engineer = client_of(cast.dave)
    body = {"a": "Icons", "b": "Rival", "judges": "simulated:warm", "noise": 0.1, "images_per_prompt": 2}
    asked = engineer.post(f"{API}/projects/{cast.project.pk}/evaluations/", body)
    assert asked.status_code == 202, asked.json()
    assert (asked.json()["state"], asked.json()["comparisons"], asked.json()["result"]["n"]) == ("generating", 6, 0)
    assert asked.json()["result"]["verdict"] == "Nobody has judged yet."
    stage.work_off()
    services.advance(timezone.now())
    measure_all()
    services.advance(timezone.now())
    shown = engineer.get(f"{API}/evaluations/{asked.json()['id']}/").json()
    assert (shown["state"], shown["judged"], shown["judges"]) == ("done", 6, "simulated:warm")
    result = shown["result"]
    assert result["n"] == result["won"] + result["tied"] + result["lost"] == 6
    assert 0 <= result["low"] <= result["win_rate"] <= result["high"] <= 1
    assert {one["name"] for one in result["beside"]} >= {"Prompt fidelity", "Subject", "Diversity"}
    board = engineer.get(f"{API}/projects/{cast.project.pk}/leaderboard/?judges=simulated").json()
    assert {row["name"] for row in board["rows"]} == {"Icons", "Rival"} and board["votes"] == 6
    assert engineer.get(f"{API}/projects/{cast.project.pk}/leaderboard/").json()["rows"] == []
    page = browser_of(cast.dave)
    sheet = page.get(f"/projects/{cast.project.pk}/leaderboard/?format=csv")
    lines = b"".join(sheet.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "rank,model,strength,low,high,won,tied,lost,judges"
    assert len(lines) == 3 and all(line.endswith(",simulated") for line in lines[1:])
    part = page.get(f"/projects/{cast.project.pk}/leaderboard/", headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith("<div") and "<html" not in part and "Rival" in part, "the quality page shows it too"
    promoted = client_of(cast.alice).post(f"{API}/evaluations/{shown['id']}/promotion/", {})
    assert promoted.status_code == 201 and promoted.json()["previous"] is None
    again = client_of(cast.alice).post(f"{API}/evaluations/{shown['id']}/promotion/", {})
    assert again.status_code == 409 and "already" in again.json()["detail"]


def test_what_is_wrong_with_a_request_is_named_by_its_field(cast: Cast) -> None:
    alice = client_of(cast.alice)
    address = f"{API}/projects/{cast.project.pk}/evaluations/"
    for body, field in (
        ({"a": "Icons"}, "b"),
        ({"a": "Icons", "b": "Nobody"}, "b"),
        ({"a": "Icons", "b": "Icons"}, "b"),
        ({"a": "Icons", "b": "Rival", "judges": "cats"}, "judges"),
        ({"a": "Icons", "b": "Rival", "overlap": 99}, "overlap"),
        ({"a": "Icons", "b": "Rival", "prompts": [str(cast.project.pk)]}, "prompts"),
    ):
        answer = alice.post(address, body)
        assert answer.status_code == 400 and field in answer.json()["fields"], answer.json()
    assert alice.get(f"{API}/projects/{cast.project.pk}/leaderboard/?judges=cats").status_code == 400


def test_simulated_annotators_are_sent_from_the_command_line_and_waited_for(cast: Cast) -> None:
    stage.make_items(cast, 3)
    done = json.loads(
        run("simulate", "--project", cast.project.pk, "--taste", "careless", "--rankings", 3, "--wait", "--json")
    )
    assert (done["state"], done["done"]) == ("done", 3) and Annotation.objects.count() == 3
    line = run("simulate", "--project", cast.project.pk, "--taste", "3d", "--rankings", 3)
    assert line == "0 of 3 rankings, running.\n"


def test_an_evaluation_is_started_from_the_command_line(cast: Cast) -> None:
    said = json.loads(run("evaluate", "--project", cast.project.pk, "--a", "Icons", "--b", "Rival", "--json"))
    assert said["state"] == "generating" and said["outcome"] == "none" and said["judges"] == "people"
    assert Evaluation.objects.get().request.images_total == 6
    with pytest.raises(NotFound, match="model Nobody"):
        run("evaluate", "--project", cast.project.pk, "--a", "Icons", "--b", "Nobody")
    with pytest.raises(InvalidInput, match="the same model"):
        run("evaluate", "--project", cast.project.pk, "--a", "Icons", "--b", "Icons")


def test_the_command_line_waits_for_the_verdict(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def workers_work(seconds: float) -> None:
        stage.work_off()
        measure_all()

    monkeypatch.setattr("easel.evaluation.command.time.sleep", workers_work)
    project = ("--project", cast.project.pk)
    models = ("--a", "Icons", "--b", "Rival", "--images-per-prompt", 2, "--judges", "simulated:warm")
    said = json.loads(run("evaluate", *project, *models, "--wait", "--json"))
    assert (said["state"], said["n"]) == ("done", 6)
    assert 0 <= said["low"] <= said["win_rate"] <= said["high"] <= 1
    line = run("evaluate", *project, *models, "--wait")
    assert said["verdict"] in line and "Prompt fidelity: " in line
