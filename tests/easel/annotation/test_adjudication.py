"""Items whose annotators disagree: a reviewer has the last word, and can take it back."""

from __future__ import annotations

from typing import Any

import pytest
from easel.accounts.models import User
from easel.accounts.roles import Role
from easel.annotation.models import Adjudication, Annotation, Item
from easel.annotation.review.queue import disputed, page_of_disputes
from easel.annotation.review.telling import disputes
from easel.forms.models import Template
from easel.images.models import GenerationRequest
from easel.projects.models import Project
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast, client_of


@pytest.fixture
def rita(cast: Cast) -> User:
    """A reviewer."""
    return stage.make_user("rita", cast.project, Role.REVIEWER)


@pytest.fixture
def reviewer(rita: User) -> APIClient:
    """The reviewer's API client."""
    return client_of(rita)


def say(cast: Cast, by: User, order: list[int]) -> Annotation:
    """Have somebody rank the next item; order: places of the images in the order of their ids."""
    lease = stage.lease(cast.project, by)
    ids = sorted(str(pk) for pk in lease.shown_order)
    return stage.submit(lease, {"ranking": [[ids[place]] for place in order]})[0]


@pytest.fixture
def items(cast: Cast, rita: User) -> list[Item]:
    """Three items that bob and erin ranked: of one mind, turned round, and half so."""
    Project.objects.update(overlap=2, overlap_lead=0)
    cast.project.refresh_from_db()
    items = stage.make_items(cast, 3)
    for orders in (([0, 1, 2, 3], [0, 1, 2, 3]), ([0, 1, 2, 3], [3, 2, 1, 0]), ([0, 1, 2, 3], [1, 0, 3, 2])):
        for by, order in zip((cast.bob, cast.erin), orders, strict=True):
            say(cast, by, order)
    return [Item.objects.get(pk=item.pk) for item in items]


def decide(client: APIClient, item: Item, **body: Any) -> Any:
    """Have the last word."""
    return client.put(f"{API}/items/{item.pk}/adjudication/", body)


def test_those_that_annotators_disagree_about_most_come_first(cast: Cast, items: list[Item]) -> None:
    assert [item.lead / item.votes for item in items] == pytest.approx([1, 0, 4 / 6])
    assert list(disputed(cast.project)) == [items[1]]
    assert list(disputed(cast.project, 0.99)) == [items[1], items[2]]
    first, place = page_of_disputes(disputed(cast.project, 0.99), "", 1)
    second, end = page_of_disputes(disputed(cast.project, 0.99), place, 1)
    assert (first, second, end) == ([items[1]], [items[2]], "")
    assert page_of_disputes(disputed(cast.project, 0.99), "nonsense~x", 5)[0] == [items[1], items[2]]


def test_an_item_that_others_are_still_asked_about_is_not_disputed_yet(cast: Cast, items: list[Item]) -> None:
    Item.objects.filter(pk=items[1].pk).update(state="ready")
    assert list(disputed(cast.project)) == []


def test_equal_answers_are_told_once_and_in_an_order_that_names_nobody(
    cast: Cast, rita: User, items: list[Item]
) -> None:
    told = disputes(items, rita)
    assert [sorted(len(answer.annotations) for answer in one.answers) for one in told] == [[2], [1, 1], [1, 1]]
    assert [round(one.disagreement, 2) for one in told] == [0.0, 1.0, 0.33]
    assert not any(one.own for one in told)
    assert all(one.own for one in disputes(items, cast.bob))


def test_a_reviewer_takes_one_of_the_answers_and_takes_it_back(
    cast: Cast, reviewer: APIClient, items: list[Item]
) -> None:
    right = Annotation.objects.get(item=items[1], annotator=cast.erin)
    answer = decide(reviewer, items[1], annotation=str(right.pk), comment="The prompt says red.")
    assert answer.status_code == 200
    made = Adjudication.objects.get()
    assert (made.ranking, made.chosen, made.by.username) == (right.ranking, right, "rita")
    assert list(disputed(cast.project)) == []
    assert reviewer.get(f"{API}/items/{items[1].pk}/").json()["adjudication"]["comment"] == "The prompt says red."
    assert reviewer.delete(f"{API}/items/{items[1].pk}/adjudication/").status_code == 204
    assert reviewer.delete(f"{API}/items/{items[1].pk}/adjudication/").status_code == 404
    assert list(disputed(cast.project)) == [items[1]]


