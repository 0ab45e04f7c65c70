"""Snapshots over REST, on pages, from the command line, and as a download."""

from __future__ import annotations

import io
import json
import logging
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner
from django.db import OperationalError, connections
from django.utils import timezone
from easel.accounts.models import User
from easel.annotation.gathering import gather
from easel.cli import easel
from easel.projects.models import Project
from easel.prompts.models import Prompt
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.services import freeze_next, take_snapshot
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from finetune import snapshot as folders
from tests import cast as stage
from tests.cast import API, Cast, browser_of, client_of
from tests.easel.snapshots.test_snapshots import icons, in_order, rank

FORM: dict[str, Any] = {"validation": 5, "test": 5, "seed": 0}
"""What the form sends, left as it is."""


@pytest.fixture
def ranked(cast: Cast) -> Cast:
    """bob ranked three items."""
    icons(cast, 3)
    for _ in range(3):
        rank(cast, cast.bob, in_order)
    return cast


@pytest.fixture
def dave(cast: Cast) -> APIClient:
    """The engineer's API client."""
    return client_of(cast.dave)


def address(cast: Cast, more: str = "") -> str:
    """Where a project's snapshots are, on pages; the API's lies below /api/v1."""
    return f"/projects/{cast.project.pk}/snapshots/{more}"


def freeze(cast: Cast) -> DatasetSnapshot:
    """Take a snapshot and freeze it."""
    taken = take_snapshot(cast.project, cast.dave, timezone.now())
    assert freeze_next("a test")
    return DatasetSnapshot.objects.select_related("job").get(pk=taken.pk)


def text_of(answer: Any) -> str:
    """A page as text, its blanks put together."""
    return " ".join(answer.content.decode().split())


# REST


def test_an_engineer_takes_a_snapshot_and_reads_how_far_it_is(ranked: Cast, dave: APIClient) -> None:
    asked = {"name": "Round 1", "filters": {"since": "2020-01-01"}, "split": {"seed": 3, "test": 0.1}}
    taken = dave.post(f"{API}{address(ranked)}", asked, format="json")
    assert taken.status_code == 202
    body = taken.json()
    assert (body["name"], body["state"], body["counts"], body["sha256"]) == ("Round 1", "waiting", {}, "")
    assert body["progress"] == {"done": 0, "total": 3, "note": ""}
    assert body["filters"] == {"since": "2020-01-01"}
    assert body["split"] == {"seed": 3, "validation": 0.05, "test": 0.1}
    assert freeze_next("a test")
    body = dave.get(f"{API}/snapshots/{body['id']}/").json()
    assert (body["state"], body["progress"]["done"], body["annotators"]) == ("frozen", 3, 1)
    assert sum(counts["judgements"] for counts in body["counts"].values()) == 3
    assert len(body["sha256"]) == 64
    listed = dave.get(f"{API}{address(ranked)}").json()
    assert [one["id"] for one in listed["results"]] == [body["id"]]


def test_a_snapshot_that_fails_says_why(cast: Cast, dave: APIClient) -> None:
    prompts = stage.make_prompts(cast.project, "a red apple", "Red apples!")
    stage.generate(cast, prompts)
    stage.work_off()
    gather(timezone.now(), cast.project)
    stage.annotate(cast.project, cast.bob, 2)
    body = dave.post(f"{API}{address(cast)}", {}, format="json").json()
    assert freeze_next("a test")
    body = dave.get(f"{API}/snapshots/{body['id']}/").json()
    assert (body["state"], body["error_code"]) == ("failed", "nothing_to_learn")
    assert "of one prompt" in body["error"]
    page = browser_of(cast.dave).get(address(cast, f"{body['id']}/"))
    assert "It could not be frozen." in text_of(page)
    refused = dave.get(f"{API}/snapshots/{body['id']}/download/")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"filters": {"since": "yesterday"}}, "filters.since"),
        ({"filters": {"since": "2026-02-02", "until": "2026-02-01"}}, "filters"),
        ({"filters": {"review": "praised"}}, "filters.review"),
        ({"filters": {"least_agreement": 70}}, "filters.least_agreement"),
        ({"filters": {"template_version": "1"}}, "filters.template_version"),
        ({"split": {"seed": -1}}, "split.seed"),
        ({"split": {"test": 0.9}}, "split.test"),
        ({"split": {"test": "nan"}}, "split.test"),
        ({"filters": {"least_agreement": "nan"}}, "filters.least_agreement"),
        ({"filters": {"categories": ["a\0"]}}, "filters.categories.0"),
        ({"name": "x" * 101}, "name"),
    ],
)
def test_a_wrong_field_is_named(ranked: Cast, dave: APIClient, asked: dict[str, Any], field: str) -> None:
    refused = dave.post(f"{API}{address(ranked)}", asked, format="json")
    assert (refused.status_code, list(refused.json()["fields"])) == (400, [field])
    assert not DatasetSnapshot.objects.exists()


