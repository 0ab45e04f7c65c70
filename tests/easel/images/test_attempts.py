"""What a live form asks for: checked, counted against the day's quota, rendered first, and kept."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.common.models import Job
from easel.common.storage import storage
from easel.images import attempts
from easel.images.attempts import QuotaReached, attempt, quota_of
from easel.images.models import Attempt, Candidate, GenerationRequest
from easel.projects.models import Project
from easel.projects.services import add_member
from easel.prompts.models import ConditioningImage, Prompt
from easel.registry.models import ModelVersion
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from tests import cast as stage
from tests import live
from tests.cast import API, Cast, browser_of, client_of, in_parallel


@pytest.fixture
def project(cast: Cast) -> Project:
    """The project with a live form."""
    return live.go_live(cast.project)


def test_an_attempt_is_rendered_live_for_the_person_who_asked(project: Project, bob: APIClient, cast: Cast) -> None:
    settings = {"steps": 6, "guidance_scale": 2.5, "size": [64, 64], "seed": 7}
    told = live.press(
        bob, project, " a red apple ", negative="text", painter=str(cast.model.pk), count=3, settings=settings
    )
    assert told.status_code == 202
    request = GenerationRequest.objects.get(pk=told.json()["id"])
    assert (request.kind, request.audience, request.overlap) == ("live", "requester", 1)
    assert (request.created_by, request.images_total, request.images_per_prompt) == (cast.bob, 3, 3)
    chunk = request.chunk_set.get()
    assert chunk.job.lane == Job.Lane.LIVE
    (prompt,) = chunk.render_prompts()
    assert (prompt.text, prompt.negative) == ("a red apple", "text")
    assert [slot.seed for slot in prompt.slots] == [7, 8, 9]
    rendered = request.render_settings()
    assert (rendered.steps, rendered.guidance_scale, rendered.width, rendered.strength) == (6, 2.5, 64, None)
    assert told.json()["values"]["settings"] == settings
    assert told.json()["settings"]["steps"] == 6
    assert told.json()["model"] == {"id": str(cast.model.pk), "name": "Painter"}
    assert told.json()["state"] == "queued"


def test_a_prompt_that_the_project_has_is_not_added_again(project: Project, bob: APIClient) -> None:
    (known,) = stage.make_prompts(project, "a red apple")
    for _ in range(2):
        live.ask(bob, project, "a red apple")
    assert Prompt.objects.of_project(project).get() == known


def test_without_a_choice_the_projects_generator_paints(project: Project, bob: APIClient, cast: Cast) -> None:
    tuned = ModelVersion.objects.create(
        name="Tuned", kind="adapter", base=cast.model, family="lora", location="storage:x", created_at=timezone.now()
    )
    assert live.press(bob, project).json()["model"]["name"] == "Painter"
    Project.objects.filter(pk=project.pk).update(generator=tuned)
    assert live.press(bob, project).json()["model"]["name"] == "Tuned"


def refused(answer: Any, component: str, *words: str) -> None:
    """Check that an attempt was refused in one line that names the component, and left nothing behind."""
    assert answer.status_code == 400, answer.content
    body = answer.json()
    assert body["code"] == "invalid_answers"
    assert list(body["fields"]) == [component]
    assert "\n" not in body["detail"]
    assert [word for word in (component, *words) if word not in body["detail"]] == []
    assert not GenerationRequest.objects.exists() and not Prompt.objects.filter(held_out=False).exists()


def test_a_model_that_is_gone_is_named_with_the_mend(project: Project, bob: APIClient) -> None:
    gone = str(uuid4())
    refused(live.press(bob, project, painter=gone), "painter", gone, "Choose another one", "builds the template")


@pytest.mark.parametrize("kind", ["imported", "reward", "controlnet"])
def test_a_model_that_cannot_paint_from_a_text_is_refused(
    project: Project, bob: APIClient, cast: Cast, kind: str
) -> None:
    unfit = ModelVersion.objects.create(
        name="Unfit", kind=kind, base=cast.model, family="x", location="folder:unfit", created_at=timezone.now()
    )
    refused(live.press(bob, project, painter=str(unfit.pk)), "painter", "Unfit", "Choose another one")


def test_without_any_model_the_form_says_whom_to_ask(project: Project, bob: APIClient, cast: Cast) -> None:
    cast.model.delete()
    refused(live.press(bob, project), "painter", "no model", "site admin")


@pytest.mark.parametrize(
    ("values", "component"),
    [
        ({"prompt": "  "}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": "x" * 6_000}, "prompt"),
        ({"count": 1}, "count"),
        ({"count": 10}, "count"),
        ({"painter": "nobody"}, "painter"),
        ({"settings": {"steps": 0}}, "settings"),
        ({"settings": {"size": [64, 63]}}, "settings"),
        ({"settings": {"seed": -1}}, "settings"),
        ({"settings": []}, "settings"),
        ({"ranking": []}, "ranking"),
        ({"nothing": 1}, "nothing"),
    ],
)
def test_wrong_values_are_refused_by_component(
    project: Project, bob: APIClient, values: dict[str, Any], component: str
) -> None:
    refused(live.press(bob, project, **values), component)


@pytest.mark.parametrize(
    "body", [{}, {"values": []}, {"values": {"prompt": "a"}, "vary": "x"}, {"values": {"prompt": "\0"}}]
)
def test_a_broken_body_is_refused(project: Project, bob: APIClient, body: dict[str, Any]) -> None:
    assert bob.post(f"{API}/projects/{project.pk}/attempts/", body).status_code == 400


def test_a_held_out_prompt_is_refused_whatever_it_shall_not_show(project: Project, bob: APIClient) -> None:
    held = stage.make_prompts(project, "a red apple")
    Prompt.objects.filter(pk=held[0].pk).update(held_out=True)
    refused(live.press(bob, project, " a red apple"), "prompt", "kept for evaluations")
    refused(live.press(bob, project, "a red apple", negative="text"), "prompt", "kept for evaluations")


def test_a_form_without_a_button_takes_no_attempt(cast: Cast, bob: APIClient) -> None:
    answer = live.press(bob, cast.project)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "no Generate button" in answer.json()["detail"]


# --- To vary an image ---


def test_an_image_is_varied_from_its_own_file_as_strongly_as_the_form_says(
    project: Project, bob: APIClient, cast: Cast
) -> None:
    first = live.made(cast, bob, settings={"size": [128, 128], "steps": 8})
    chosen = Candidate.objects.get(pk=first["candidates"][2]["id"])
    before = set(storage().keys())
    told = live.press(bob, project, "a greener apple", vary=str(chosen.pk), settings={"size": [128, 128], "steps": 8})
    assert told.status_code == 202, told.content
    assert told.json()["varies"] == str(chosen.pk)
    request = GenerationRequest.objects.get(pk=told.json()["id"])
    assert request.conditioning is not None
    assert (request.conditioning.kind, request.conditioning.image_key) == ("image", chosen.key)
    assert set(storage().keys()) == before, "no file is copied"
    (prompt,) = request.chunk_set.get().render_prompts()
    assert prompt.conditioning is not None and prompt.conditioning.image == chosen.key
    settings = request.render_settings()
    assert (settings.strength, settings.steps, settings.width) == (0.7, 8, None), "the image's own size stays"
    live.press(bob, project, "a bluer apple", vary=str(chosen.pk))
    assert ConditioningImage.objects.of_project(project).count() == 1


def test_only_ones_own_live_images_are_varied(project: Project, bob: APIClient, cast: Cast) -> None:
    bobs = live.made(cast, bob)["candidates"][0]["id"]
    (batch, *_) = Candidate.objects.filter(request=stage.make_items(cast, 1)[0].request)
    erin = client_of(cast.erin)
    for client, image in ((erin, bobs), (bob, str(batch.pk)), (bob, str(uuid4()))):
        answer = live.press(client, project, vary=image)
        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["vary"])
        assert "your own attempts" in answer.json()["detail"]
    elsewhere = live.go_live(cast.foreign)
    charlie = client_of(cast.charlie)
    assert live.press(charlie, elsewhere, vary=bobs).status_code == 400


def test_a_form_may_leave_out_to_vary(cast: Cast, bob: APIClient) -> None:
    form = deepcopy(live.FORM)
    form["components"][5]["vary"] = False
    live.go_live(cast.project, form)
    image = live.made(cast, bob)["candidates"][0]["id"]
    answer = live.press(bob, cast.project, vary=image)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["vary"])


def test_an_image_whose_file_is_gone_cannot_be_varied(project: Project, bob: APIClient, cast: Cast) -> None:
    image = live.made(cast, bob)["candidates"][0]["id"]
    Candidate.objects.filter(pk=image).update(key=f"00/{'0' * 64}.webp")
    answer = live.press(bob, project, vary=image)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["vary"])


# --- One at a time ---


def test_generating_again_ends_what_runs_and_keeps_it(project: Project, bob: APIClient, cast: Cast) -> None:
    erins = live.ask(client_of(cast.erin), project)
    first = live.ask(bob, project)
    second = live.ask(bob, project, "a pear")
    assert [(one["id"], one["state"]) for one in live.attempts(bob, project)] == [
        (second, "queued"),
        (first, "cancelled"),
    ]
    assert live.look(client_of(cast.erin), erins)["state"] == "queued", "others go on"


def test_an_attempt_that_is_refused_ends_nothing(project: Project, bob: APIClient) -> None:
    first = live.ask(bob, project)
    Project.objects.filter(pk=project.pk).update(live_quota_person=5)
    assert live.press(bob, project).status_code == 429
    assert live.look(bob, first)["state"] == "queued"


def test_what_is_finished_stays_when_the_next_is_asked_for(project: Project, bob: APIClient, cast: Cast) -> None:
    first = live.made(cast, bob)
    live.ask(bob, project)
    assert live.look(bob, first["id"])["state"] == "done"


# --- The day's quota ---


def test_a_persons_quota_says_what_is_left_when_it_starts_anew_and_who_raises_it(
    project: Project, bob: APIClient
) -> None:
    Project.objects.filter(pk=project.pk).update(live_quota_person=7)
    live.ask(bob, project, count=4)
    answer = live.press(bob, project, count=4)
    body = answer.json()
    assert (answer.status_code, body["code"], body["left"]) == (429, "quota_reached", 3)
    assert (
        "3 of your 7 images" in body["detail"] and "00:00 UTC" in body["detail"] and "owner or admin" in body["detail"]
    )
    assert datetime.fromisoformat(body["resets_at"]) > timezone.now()
    live.ask(bob, project, count=3)
    assert "All of your 7 images" in live.press(bob, project, count=2).json()["detail"]


def test_all_share_the_projects_quota(project: Project, bob: APIClient, cast: Cast) -> None:
    Project.objects.filter(pk=project.pk).update(live_quota_project=6)
    live.ask(bob, project)
    answer = live.press(client_of(cast.erin), project)
    assert answer.status_code == 429 and "2 of the project's 6 images" in answer.json()["detail"]


def test_a_quota_of_none_switches_generating_off(project: Project, bob: APIClient) -> None:
    Project.objects.filter(pk=project.pk).update(live_quota_person=0)
    answer = live.press(bob, project)
    assert answer.status_code == 429 and "switched off" in answer.json()["detail"]


def test_the_count_starts_anew_at_midnight_utc(project: Project, cast: Cast) -> None:
    Project.objects.filter(pk=project.pk).update(live_quota_person=4)
    evening = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
    values = {"prompt": "a red apple"}
    attempt(project, values, cast.bob, evening)
    with pytest.raises(QuotaReached):
        attempt(project, values, cast.bob, evening + timedelta(seconds=30))
    attempt(project, values, cast.bob, evening + timedelta(minutes=1))
    project.refresh_from_db()
    quota = quota_of(project, cast.bob, evening + timedelta(minutes=1))
    assert (quota.left_of_person, quota.resets_at) == (0, datetime(2026, 11, 23, tzinfo=UTC))


def test_batch_images_and_other_projects_count_for_nothing(project: Project, bob: APIClient, cast: Cast) -> None:
    Project.objects.filter(pk=project.pk).update(live_quota_person=4, live_quota_project=4)
    stage.generate(cast, stage.make_prompts(project, "a fox"))
    add_member(live.go_live(cast.foreign), cast.bob, "annotator", timezone.now())
    live.ask(bob, cast.foreign)
    live.ask(bob, project)


def test_two_tabs_cannot_pass_the_quota_together(committed_cast: Cast) -> None:
    project = live.go_live(committed_cast.project)
    Project.objects.filter(pk=project.pk).update(live_quota_person=8)

    def generate(number: int) -> bool:
        try:
            attempt(project, {"prompt": f"apple {number}"}, committed_cast.bob, timezone.now())
        except QuotaReached:
            return False
        return True

    assert sum(in_parallel(6, generate)) == 2
    assert Attempt.objects.count() == 2
    running = [one for one in GenerationRequest.objects.attempts() if one.state == "queued"]
    assert len(running) == 1, "each ended the one before"


def test_the_settings_page_changes_the_quotas(project: Project, cast: Cast, alice: APIClient) -> None:
    owner = browser_of(cast.alice)
    page = owner.get(f"/projects/{project.pk}/settings/").content.decode()
    assert 'name="live_quota_person"' in page and 'value="500"' in page and 'value="10000"' in page
    said = {"name": "Icons", "guidelines": "", "live_quota_person": 20, "live_quota_project": ""}
    assert owner.post(f"/projects/{project.pk}/settings/", said, format="multipart").status_code == 302
    told = alice.get(f"{API}/projects/{project.pk}/").json()
    assert (told["live_quota_person"], told["live_quota_project"]) == (20, 10_000)
    said["live_quota_person"] = -1
    assert owner.post(f"/projects/{project.pk}/settings/", said, format="multipart").status_code == 200


def test_the_select_offers_what_can_paint(project: Project, cast: Cast) -> None:
    ModelVersion.objects.create(
        name="Known", kind="imported", family="x", location="imported:x", created_at=timezone.now()
    )
    form = project.template_version.form
    assert [one.name for one in attempts.choices(form)] == ["Painter"]


def test_a_look_costs_few_queries(
    project: Project, bob: APIClient, cast: Cast, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """A page looks four times a second."""
    found = live.made(cast, bob)
    with django_assert_max_num_queries(6):
        live.look(bob, found["id"])
    gather(timezone.now(), project)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
SETTINGS = st.dictionaries(
    st.sampled_from(["steps", "guidance_scale", "size", "seed", "strength", "x"]), JSON, max_size=4
)
NAMES = st.sampled_from(["prompt", "negative", "painter", "count", "settings", "go", "images", "ranking", "x"])


@given(values=st.dictionaries(NAMES, JSON | SETTINGS, max_size=6), vary=st.none() | st.uuids().map(str) | JSON)
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_entered_is_taken_or_refused(
    project: Project, bob: APIClient, values: dict[str, Any], vary: Any
) -> None:
    """Never a 5xx; and what is refused leaves nothing behind."""
    body = json.dumps({"values": values, "vary": vary})
    before = GenerationRequest.objects.count()
    answer = bob.post(f"{API}/projects/{project.pk}/attempts/", body, content_type="application/json")
    assert answer.status_code in {202, 400, 429}, answer.content
    assert GenerationRequest.objects.count() == before + (answer.status_code == 202)