def test_a_reviewer_ranks_anew_by_what_the_form_says(cast: Cast, reviewer: APIClient, items: list[Item]) -> None:
    ids = sorted(str(pk) for pk in items[1].candidates.values_list("pk", flat=True))
    assert decide(reviewer, items[1], answers={}).status_code == 400
    assert decide(reviewer, items[1]).status_code == 400
    assert decide(reviewer, items[1], answers={"ranking": [["nobody"]]}).status_code == 400
    answer = decide(reviewer, items[1], answers={"ranking": [[ids[2]], ids[:2], [ids[3]]]})
    assert answer.status_code == 200, answer.json()
    made = Adjudication.objects.get()
    assert (made.ranking, made.chosen, made.ties_are_equal) == ([[ids[2]], ids[:2], [ids[3]]], None, True)
    assert decide(reviewer, items[1], answers={"all_bad": True}).status_code == 200, "one's own may be replaced"
    assert Adjudication.objects.get().all_bad


def test_the_middle_of_a_best_worst_decision_is_no_tie(cast: Cast, reviewer: APIClient) -> None:
    version = Template.objects.get(key="best-worst").latest()
    Project.objects.update(template_version=version, overlap=1)
    cast.project.refresh_from_db()
    (item,) = stage.make_items(cast, 1, images=version.form.images)
    lease = stage.lease(cast.project, cast.bob)
    shown = [str(pk) for pk in lease.shown_order]
    name = version.form.first("best_worst")
    assert name
    stage.submit(lease, {name: {"best": shown[0], "worst": shown[1]}})
    assert decide(reviewer, item, answers={name: {"best": shown[1], "worst": shown[0]}}).status_code == 200
    made = Adjudication.objects.get()
    assert (made.ranking[0], made.ranking[-1], made.ties_are_equal) == ([shown[1]], [shown[0]], False)


def test_who_ranked_an_item_does_not_decide_it(cast: Cast, items: list[Item]) -> None:
    said = Annotation.objects.get(item=items[1], annotator=cast.bob)
    answer = decide(client_of(cast.erin), items[1], annotation=str(said.pk))
    assert (answer.status_code, answer.json()["code"]) == (403, "own_work")


def test_a_second_reviewer_is_told_who_was_first(cast: Cast, reviewer: APIClient, items: list[Item]) -> None:
    said = Annotation.objects.get(item=items[1], annotator=cast.bob)
    assert decide(reviewer, items[1], annotation=str(said.pk)).status_code == 200
    late = decide(client_of(cast.alice), items[1], annotation=str(said.pk))
    assert (late.status_code, late.json()["code"]) == (409, "decided_meanwhile")
    assert late.json()["detail"].startswith("rita has decided this item.")


def test_votes_of_a_blind_comparison_and_items_that_nobody_ranked_are_not_decided(
    cast: Cast, reviewer: APIClient, items: list[Item]
) -> None:
    said = Annotation.objects.get(item=items[1], annotator=cast.bob)
    other = decide(reviewer, items[2], annotation=str(said.pk))
    assert (other.status_code, list(other.json()["fields"])) == (400, ["annotation"])
    GenerationRequest.objects.update(kind="evaluation")
    assert decide(reviewer, items[1], annotation=str(said.pk)).status_code == 400
    assert list(disputed(cast.project)) == []
    GenerationRequest.objects.update(kind="batch")
    (fresh,) = stage.make_items(cast, 1)
    assert decide(reviewer, fresh, answers={"all_bad": True}).status_code == 400