def test_nothing_to_learn_is_a_refusal_with_its_code(cast: Cast, dave: APIClient) -> None:
    refused = dave.post(f"{API}{address(cast)}", {}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (400, "nothing_to_learn")
    assert refused.json()["detail"] == "The project has no annotations yet. Rank some images first."


# The download


def test_the_download_is_the_folder_that_trainers_read(ranked: Cast, dave: APIClient, tmp_path: Path) -> None:
    snapshot = freeze(ranked)
    answer: Any = dave.get(f"{API}/snapshots/{snapshot.pk}/download/")
    assert answer.streaming
    assert answer["Content-Disposition"] == f'attachment; filename="snapshot-1-{snapshot.sha256[:8]}.zip"'
    blocks = list(answer.streaming_content)
    assert len(blocks) > 12  # one at least for each image: never the whole of it
    with zipfile.ZipFile(io.BytesIO(b"".join(blocks))) as packed:
        assert packed.testzip() is None
        names = packed.namelist()
        assert len(names) == len(set(names)) == 5 + 12
        packed.extractall(tmp_path)
    folder = tmp_path / f"snapshot-1-{snapshot.sha256[:8]}"
    assert folders.check(folder).sha256 == snapshot.sha256


def test_a_download_whose_files_are_gone_is_a_refusal(ranked: Cast, dave: APIClient, storage_folder: Path) -> None:
    snapshot = freeze(ranked)
    (storage_folder / snapshot.files[0]["key"]).unlink()
    refused = dave.get(f"{API}/snapshots/{snapshot.pk}/download/")
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")


# Pages


def test_an_empty_project_is_led_to_ranking_and_a_ranked_one_to_its_first_snapshot(cast: Cast) -> None:
    page = browser_of(cast.dave).get(address(cast))
    assert "First, somebody has to rank images." in text_of(page)
    assert address(cast, "new/") not in text_of(page)
    icons(cast, 2)
    rank(cast, cast.bob, in_order)
    assert address(cast, "new/") in text_of(browser_of(cast.dave).get(address(cast)))


def test_the_form_counts_what_it_would_take(ranked: Cast) -> None:
    Prompt.objects.filter(project=ranked.project, text="an icon: crow").update(metadata={"category": "animals"})
    robot = stage.make_user("robot", ranked.project, kind=User.Kind.SIMULATED)
    icons(ranked, 3)
    for _ in range(2):
        rank(ranked, robot, in_order)
    browser = browser_of(ranked.dave)
    page = text_of(browser.get(address(ranked, "new/")))
    assert "<dt>Annotations</dt><dd>3 <small>of 5</small></dd>" in page
    assert "animals" in page
    count = text_of(browser.get(address(ranked, "count/"), {**FORM, "include_simulated": "on"}))
    assert "<dd>5 <small>of 5</small></dd>" in count
    assert "fewer than 20 prompts" in count
    none = text_of(browser.get(address(ranked, "count/"), {**FORM, "until": "2020-01-01"}))
    assert "The filters leave none of the 5 annotations" in none
    wrong = text_of(browser.get(address(ranked, "count/"), {**FORM, "least_agreement": "many"}))
    assert "Mend the fields that are marked" in wrong


def test_the_form_takes_a_snapshot_and_the_page_follows_it(ranked: Cast) -> None:
    browser = browser_of(ranked.dave)
    sent = browser.post(
        address(ranked, "new/"), {**FORM, "name": "Round 1", "validation": 10, "seed": 4}, format="multipart"
    )
    snapshot = DatasetSnapshot.objects.get()
    assert (sent.status_code, sent["Location"]) == (302, address(ranked, f"{snapshot.pk}/"))
    assert (snapshot.name, snapshot.split_seed, snapshot.validation_share) == ("Round 1", 4, 0.1)
    waiting = text_of(browser.get(address(ranked, f"{snapshot.pk}/")))
    assert 'hx-trigger="every 1s"' in waiting
    assert "0 of 3 annotations" in waiting
    assert freeze_next("a test")
    frozen = text_of(browser.get(address(ranked, f"{snapshot.pk}/"), headers={"HX-Request": "true"}))
    assert "hx-trigger" not in frozen
    assert "<!doctype" not in frozen
    for said in (
        "A few of its items",
        "an icon: apple",
        "# Round 1",
        "as pseudonyms",
        "empty, for there are few prompts",
    ):
        assert said in frozen
    assert "Round 1" in text_of(browser.get(address(ranked)))


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"since": "2026-02-02", "until": "2026-02-01"}, "The last day comes before the first one."),
        ({"categories": "none"}, "not one of the available choices"),
        ({"until": "2020-01-01"}, "The filters leave none"),
    ],
)
def test_a_form_with_a_mistake_says_so_and_takes_nothing(ranked: Cast, sent: dict[str, str], words: str) -> None:
    Prompt.objects.filter(project=ranked.project).update(metadata={"category": "animals"})
    page = browser_of(ranked.dave).post(address(ranked, "new/"), {**FORM, **sent}, format="multipart")
    assert page.status_code == 400
    assert words in text_of(page)
    assert not DatasetSnapshot.objects.exists()


