"""Text forms: prompts and conversations are items by themselves, and everything works without images."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from easel.annotation import services
from easel.annotation.gathering import gather
from easel.annotation.models import Annotation, Assignment, Item
from easel.annotation.tasks import gather as gather_task
from easel.annotation.template_uses import use_template
from easel.forms.models import Template
from easel.prompts.conditioning import File, add_picture
from easel.prompts.models import Prompt
from easel.snapshots.filters import Filters, chosen
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, TEMPLATE, Cast, browser_of
from tests.texts import CHAT, CHATS, PAIRS, QUESTION, add_texts, answer, make_texts, write_texts


def lease(client: APIClient, cast: Cast) -> Any:
    """Ask for something to answer."""
    answered = client.post(f"{API}/projects/{cast.project.pk}/assignments/", {})
    return answered.json() if answered.status_code == 201 else answered.status_code


def test_each_prompt_becomes_one_item_with_the_projects_form(cast: Cast) -> None:
    items = make_texts(cast, [{"messages": CHAT}, "What is a fox?"])
    assert [item.prompt.text for item in items] == ["Why is the sky blue?", "What is a fox?"]
    for item in items:
        assert (item.request, item.state, item.audience) == (None, "ready", "")
        assert item.template_version == cast.project.template_version
        assert not item.candidates.exists()


def test_gathering_again_makes_nothing_and_later_prompts_become_items_too(cast: Cast) -> None:
    before = make_texts(cast, ["a", "b"])
    assert gather(timezone.now()) == 0
    gather_task(project=str(cast.project.pk))
    add_texts(cast.project, ["c"])
    assert gather(timezone.now(), cast.foreign) == 0
    assert gather(timezone.now()) == 1
    assert list(Item.objects.order_by("id")[:2]) == before


def test_held_out_prompts_stay_out(cast: Cast) -> None:
    make_texts(cast, ["a", {"prompt": "b", "held_out": True}])
    assert [item.prompt.text for item in Item.objects.all()] == ["a"]


def test_prompts_of_a_form_with_images_wait_for_their_images(cast: Cast) -> None:
    stage.make_prompts(cast.project, "a fox")
    assert gather(timezone.now()) == 0


def test_a_project_that_moves_to_a_text_form_gets_its_items(cast: Cast) -> None:
    stage.make_prompts(cast.project, "a fox")
    use_template(cast.project, Template.objects.get(key=PAIRS).latest())
    assert gather(timezone.now()) == 1


def test_a_project_that_moves_to_images_keeps_its_texts_with_their_form(cast: Cast) -> None:
    (item,) = make_texts(cast, ["a fox"])
    moved = use_template(cast.project, Template.objects.get(key=TEMPLATE).latest())
    assert (moved.items_moved, moved.items_kept) == (0, 1)
    assert Item.objects.get().template_version == item.template_version


def test_the_database_refuses_a_second_item_of_one_text(cast: Cast) -> None:
    (item,) = make_texts(cast, ["a fox"])
    with pytest.raises(IntegrityError, match="text_item_once"), transaction.atomic():
        Item.objects.create(
            project=item.project,
            prompt=item.prompt,
            template_version=item.template_version,
            created_at=timezone.now(),
        )


def test_two_who_gather_at_once_make_each_item_once(committed_cast: Cast) -> None:
    project = write_texts(committed_cast.project)
    add_texts(project, [f"text {number}" for number in range(30)])
    made = stage.in_parallel(4, lambda _: gather(timezone.now(), project))
    assert sum(made) == 30
    assert Item.objects.count() == 30


def test_new_prompts_ring_for_their_items_once_they_are_committed(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    rung: list[str] = []
    monkeypatch.setattr("easel.common.broker.send", lambda task, queue, **_: rung.append(task))
    with django_capture_on_commit_callbacks(execute=True):
        stage.make_prompts(cast.project, "images come first here")
    assert rung == []
    with django_capture_on_commit_callbacks(execute=True):
        add_texts(write_texts(cast.project), ["a text"])
        assert rung == []
    assert rung == ["easel.annotation.gather"]


def test_an_annotator_gets_the_conversation_drafts_and_submits(cast: Cast, bob: APIClient) -> None:
    make_texts(cast, [{"messages": CHAT}, "What is a fox?"])
    first = lease(bob, cast)
    assert first["item"]["candidates"] == []
    prompt = first["item"]["prompt"]
    assert (prompt["text"], prompt["messages"], prompt["reference"]) == ("Why is the sky blue?", CHAT, None)
    again = lease(bob, cast)  # resumed, and read from the tables this time
    assert again["id"] == first["id"]
    assert again["item"] == first["item"]

    draft = bob.put(f"{API}/assignments/{first['id']}/draft/", {"answers": {"rating": 2}, "version": 0})
    assert draft.status_code == 200
    done = bob.put(
        f"{API}/assignments/{first['id']}/annotation/", {"answers": {"rating": 5}, "active_ms": 900, "holding": []}
    )
    assert done.status_code == 201
    following = done.json()["next"]
    assert (following["item"]["prompt"]["text"], following["item"]["prompt"]["messages"]) == ("What is a fox?", None)
    skipped = bob.post(f"{API}/assignments/{following['id']}/skip/", {"reason": "unsure"})
    assert skipped.json() == {"next": None}
    stored = Annotation.objects.get()
    assert (stored.answers, stored.ranking, stored.all_bad) == ({"rating": 5}, [], False)
    assert Item.objects.get(pk=first["item"]["id"]).state == "done"
    assert lease(bob, cast) == 204


def test_answers_to_texts_are_checked_against_the_form(cast: Cast, bob: APIClient) -> None:
    make_texts(cast, [{"messages": CHAT}])
    assignment = lease(bob, cast)
    address = f"{API}/assignments/{assignment['id']}/annotation/"
    refused = bob.put(address, {"answers": {"rating": 2}, "active_ms": 900})
    assert refused.status_code == 400
    assert refused.json()["fields"] == {"rationale": ["is required"]}


def test_many_annotators_get_each_text_once(committed_cast: Cast) -> None:
    make_texts(committed_cast, [f"text {number}" for number in range(12)])
    people = [stage.make_user(f"rater{number}", committed_cast.project) for number in range(4)]

    def work(number: int) -> int:
        done = 0
        while (found := services.lease_next(committed_cast.project, people[number], timezone.now())) is not None:
            stage.submit(found, {"rating": 4})
            done += 1
        return done

    assert sum(stage.in_parallel(4, work)) == 12
    assert Assignment.objects.count() == 12


def test_what_texts_were_answered_is_no_ranking_to_learn_from(cast: Cast) -> None:
    make_texts(cast, ["a", "b"])
    answer(cast, rating=4)
    rows = chosen(cast.project, Filters(), include_simulated=True, at=timezone.now())
    assert not rows.exists()


def test_the_pages_of_a_project_of_texts_speak_of_answers_and_not_of_images(cast: Cast) -> None:
    make_texts(cast, [{"messages": CHAT}, {"messages": QUESTION}])
    browser = browser_of(cast.alice)
    page = browser.get(f"/projects/{cast.project.pk}/").content.decode()
    assert "2 items wait to be answered" in page
    assert "<h2>Images</h2>" not in page
    answer(cast, rating=2, rationale="It says nothing of wavelengths.")
    listed = browser.get(f"/projects/{cast.project.pk}/annotations/").content.decode()
    assert "It says nothing of wavelengths." in listed
    answer(cast, rating=5)
    page = browser.get(f"/projects/{cast.project.pk}/").content.decode()
    assert "Everything is answered" in page
    assert browser.get("/").status_code == 200


def test_the_picture_that_edits_start_from_is_shown_beside_them_and_seen_by_annotators(
    cast: Cast, bob: APIClient, charlie: APIClient
) -> None:
    picture = add_picture(cast.project, "image", File("source.png", stage.draw(7)), cast.alice, timezone.now()).picture
    (prompt,) = stage.make_prompts(cast.project, "make it blue")
    Prompt.objects.filter(pk=prompt.pk).update(conditioning=picture)
    (plain,) = stage.make_prompts(cast.project, "make it green")
    stage.generate(cast, [prompt])
    stage.generate(cast, [plain], conditioning=picture)
    stage.work_off()
    gather(timezone.now(), cast.project)
    for _ in range(2):
        assignment = lease(bob, cast)
        shown = assignment["item"]["prompt"]["reference"]
        assert shown == {"url": f"/conditioning/{picture.pk}/", "width": 16, "height": 16}
        assert lease(bob, cast)["item"]["prompt"]["reference"] == shown
        bob.post(f"{API}/assignments/{assignment['id']}/skip/", {"reason": "unsure"})
    assert browser_of(cast.bob).get(shown["url"]).status_code == 200
    assert charlie.get(shown["url"]).status_code == 404


def test_chat_and_pair_forms_are_both_answered(cast: Cast) -> None:
    for key, answers in ((CHATS, {"rating": 4}), (PAIRS, {"completion": "A fox is an animal."})):
        make_texts(cast, [f"What is a fox? {key}"], key)
        answer(cast, **answers)
    assert Annotation.objects.count() == 2
