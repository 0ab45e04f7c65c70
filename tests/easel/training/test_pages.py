"""The pages of fine-tunes as HTML."""

from __future__ import annotations

import csv
import io

import pytest
from django.utils import timezone
from easel.snapshots.models import DatasetSnapshot
from easel.training import services
from easel.training.models import FinetuneRun
from rest_framework.test import APIClient

from finetune import defaults
from finetune.types import TrainSettings
from tests.cast import Cast, browser_of
from tests.easel.training.stage import claim, failed, frozen, result, start, told


@pytest.fixture
def snapshot(cast: Cast) -> DatasetSnapshot:
    """A frozen snapshot of three rankings."""
    return frozen(cast)


def page(client: APIClient, cast: Cast, run: FinetuneRun | None = None, query: str = "") -> str:
    """Return a page of fine-tunes as text."""
    address = f"/projects/{cast.project.pk}/finetunes/{f'{run.pk}/' if run else ''}{query}"
    response = client.get(address)
    assert response.status_code == 200
    return str(response.content.decode())


def test_without_a_snapshot_the_page_leads_to_one(cast: Cast) -> None:
    shown = page(browser_of(cast.dave), cast)
    assert "First, a snapshot" in shown
    assert f"/projects/{cast.project.pk}/snapshots/" in shown
    assert "Start run" not in shown


def test_the_form_shows_defaults_says_what_methods_do_and_when_the_time_is_not_known(
    cast: Cast, snapshot: DatasetSnapshot
) -> None:
    shown = page(browser_of(cast.dave), cast)
    steps = defaults.fill("listwise", 0, TrainSettings()).steps
    assert steps is not None
    assert f'name="steps" maxlength="30" inputmode="decimal" autocomplete="off" placeholder="{steps}"' in shown
    assert "Learns from whole rankings" in shown
    assert "How long it takes cannot be told: no run of this method on this base is finished yet." in shown
    start(cast, snapshot)
    done = result(claim()).model_copy(update={"steps": steps})
    services.finish(done, timezone.now())
    shown = page(browser_of(cast.dave), cast)
    assert f"{steps} steps take about 1 min 6 s: so quick was run 1 on cpu." in shown
    parts = page(browser_of(cast.dave), cast, query="settings/?method=rwr&steps=100")
    assert "Temperature" in parts
    assert "Beta" not in parts


def test_a_run_is_started_on_the_page_and_a_mistake_is_told_at_its_field(cast: Cast, snapshot: DatasetSnapshot) -> None:
    client, address = browser_of(cast.dave), f"/projects/{cast.project.pk}/finetunes/"
    sent = {"snapshot": str(snapshot.pk), "base": str(cast.model.pk), "method": "dpo", "steps": "0"}
    wrong = client.post(address, sent, format="multipart")
    assert wrong.status_code == 400
    assert "steps: Input should be greater than or equal to 1" in wrong.content.decode()
    right = client.post(address, sent | {"steps": "30", "batch": "4"}, format="multipart")
    run = FinetuneRun.objects.get()
    assert right.headers["Location"] == f"{address}{run.pk}/"
    assert (run.asked().steps, run.asked().batch, run.method) == (30, 4, "dpo")


def test_a_run_shows_its_curves_its_figures_and_its_samples(cast: Cast, snapshot: DatasetSnapshot) -> None:
    client, run = browser_of(cast.dave), start(cast, snapshot)
    assert "They begin with the first step." in page(client, cast, run)
    request = claim()
    services.report(told(request), timezone.now())
    shown = page(client, cast, run)
    for title in ("Loss", "Implicit accuracy", "Error against the base", "Memory", "Pace"):
        assert f"<h3>{title}</h3>" in shown
    assert 'aria-label="Implicit accuracy, newest: training 58%; held out 60%"' in shown
    assert f"/finetunes/{run.pk}/samples/4/0/" in shown
    assert client.get(f"/finetunes/{run.pk}/samples/4/0/").headers["Content-Type"] == "image/png"
    assert client.get(f"/finetunes/{run.pk}/samples/4/99/").status_code == 404
    rows = list(csv.reader(io.StringIO(client.get(f"/finetunes/{run.pk}/figures/").content.decode())))
    assert rows[0][:2] == ["step", "loss"]
    assert len(rows) == 5
    part = client.get(f"/projects/{cast.project.pk}/finetunes/{run.pk}/", HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in part
    assert 'hx-trigger="every 2s"' in part


def test_a_finished_run_leads_to_its_model_and_the_model_says_where_it_comes_from(
    cast: Cast, snapshot: DatasetSnapshot
) -> None:
    client, run = browser_of(cast.dave), start(cast, snapshot)
    made = services.finish(result(claim()), timezone.now()).made
    assert made is not None
    shown = page(client, cast, run)
    assert f"/models/{made.pk}/" in shown
    assert snapshot.sha256 in shown
    assert "every 2s" not in shown
    model = client.get(f"/models/{made.pk}/").content.decode()
    assert snapshot.sha256 in model
    assert "Painter" in model


def test_a_failed_run_says_why_and_offers_another_try_to_those_who_may(cast: Cast, snapshot: DatasetSnapshot) -> None:
    run = start(cast, snapshot)
    failed(claim())
    shown = page(browser_of(cast.dave), cast, run)
    assert "does not fit into the memory. Lower batch." in shown
    assert f"/finetunes/{run.pk}/retry/" in shown
    assert browser_of(cast.bob).get(f"/projects/{cast.project.pk}/finetunes/{run.pk}/").status_code == 403


def test_a_run_of_another_project_is_not_found_under_this_one(cast: Cast, snapshot: DatasetSnapshot) -> None:
    run = start(cast, snapshot)
    address = f"/projects/{cast.foreign.pk}/finetunes/{run.pk}/"
    assert browser_of(cast.dave).get(address).status_code == 404
    assert browser_of(cast.charlie).get(address).status_code == 404