def test_the_page_of_a_snapshot_whose_files_are_gone_says_so(ranked: Cast, storage_folder: Path) -> None:
    snapshot = freeze(ranked)
    for file in snapshot.files:
        (storage_folder / file["key"]).unlink(missing_ok=True)  # two empty splits are one file
    page = browser_of(ranked.dave).get(address(ranked, f"{snapshot.pk}/"))
    assert page.status_code == 200
    assert "restore it from a backup" in text_of(page)


def test_a_snapshot_is_not_found_below_another_project(ranked: Cast) -> None:
    snapshot = freeze(ranked)
    other = Project.objects.get(pk=ranked.foreign.pk)
    other.memberships.create(user=ranked.dave, role="engineer", created_at=timezone.now())
    found = browser_of(ranked.dave).get(f"/projects/{other.pk}/snapshots/{snapshot.pk}/")
    assert found.status_code == 404


def test_a_list_takes_no_more_statements_for_more_snapshots(
    ranked: Cast, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(6):
        freeze(ranked)
    browser = browser_of(ranked.dave)
    with django_assert_max_num_queries(8):
        assert browser.get(address(ranked)).status_code == 200


# The command line


@pytest.fixture
def worker(transactional_db: None) -> Iterator[None]:
    """A worker that freezes what waits, as the platform's own does."""
    running = True

    def work() -> None:
        while running:
            try:
                freeze_next("a test")
            except OperationalError:  # a machine that is busy elsewhere has no connection in time: as a true one, go on
                logging.exception("the worker starts anew")
            finally:
                connections.close_all()
            time.sleep(0.05)

    thread = Thread(target=work, daemon=True)
    thread.start()
    yield
    running = False
    thread.join(60)
    assert not thread.is_alive()


def snapshot_command(*arguments: str) -> Any:
    """Run `easel snapshot`."""
    return CliRunner().invoke(easel, ["snapshot", *arguments])


def test_the_command_takes_a_snapshot_and_waits_until_it_is_frozen(committed_cast: Cast, worker: None) -> None:
    cast = committed_cast
    icons(cast, 2)
    for _ in range(2):
        rank(cast, cast.bob, in_order)
    done = snapshot_command("--project", str(cast.project.pk), "--name", "Round 1", "--wait", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    snapshot = DatasetSnapshot.objects.get(pk=said["id"])
    assert said["sha256"] == snapshot.sha256 != ""
    assert (said["state"], said["name"]) == ("frozen", "Round 1")
    assert sum(counts["judgements"] for counts in said["counts"].values()) == 2


def test_the_command_refuses_with_one_line(cast: Cast) -> None:
    refused = snapshot_command("--project", str(cast.project.pk))
    assert refused.exit_code == 1
    assert str(refused.exception) == "The project has no annotations yet. Rank some images first."


def test_the_command_asks_for_simulated_annotators(cast: Cast) -> None:
    robot = stage.make_user("robot", cast.project, kind=User.Kind.SIMULATED)
    icons(cast, 2)
    for _ in range(2):
        rank(cast, robot, in_order)
    assert snapshot_command("--project", str(cast.project.pk)).exit_code == 1
    done = snapshot_command("--project", str(cast.project.pk), "--include-simulated", "--no-wait")
    assert done.exit_code == 0
    assert DatasetSnapshot.objects.get().include_simulated
