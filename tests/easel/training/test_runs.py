"""Fine-tunes from the request to the model version: asked for, claimed, reported, handed in, refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from easel.common import jobs
from easel.common.errors import InvalidInput
from easel.common.models import Job
from easel.registry.health import health
from easel.registry.models import ModelVersion
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.services import take_snapshot
from easel.training import services
from easel.training.methods import KNOBS, REWARD_DEFAULTS
from easel.training.models import FinetuneGrid, FinetunePoint, FinetuneRun
from easel.training.progress import estimate
from rest_framework.test import APIClient

from finetune import defaults
from finetune.types import Method, SampleGrid, TrainRequest, TrainSettings
from generation.fetched import hash_of
from generation.types import Progress
from tests import cast as stage
from tests.cast import API, Cast, client_of
from tests.easel.training.stage import CLAIM, claim, failed, frozen, result, start, told

SMALL = defaults.fill("listwise", 0, TrainSettings())
"""The defaults for a small base, which Painter is."""


@pytest.fixture
def snapshot(cast: Cast) -> DatasetSnapshot:
    """A frozen snapshot of three rankings."""
    return frozen(cast)


def ask(client: APIClient, cast: Cast, snapshot: DatasetSnapshot, **others: object) -> tuple[int, dict[str, object]]:
    """Ask for a run over HTTP."""
    body = {"snapshot": str(snapshot.pk), "base_model": "Painter", "method": "listwise", **others}
    response = client.post(f"{API}/projects/{cast.project.pk}/finetunes/", body)
    return response.status_code, response.json()


def test_an_engineer_starts_a_run_and_a_worker_gets_all_that_it_needs(cast: Cast, snapshot: DatasetSnapshot) -> None:
    client = client_of(cast.dave)
    status, run = ask(client, cast, snapshot, config={"steps": 40, "learning_rate": 1e-4})
    assert status == 202, run
    assert (run["state"], run["number"], run["model_version"]) == ("queued", 1, None)
    assert run["config"] == {"steps": 40, "learning_rate": 1e-4}
    assert run["filled"]["beta"] == SMALL.beta  # type: ignore[index]
    assert run["progress"]["total"] == 40  # type: ignore[index]

    request = claim()
    assert services.claim_run(CLAIM, timezone.now()) is None
    assert (request.method, request.settings.steps, request.settings.beta) == ("listwise", 40, None)
    assert request.base == cast.model.reference()
    assert request.snapshot == snapshot.reference()
    assert [one.seed for one in request.samples] == [0, 1, 2]
    assert TrainRequest.model_validate_json(request.model_dump_json()) == request
    assert client.get(f"{API}/finetunes/{run['id']}/").json()["state"] == "running"


def test_the_samples_of_a_run_are_of_held_out_prompts_where_there_are_any(
    cast: Cast, snapshot: DatasetSnapshot
) -> None:
    start(cast, snapshot)
    assert [one.text for one in claim().samples] == [f"an icon of {number} apples" for number in range(3)]
    (held_out,) = stage.make_prompts(cast.project, "an icon that nobody trains on")
    type(held_out).objects.filter(pk=held_out.pk).update(held_out=True)
    start(cast, snapshot)
    assert [one.text for one in claim().samples] == ["an icon that nobody trains on"]


def test_what_a_worker_tells_is_kept_once_and_shown(cast: Cast, snapshot: DatasetSnapshot) -> None:
    run = start(cast, snapshot)
    request, client = claim(), client_of(cast.dave)
    for report in (told(request), told(request), told(request, range(3, 7))):
        services.report(report, timezone.now())
    assert list(FinetunePoint.objects.filter(run=run).values_list("step", flat=True).order_by("step")) == [*range(1, 7)]
    assert [grid.step for grid in FinetuneGrid.objects.of_run(run)] == [4, 6]
    jobs.heartbeat(Progress(lease=request.lease, done=6, total=200, note="step 6 of 200"), timezone.now())
    shown = client.get(f"{API}/finetunes/{run.pk}/").json()
    assert (shown["progress"]["done"], shown["progress"]["total"]) == (6, 200)
    assert shown["metrics"]["loss"] == pytest.approx(0.64)
    assert shown["metrics"]["held_out_winner_error"] == 0.004  # of step 4: it is measured at checkpoints only
    points = client.get(f"{API}/finetunes/{run.pk}/points/").json()["points"]
    assert [point["step"] for point in points] == [*range(1, 7)]


def test_a_finished_run_becomes_a_model_version_with_its_lineage_that_images_can_be_asked_of(
    cast: Cast, snapshot: DatasetSnapshot
) -> None:
    run = start(cast, snapshot)
    services.finish(result(claim()), timezone.now())
    made = ModelVersion.objects.get(name="Painter, listwise")
    assert (made.kind, made.base, made.family) == ("adapter", cast.model, cast.model.family)
    assert made.licence == "Apache-2.0"
    assert made.sha256 == hash_of(made.location)
    for said in (snapshot.sha256, "0123abc", "seed 0", "200 steps", "torch 2.13.0", "Painter"):
        assert said in made.note, said
    for private in (cast.project.name, snapshot.name, str(run.pk)):
        assert private not in made.note + made.name, "everybody sees the registry"
    (adapter,) = made.reference().adapters
    assert adapter.location == made.location
    stage.generate(cast, stage.make_prompts(cast.project, "a fox"), compared=[made])

    client = client_of(cast.dave)
    shown = client.get(f"{API}/finetunes/{run.pk}/").json()
    assert (shown["state"], shown["model_version"], shown["steps_done"]) == ("done", str(made.pk), 200)
    assert shown["device"] == "cpu"
    found = estimate("listwise", cast.model, 100)
    assert found is not None
    assert found.seconds == pytest.approx(33.0)
    assert estimate("dpo", cast.model, 100) is None


def test_a_run_on_a_fine_tuned_model_gets_what_that_learned_too(cast: Cast, snapshot: DatasetSnapshot) -> None:
    start(cast, snapshot)
    services.finish(result(claim()), timezone.now())
    first = ModelVersion.objects.get(name__startswith="Painter, ")
    services.start_finetune(cast.project, cast.dave, timezone.now(), snapshot=snapshot, base=first, method="dpo")
    request = claim()
    assert [one.location for one in request.base.adapters] == [first.location]
    second = services.finish(result(request, b"other weights"), timezone.now()).made
    assert second is not None
    assert [one.name for one in second.lineage()] == ["Painter", first.name, second.name]
    assert len(second.reference().adapters) == 2


def test_the_same_weights_twice_are_one_model_version(cast: Cast, snapshot: DatasetSnapshot) -> None:
    runs = [start(cast, snapshot), start(cast, snapshot)]
    made = [services.finish(result(claim()), timezone.now()).made for _ in runs]
    assert made[0] == made[1]
    assert ModelVersion.objects.filter(kind="adapter").count() == 1


def test_a_reward_model_is_registered_as_one_and_renders_nothing(cast: Cast, snapshot: DatasetSnapshot) -> None:
    start(cast, snapshot, "reward")
    request = claim()
    assert request.samples == ()
    made = services.finish(result(request), timezone.now()).made
    assert made is not None
    assert (made.kind, made.name) == ("reward", "Painter, reward")
    assert made not in ModelVersion.objects.renderable()


def test_a_worker_that_was_given_up_on_can_neither_report_nor_hand_in(cast: Cast, snapshot: DatasetSnapshot) -> None:
    run = start(cast, snapshot)
    lost = claim()
    Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    jobs.sweep(timezone.now())
    with pytest.raises(jobs.StaleLease):
        services.report(told(lost), timezone.now())
    with pytest.raises(jobs.StaleLease):
        services.finish(result(lost), timezone.now())
    assert not FinetunePoint.objects.filter(run=run).exists()
    assert not ModelVersion.objects.filter(kind="adapter").exists()
    waiting = Job.objects.get(finetune=run)
    assert (waiting.state, waiting.error_code) == ("queued", "worker_lost")


def test_a_run_is_paused_resumed_and_cancelled(cast: Cast, snapshot: DatasetSnapshot) -> None:
    client, run = client_of(cast.dave), start(cast, snapshot)

    def order(act: str) -> tuple[int, str]:
        response = client.post(f"{API}/finetunes/{run.pk}/{act}/")
        return response.status_code, response.json().get("state") or response.json()["code"]

    lease = claim().lease
    assert order("pause") == (202, "paused")
    with pytest.raises(jobs.StaleLease):  # which tells the worker to stop
        jobs.heartbeat(Progress(lease=lease, done=1, total=2), timezone.now())
    assert services.claim_run(CLAIM, timezone.now()) is None
    assert order("pause") == (409, "conflict")
    assert order("resume") == (202, "queued")
    assert order("resume") == (409, "conflict")
    assert claim().lease.attempt == 2
    assert order("cancel") == (202, "cancelled")
    assert order("cancel") == (409, "conflict")
    assert order("retries") == (409, "conflict")
    assert services.claim_run(CLAIM, timezone.now()) is None


def test_a_failed_run_says_why_and_is_tried_again(cast: Cast, snapshot: DatasetSnapshot) -> None:
    client, run = client_of(cast.dave), start(cast, snapshot)
    failed(claim())
    shown = client.get(f"{API}/finetunes/{run.pk}/").json()
    assert (shown["state"], shown["error"]) == ("failed", "a batch of 8 does not fit into the memory. Lower batch.")
    assert client.post(f"{API}/finetunes/{run.pk}/retries/").json()["state"] == "queued"
    assert claim().lease.attempt == 2


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"speed": 3}, "There is no setting 'speed'. The settings are: batch, beta,"),
        ({"steps": 0}, "steps: Input should be greater than or equal to 1"),
        ({"steps": "many"}, "steps: Input should be a valid integer"),
        ({"prompt_dropout": 2}, "prompt_dropout: Input should be less than or equal to 1"),
        ({"learning_rate": None, "seed": -1}, "seed: Input should be greater than or equal to 0"),
    ],
)
def test_a_setting_that_is_unknown_or_out_of_range_is_named(
    cast: Cast, snapshot: DatasetSnapshot, config: dict[str, object], words: str
) -> None:
    status, answer = ask(client_of(cast.dave), cast, snapshot, config=config)
    assert (status, answer["code"]) == (400, "invalid")
    assert words in str(answer["detail"])
    assert not FinetuneRun.objects.exists()
    assert not Job.objects.filter(kind="train").exists()


@pytest.mark.parametrize(
    ("method", "knob"), [("dpo", "temperature"), ("listwise", "guard"), ("rwr", "beta"), ("reward", "lora_rank")]
)
def test_a_setting_that_the_method_does_not_have_is_refused(
    cast: Cast, snapshot: DatasetSnapshot, method: str, knob: str
) -> None:
    status, answer = ask(client_of(cast.dave), cast, snapshot, method=method, config={knob: 1})
    assert (status, answer["detail"]) == (400, f"{method} has no {knob}. Leave it out.")


@pytest.mark.parametrize("method", ["dpo", "listwise", "rwr"])
def test_the_form_offers_what_the_method_has(method: Method) -> None:
    offered = {knob.name for knob in KNOBS if method in knob.methods}
    assert offered == set(defaults.fill(method, 10**6, TrainSettings()).model_fields_set)


def test_a_list_of_runs_takes_as_many_queries_for_five_as_for_one(cast: Cast, snapshot: DatasetSnapshot) -> None:
    client = client_of(cast.dave)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(f"{API}/projects/{cast.project.pk}/finetunes/").status_code == 200
        return len(seen)

    start(cast, snapshot)
    one = queries()
    for _ in range(4):
        start(cast, snapshot)
    assert queries() == one


def test_a_snapshot_that_is_not_frozen_or_of_another_project_is_refused(cast: Cast, snapshot: DatasetSnapshot) -> None:
    waiting = take_snapshot(cast.project, cast.dave, timezone.now(), name="Later")
    status, answer = ask(client_of(cast.dave), cast, waiting)
    assert (status, answer["detail"]) == (
        400, "Snapshot Later is not frozen: it is waiting. Wait until it is, or take another."
    )  # fmt: skip
    DatasetSnapshot.objects.filter(pk=waiting.pk).update(project=cast.foreign)
    status, answer = ask(client_of(cast.dave), cast, waiting)
    assert status == 400
    assert "is no snapshot of this project" in str(answer["detail"])


def test_a_base_that_cannot_be_taught_is_refused(cast: Cast, snapshot: DatasetSnapshot) -> None:
    for kind in ("api", "imported", "reward"):
        ModelVersion.objects.create(name=kind, kind=kind, location=f"api:{kind}", family="", created_at=timezone.now())
        status, answer = ask(client_of(cast.dave), cast, snapshot, base_model=kind)
        assert status == 400
        assert "cannot be taught" in str(answer["detail"])
    status, answer = ask(client_of(cast.dave), cast, snapshot, base_model="nothing")
    assert (status, answer["code"]) == (400, "invalid")


def test_a_snapshot_without_a_decided_pair_is_refused_at_once(cast: Cast, snapshot: DatasetSnapshot) -> None:
    snapshot.manifest["counts"]["train"]["pairs"] = 0
    with pytest.raises(InvalidInput, match="holds no pairs to learn from"):
        services.start_finetune(
            cast.project, cast.dave, timezone.now(), snapshot=snapshot, base=cast.model, method="dpo"
        )


def test_a_run_whose_base_is_not_on_this_machine_learns_its_steps_from_the_worker(
    cast: Cast, snapshot: DatasetSnapshot, model_folders: Path
) -> None:
    (model_folders / "painter").rename(model_folders / "elsewhere")
    run = start(cast, snapshot)
    assert (run.filled, run.steps) == ({}, 1)
    services.report(told(claim()), timezone.now())
    assert FinetuneRun.objects.with_parts().get(pk=run.pk).steps == 200


def test_two_who_start_a_run_get_numbers_of_their_own(cast: Cast, snapshot: DatasetSnapshot) -> None:
    assert [start(cast, snapshot).number for _ in range(3)] == [1, 2, 3]


def test_more_points_and_grids_than_are_kept_are_dropped(
    cast: Cast, snapshot: DatasetSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MAX_POINTS", 3)
    monkeypatch.setattr(services, "MAX_GRIDS", 1)
    run = start(cast, snapshot)
    request = claim()
    services.report(told(request), timezone.now())
    again = told(request, range(5, 9))
    services.report(again.model_copy(update={"grids": (SampleGrid(step=9, images=()),)}), timezone.now())
    assert FinetunePoint.objects.filter(run=run).count() == 3
    assert FinetuneGrid.objects.filter(run=run).count() == 1


def test_the_defaults_of_the_reward_model_are_those_that_it_is_trained_with(tmp_path: Path) -> None:
    from finetune.reward import config_of  # it loads torch

    config = config_of(tmp_path, tmp_path, TrainSettings())
    said = (config.steps, config.learning_rate, config.batch, config.warmup_steps, config.clip_norm)
    wanted = REWARD_DEFAULTS
    assert said == (wanted.steps, wanted.learning_rate, wanted.batch, wanted.warmup_steps, wanted.clip)
    assert config.checkpoint_every == wanted.checkpoint_every


def test_the_doctor_names_a_model_whose_weights_are_gone_from_storage(
    cast: Cast, snapshot: DatasetSnapshot, storage_folder: Path
) -> None:
    start(cast, snapshot)
    made = services.finish(result(claim()), timezone.now()).made
    assert made is not None
    assert not [problem for problem in health().problems if made.name in problem]
    (storage_folder / made.location.removeprefix("storage:")).unlink()
    (problem,) = [problem for problem in health().problems if made.name in problem]
    assert "is missing from" in problem
