"""Live mode as an annotator goes through it: generate, watch, rank, go on; what is one's own stays one's own."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.models import Annotation, Assignment, Item
from easel.annotation.progress import day_of, next_step, overview_of
from easel.common import jobs
from easel.images.models import Candidate
from easel.images.progress import images_on_their_way
from easel.images.services import record_images
from easel.projects.models import Project
from easel.snapshots.services import freeze_next, take_snapshot
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from generation.types import Failure, Progress, RenderedImages
from tests import cast as stage
from tests import live
from tests.cast import API, Cast, client_of, in_parallel


@pytest.fixture
def project(cast: Cast) -> Project:
    """The project with a live form."""
    return live.go_live(cast.project)


def queue(client: APIClient, project: Project) -> Any:
    """Ask for the next item as in batch mode."""
    return client.post(f"{API}/projects/{project.pk}/assignments/", {})


# --- From the press to the ranking ---


def test_images_show_as_they_come_and_keep_their_places(project: Project, bob: APIClient) -> None:
    attempt = live.ask(bob, project)
    rendered = stage.render(stage.claim())
    lease = rendered.lease
    jobs.heartbeat(Progress(lease=lease, done=0, total=4, step=3, steps=8, note="image 1 of 4"), timezone.now())
    told = live.look(bob, attempt)
    assert (told["state"], told["candidates"], told["assignment"]) == ("running", [], None)
    assert told["progress"] == {"done": 0, "total": 4, "step": 3, "steps": 8, "note": "image 1 of 4"}

    record_images(RenderedImages(lease=lease, images=rendered.images[:1]), timezone.now())
    told = live.look(bob, attempt)
    (first,) = told["candidates"]
    assert (told["progress"]["done"], told["outcome"]) == (1, "waiting")
    assert bob.get(first["url"]).status_code == 200

    record_images(RenderedImages(lease=lease, images=rendered.images[1:]), timezone.now())
    told = live.look(bob, attempt)
    assert (told["state"], told["assignment"]) == ("done", None), "its item is made a moment later"
    gather(timezone.now(), project)
    told = live.look(bob, attempt)
    assert told["outcome"] == "open"
    assert told["assignment"]["item"]["candidates"] == told["candidates"]
    assert told["candidates"][0] == first
    assert told["assignment"]["item"]["prompt"]["text"] == "a red apple"
    assert told["assignment"]["template_version"] == str(project.template_version_id)


def test_the_item_is_for_the_person_who_asked_alone(project: Project, cast: Cast, bob: APIClient) -> None:
    live.made(cast, bob)
    item = Item.objects.get()
    assert (item.audience, item.needs) == ("requester", 1)
    assert Assignment.objects.get().annotator == cast.bob
    for user in (cast.alice, cast.bob, cast.erin):
        assert queue(client_of(user), project).status_code == 204
        assert day_of(user, project, timezone.now()).left == 0


def test_gathering_again_leases_once(committed_cast: Cast) -> None:
    live.go_live(committed_cast.project)
    live.ask(client_of(committed_cast.bob), committed_cast.project)
    stage.work_off()
    in_parallel(4, lambda _: gather(timezone.now()))
    assert Assignment.objects.count() == Item.objects.count() == 1


def test_a_form_of_one_image_is_answered_too(cast: Cast, bob: APIClient) -> None:
    form = deepcopy(live.FORM)
    kept = [part for part in form["components"] if part["name"] in {"prompt", "go", "why"}]
    form["components"] = [*kept[:2], {"type": "image", "name": "image", "label": "Image"}, kept[2]]
    live.go_live(cast.project, form)
    told = live.made(cast, bob)
    assert len(told["assignment"]["item"]["candidates"]) == 1
    body = {"answers": {"why": "crisp"}, "active_ms": 5}
    assert bob.put(f"{API}/assignments/{told['assignment']['id']}/annotation/", body).status_code == 201


def test_it_is_submitted_like_any_other_and_nothing_comes_next(project: Project, cast: Cast, bob: APIClient) -> None:
    told = live.made(cast, bob)
    done = live.submit(bob, told, why="It is the reddest.")
    assert (done.status_code, done.json()["next"]) == (201, None)
    annotation_ = Annotation.objects.get()
    assert annotation_.ranking == [[one["id"]] for one in told["candidates"]]
    assert live.submit(bob, told, why="It is the reddest.").status_code == 200
    again = live.look(bob, told["id"])
    assert (again["outcome"], again["assignment"]) == ("ranked", None)
    assert Item.objects.get().state == "done"


def test_batch_items_of_a_live_project_are_not_leased_in_passing(project: Project, cast: Cast, bob: APIClient) -> None:
    stage.make_items(cast, 2)
    told = live.made(cast, bob)
    assert live.submit(bob, told).json()["next"] is None
    told = live.made(cast, bob, "a pear")
    skipped = bob.post(f"{API}/assignments/{told['assignment']['id']}/skip/", {"reason": "unsure"})
    assert (skipped.status_code, skipped.json()["next"]) == (201, None)
    assert not Assignment.objects.filter(item__audience="").exists()
    assert queue(bob, project).status_code == 201, "who asks for them gets them"


def test_drafts_heartbeats_and_late_answers_work_as_they_do(project: Project, cast: Cast, bob: APIClient) -> None:
    told = live.made(cast, bob)
    own = f"{API}/assignments/{told['assignment']['id']}"
    assert bob.put(f"{own}/draft/", {"answers": {"why": "crisp"}, "version": 0}).json() == {"version": 1}
    assert live.look(bob, told["id"])["assignment"]["draft"] == {"answers": {"why": "crisp"}, "version": 1}
    Assignment.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    assert bob.put(f"{own}/heartbeat/").status_code == 200
    Assignment.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    assert live.submit(bob, told).status_code == 201
    assert Assignment.objects.get().state == "submitted"


def test_the_form_that_was_filled_in_judges_the_answers(project: Project, cast: Cast, bob: APIClient) -> None:
    attempt = live.ask(bob, project)
    form = deepcopy(live.FORM)
    form["components"][-1]["required"] = True
    before = project.template_version_id
    live.go_live(project, form)
    stage.work_off()
    gather(timezone.now())
    told = live.look(bob, attempt)
    assert told["assignment"]["template_version"] == str(before)
    assert live.submit(bob, told).status_code == 201


# --- Going on, and going back ---


def test_a_reload_goes_on_with_the_newest_attempt_while_it_is_unfinished(
    project: Project, cast: Cast, bob: APIClient
) -> None:
    assert live.attempts(bob, project, "?open=true") == []
    attempt = live.ask(bob, project, count=3, settings={"steps": 5})
    (running,) = live.attempts(bob, project, "?open=1")
    assert (running["id"], running["values"]) == (
        attempt,
        {"prompt": "a red apple", "count": 3, "settings": {"steps": 5}},
    )
    stage.work_off()
    (waiting,) = live.attempts(bob, project, "?open=1")
    assert waiting["state"] == "done"
    gather(timezone.now())
    assert [one["id"] for one in live.attempts(bob, project, "?open=1")] == [attempt]
    live.submit(bob, live.look(bob, attempt))
    assert live.attempts(bob, project, "?open=1") == []
    assert [one["id"] for one in live.attempts(bob, project)] == [attempt]


@pytest.mark.parametrize("end", ["skip", "cancel", "fail"])
def test_what_is_over_is_not_gone_on_with(project: Project, cast: Cast, bob: APIClient, end: str) -> None:
    live.made(cast, bob)  # never ranked: it does not come back
    if end == "skip":
        told = live.made(cast, bob, "a pear")
        bob.post(f"{API}/assignments/{told['assignment']['id']}/skip/", {"reason": "unsure"})
    else:
        attempt = live.ask(bob, project, "a pear")
        if end == "cancel":
            assert bob.post(f"{API}/attempts/{attempt}/cancel/").json()["state"] == "cancelled"
        else:
            lease = stage.claim().lease
            failure = Failure(lease=lease, code="model_broken", reason="It has no weights.", retryable=False)
            jobs.fail(failure, timezone.now())
            told = live.look(bob, attempt)
            assert (told["state"], told["error"]) == ("failed", "It has no weights.")
    assert live.attempts(bob, project, "?open=1") == []


def test_every_attempt_is_kept_with_its_settings_and_its_images(project: Project, cast: Cast, bob: APIClient) -> None:
    first = live.made(cast, bob, "a red apple", settings={"steps": 4})
    second = live.made(cast, bob, "a red apple", settings={"steps": 9}, vary=first["candidates"][1]["id"])
    live.submit(bob, second)
    newest, oldest = live.attempts(bob, project)
    assert (newest["id"], newest["outcome"], newest["settings"]["steps"]) == (second["id"], "ranked", 9)
    assert (oldest["id"], oldest["outcome"], oldest["settings"]["steps"]) == (first["id"], "open", 4)
    assert (newest["varies"], newest["settings"]["strength"]) == (first["candidates"][1]["id"], 0.7)
    assert oldest["candidates"] == first["candidates"]
    assert "assignment" not in oldest
    page = bob.get(f"{API}/projects/{project.pk}/attempts/?page_size=1").json()
    assert [one["id"] for one in bob.get(page["next"]).json()["results"]] == [first["id"]]


def test_an_attempt_that_was_never_ranked_blocks_nothing(project: Project, cast: Cast, bob: APIClient) -> None:
    first = live.made(cast, bob)
    second = live.made(cast, bob)
    assert live.submit(bob, second).status_code == 201
    figures = overview_of(project, timezone.now())
    assert (figures.items, figures.items_done, figures.items_left) == (1, 1, 0)
    assert next_step(figures, live=False, failed=False) == "export"
    assert images_on_their_way(project) == 0
    listed = Project.objects.of(cast.alice).with_figures().get(pk=project.pk)
    assert (listed.items_count, listed.items_done_count) == (1, 1)
    assert live.submit(bob, first).status_code == 201, "whoever goes back to it may rank it after all"


def test_cancelling_keeps_what_is_there_and_twice_is_a_conflict(project: Project, bob: APIClient) -> None:
    attempt = live.ask(bob, project)
    rendered = stage.render(stage.claim())
    record_images(RenderedImages(lease=rendered.lease, images=rendered.images[:3]), timezone.now())
    told = bob.post(f"{API}/attempts/{attempt}/cancel/")
    assert (told.status_code, told.json()["state"], len(told.json()["candidates"])) == (202, "cancelled", 3)
    assert bob.post(f"{API}/attempts/{attempt}/cancel/").status_code == 409
    gather(timezone.now())
    assert live.look(bob, attempt)["assignment"] is None
    assert live.press(bob, project, vary=told.json()["candidates"][0]["id"]).status_code == 202, (
        "its images may be varied"
    )


# --- Whose it is ---


def test_nobody_else_sees_an_attempt(project: Project, cast: Cast, bob: APIClient) -> None:
    told = live.made(cast, bob)
    for user in (cast.alice, cast.charlie, cast.dave, cast.erin):
        other = client_of(user)
        assert other.get(f"{API}/attempts/{told['id']}/").status_code == 404
        assert other.post(f"{API}/attempts/{told['id']}/cancel/").status_code == 404
        assert other.put(f"{API}/assignments/{told['assignment']['id']}/annotation/", {}).status_code == 404
    assert live.attempts(client_of(cast.alice), project) == []
    assert client_of(cast.dave).post(f"{API}/projects/{project.pk}/attempts/", {"values": {}}).status_code == 403
    assert client_of(cast.charlie).get(f"{API}/projects/{project.pk}/attempts/").status_code == 404


def test_who_left_the_project_has_no_attempts_there(project: Project, cast: Cast, bob: APIClient) -> None:
    told = live.made(cast, bob)
    project.memberships.filter(user=cast.bob).delete()
    assert bob.get(f"{API}/attempts/{told['id']}/").status_code == 404
    assert live.submit(bob, told).status_code == 404


def test_a_batch_request_is_no_attempt(project: Project, cast: Cast) -> None:
    request = stage.generate(cast, stage.make_prompts(project, "a fox"))
    assert client_of(cast.alice).get(f"{API}/attempts/{request.pk}/").status_code == 404


def test_an_attempt_tells_neither_seeds_nor_files(project: Project, cast: Cast, bob: APIClient) -> None:
    told = live.made(cast, bob)
    body = bob.get(f"{API}/attempts/{told['id']}/").content.decode()
    for one in Candidate.objects.all():
        assert [secret for secret in (str(one.seed), one.key, one.sha256, str(one.chunk_id)) if secret in body] == []


# --- What becomes of the answers ---


def test_a_live_ranking_exports_with_its_settings_and_is_learnt_from(
    project: Project, cast: Cast, bob: APIClient, alice: APIClient
) -> None:
    for fruit in ("apple", "boat", "crow", "drum", "egg", "fox"):
        live.submit(bob, live.made(cast, bob, f"an icon: {fruit}", settings={"steps": 6}))
    answer = alice.get(f"{API}/projects/{project.pk}/export/?format=jsonl")
    rows = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]  # type: ignore[attr-defined]
    assert len(rows) == 6
    assert {one["settings"]["steps"] for row in rows for one in row["candidates"]} == {6}
    assert not any(row["evaluation"] for row in rows)
    snapshot = take_snapshot(project, cast.dave, timezone.now())
    assert freeze_next("a test")
    snapshot.refresh_from_db()
    assert snapshot.total("judgements") == 6


def test_a_long_history_costs_as_many_queries_as_a_short_one(
    project: Project, cast: Cast, bob: APIClient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for fruit in ("apple", "pear", "plum", "fig"):
        live.made(cast, bob, f"a {fruit}", count=2)
    with django_assert_max_num_queries(6):
        assert len(live.attempts(bob, project)) == 4
