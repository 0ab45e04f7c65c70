"""Leasing, drafting, submitting and skipping, over HTTP; the rows are what counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from easel.annotation import services
from easel.annotation.models import Annotation, Assignment, Item
from easel.projects.models import Membership, Project
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast

HOUR = timedelta(hours=1)


@pytest.fixture
def items(cast: Cast) -> list[Item]:
    """Three items, ready."""
    return stage.make_items(cast, 3)


def lease(client: APIClient, cast: Cast, **body: Any) -> Any:
    """Ask for something to rank."""
    answer = client.post(f"{API}/projects/{cast.project.pk}/assignments/", body)
    return answer.json() if answer.status_code == 201 else answer.status_code


def ranking(assignment: dict[str, Any]) -> dict[str, Any]:
    """Rank in the order in which the images are shown."""
    return {"ranking": [[one["id"]] for one in assignment["item"]["candidates"]]}


def submit(client: APIClient, assignment: dict[str, Any], answers: dict[str, Any] | None = None, **body: Any) -> Any:
    """Submit answers."""
    return client.put(
        f"{API}/assignments/{assignment['id']}/annotation/",
        {"answers": answers or ranking(assignment), "active_ms": 1_200, **body},
    )


def expire(assignment: dict[str, Any]) -> None:
    """Let a lease run out."""
    Assignment.objects.filter(pk=assignment["id"]).update(expires_at=timezone.now() - HOUR)


def test_an_assignment_shows_the_prompt_and_the_images_and_nothing_that_tells_the_model(
    cast: Cast, items: list[Item], bob: APIClient
) -> None:
    assignment = lease(bob, cast)
    row = Assignment.objects.get()
    assert set(assignment) == {"id", "expires_at", "template_version", "item", "draft"}
    assert assignment["item"]["id"] == str(items[0].pk)
    assert assignment["item"]["prompt"]["text"] == items[0].prompt.text
    shown = assignment["item"]["candidates"]
    assert [one["id"] for one in shown] == [str(pk) for pk in row.shown_order]
    assert {one["id"] for one in shown} == {str(one.pk) for one in items[0].candidates.all()}
    assert all(set(one) == {"id", "url", "width", "height"} for one in shown)
    assert bob.get(f"{API}/assignments/{row.pk}/").json() == assignment


def test_a_reload_comes_back_to_the_same_item_and_order(cast: Cast, items: list[Item], bob: APIClient) -> None:
    first = lease(bob, cast)
    assert lease(bob, cast) == first
    assert Assignment.objects.count() == 1


def test_what_the_page_holds_already_is_not_handed_out_again(cast: Cast, items: list[Item], bob: APIClient) -> None:
    first = lease(bob, cast)
    second = lease(bob, cast, holding=[first["id"]])
    assert second["item"]["id"] != first["item"]["id"]
    assert lease(bob, cast, holding=[second["id"]]) == first


def test_the_order_differs_between_annotators_and_is_stored(cast: Cast) -> None:
    Project.objects.update(overlap=2)
    cast.project.refresh_from_db()
    stage.make_items(cast, 12)
    orders: dict[str, list[list[object]]] = {}
    for annotator in (cast.bob, cast.erin):
        done = stage.annotate(cast.project, annotator, 12)
        orders[annotator.username] = [list(one.shown_order) for one in sorted(done, key=lambda one: one.item_id)]
    assert orders["bob"] != orders["erin"]
    assert [sorted(map(str, order)) for order in orders["bob"]] == [sorted(map(str, order)) for order in orders["erin"]]
    by_id = [sorted(order, key=str) for order in orders["bob"]]
    assert by_id != orders["bob"]


def test_submitting_stores_one_annotation_and_answers_with_the_next_item(
    cast: Cast, items: list[Item], bob: APIClient
) -> None:
    first = lease(bob, cast)
    top, *rest = first["item"]["candidates"]
    answers = {"ranking": [[top["id"]], [one["id"] for one in rest]], "rationale": " crisp ", "all_bad": False}
    answer = submit(bob, first, answers)
    assert answer.status_code == 201
    row = Annotation.objects.get()
    assert answer.json()["annotation"] == {"id": str(row.pk)}
    assert answer.json()["next"]["item"]["id"] == str(items[1].pk)
    assert row.answers == {**answers, "rationale": "crisp"}
    assert (row.ranking, row.all_bad, row.active_ms) == (answers["ranking"], False, 1_200)
    assert (row.project, row.item, row.annotator) == (cast.project, items[0], cast.bob)
    assert row.assignment.state == "submitted"
    assert Item.objects.get(pk=items[0].pk).state == "done"


def test_the_last_submission_answers_that_nothing_is_left(cast: Cast, bob: APIClient) -> None:
    stage.make_items(cast, 1)
    assert submit(bob, lease(bob, cast)).json()["next"] is None
    assert lease(bob, cast) == 204


def test_the_same_body_again_is_answered_200_and_another_one_409(cast: Cast, items: list[Item], bob: APIClient) -> None:
    first = lease(bob, cast)
    made = submit(bob, first)
    again = submit(bob, first, active_ms=9_999)
    assert (made.status_code, again.status_code) == (201, 200)
    assert again.json() == made.json()
    other = submit(bob, first, {"all_bad": True})
    assert (other.status_code, other.json()["code"]) == (409, "already_submitted")
    assert Annotation.objects.get().active_ms == 1_200


def test_wrong_answers_are_refused_by_component_and_the_lease_stays(
    cast: Cast, items: list[Item], bob: APIClient
) -> None:
    first = lease(bob, cast)
    foreign = str(items[1].candidates.all()[0].pk)
    refused = submit(bob, first, {"ranking": [[foreign]], "mood": "good"})
    assert refused.status_code == 400
    assert refused.json()["code"] == "invalid_answers"
    assert set(refused.json()["fields"]) == {"ranking", "mood"}
    assert not Annotation.objects.exists()
    assert submit(bob, first).status_code == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"active_ms": -1}, "active_ms"),
        ({"active_ms": 86_400_001}, "active_ms"),
        ({"active_ms": "soon"}, "active_ms"),
        ({"active_ms": None}, "active_ms"),
        ({"answers": []}, "answers"),
        ({"answers": None}, "answers"),
        ({"holding": ["x"]}, "holding.0"),
        ({"holding": ["01a1fdda-fe8b-7568-ac44-daae290d8b06"] * 11}, "holding"),
    ],
)
def test_a_malformed_submission_is_refused_by_field(
    cast: Cast, items: list[Item], bob: APIClient, change: dict[str, Any], field: str
) -> None:
    first = lease(bob, cast)
    body = {"answers": ranking(first), "active_ms": 1, **change}
    refused = bob.put(f"{API}/assignments/{first['id']}/annotation/", body)
    assert refused.status_code == 400
    assert list(refused.json()["fields"]) == [field]
    assert not Annotation.objects.exists()


def test_a_submission_after_the_lease_ran_out_counts_while_the_item_needs_it(
    cast: Cast, items: list[Item], bob: APIClient
) -> None:
    first = lease(bob, cast)
    expire(first)
    assert submit(bob, first).status_code == 201
    assert Assignment.objects.get(pk=first["id"]).state == "submitted"


@pytest.mark.parametrize("other", ["holds it", "has done it"])
def test_a_submission_after_somebody_else_took_over_is_kept_as_surplus(cast: Cast, bob: APIClient, other: str) -> None:
    stage.make_items(cast, 1)
    first = lease(bob, cast)
    expire(first)
    erins = stage.lease(cast.project, cast.erin)
    if other == "has done it":
        stage.submit(erins, stage.answers_for(erins))
    late = submit(bob, first)
    assert late.status_code == 201
    assert Assignment.objects.get(pk=first["id"]).state == "surplus"
    assert Annotation.objects.filter(annotator=cast.bob).count() == 1
    again = submit(bob, first)
    assert (again.status_code, again.json()["annotation"]) == (200, late.json()["annotation"])
    if other == "holds it":
        stage.submit(erins, stage.answers_for(erins))
    assert Assignment.objects.get(pk=erins.pk).state == "submitted"
    assert Item.objects.get().state == "done"


def test_an_item_goes_to_as_many_annotators_as_the_overlap_and_to_each_once(cast: Cast) -> None:
    Project.objects.filter(pk=cast.project.pk).update(overlap=2)
    cast.project.refresh_from_db()
    (item,) = stage.make_items(cast, 1)
    for annotator in (cast.bob, cast.erin):
        stage.annotate(cast.project, annotator)
        assert services.lease_next(cast.project, annotator, timezone.now()) is None
    assert services.lease_next(cast.project, cast.alice, timezone.now()) is None
    item.refresh_from_db()
    assert item.state == "done"
    assert Annotation.objects.filter(item=item).count() == 2


def test_a_lapsed_lease_is_taken_up_again_with_its_draft_while_nobody_else_has_the_item(
    cast: Cast, items: list[Item], bob: APIClient
) -> None:
    first = lease(bob, cast)
    bob.put(f"{API}/assignments/{first['id']}/draft/", {"answers": {"rationale": "so"}, "version": 0})
    expire(first)
    resumed = lease(bob, cast)
    assert resumed["id"] == first["id"]
    assert resumed["draft"] == {"answers": {"rationale": "so"}, "version": 1}
    assert Assignment.objects.get(pk=first["id"]).expires_at > timezone.now()


def test_a_lapsed_lease_that_went_to_somebody_else_gives_way_to_another_item(
    cast: Cast, items: list[Item], bob: APIClient
) -> None:
    first = lease(bob, cast)
    expire(first)
    assert str(stage.lease(cast.project, cast.erin).item_id) == first["item"]["id"]
    assert lease(bob, cast)["item"]["id"] == str(items[1].pk)


def test_a_heartbeat_renews_the_lease_until_somebody_else_has_the_item(
    cast: Cast, items: list[Item], bob: APIClient
) -> None:
    first = lease(bob, cast)
    address = f"{API}/assignments/{first['id']}/heartbeat/"
    Assignment.objects.filter(pk=first["id"]).update(expires_at=timezone.now() + timedelta(seconds=1))
    renewed = bob.put(address)
    assert renewed.status_code == 200
    assert renewed.json()["expires_at"] > first["expires_at"]
    expire(first)
    assert bob.put(address).status_code == 200  # nobody wanted it
    expire(first)
    stage.lease(cast.project, cast.erin)
    lost = bob.put(address)
    assert (lost.status_code, lost.json()["code"]) == (409, "lease_lost")


def test_a_stale_tab_cannot_overwrite_a_newer_draft(cast: Cast, items: list[Item], bob: APIClient) -> None:
    first = lease(bob, cast)
    address = f"{API}/assignments/{first['id']}/draft/"
    newer = {"ranking": [[first["item"]["candidates"][0]["id"]]]}
    assert bob.put(address, {"answers": {}, "version": 0}).json() == {"version": 1}
    assert bob.put(address, {"answers": newer, "version": 1}).json() == {"version": 2}
    stale = bob.put(address, {"answers": {}, "version": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_draft")
    assert stale.json()["draft"] == {"answers": newer, "version": 2}
    assert bob.get(f"{API}/assignments/{first['id']}/").json()["draft"] == {"answers": newer, "version": 2}


def test_a_draft_holds_anything_and_is_gone_once_submitted(cast: Cast, items: list[Item], bob: APIClient) -> None:
    first = lease(bob, cast)
    address = f"{API}/assignments/{first['id']}/draft/"
    assert bob.put(address, {"answers": {"half": ["done"]}, "version": 0}).status_code == 200
    submit(bob, first)
    assert Assignment.objects.get(pk=first["id"]).draft is None
    late = bob.put(address, {"answers": {}, "version": 1})
    assert (late.status_code, late.json()["code"]) == (409, "assignment_finished")


def test_skipping_gives_the_item_to_others_and_never_back(cast: Cast, bob: APIClient) -> None:
    stage.make_items(cast, 1)
    first = lease(bob, cast)
    address = f"{API}/assignments/{first['id']}/skip/"
    for _ in range(2):
        skipped = bob.post(address, {"reason": "upsetting"})
        assert (skipped.status_code, skipped.json()) == (201, {"next": None})
    row = Assignment.objects.get()
    assert (row.state, row.skip_reason) == ("skipped", "upsetting")
    assert lease(bob, cast) == 204
    assert str(stage.lease(cast.project, cast.erin).item_id) == first["item"]["id"]


def test_skipping_needs_one_of_the_reasons(cast: Cast, items: list[Item], bob: APIClient) -> None:
    first = lease(bob, cast)
    refused = bob.post(f"{API}/assignments/{first['id']}/skip/", {"reason": "bored"})
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["reason"])
    assert Assignment.objects.get().state == "open"


def test_a_submitted_item_cannot_be_skipped_but_a_skipped_one_can_be_submitted(
    cast: Cast, items: list[Item], bob: APIClient
) -> None:
    first = lease(bob, cast)
    second = submit(bob, first).json()["next"]
    refused = bob.post(f"{API}/assignments/{first['id']}/skip/", {"reason": "other"})
    assert (refused.status_code, refused.json()["code"]) == (409, "assignment_finished")
    bob.post(f"{API}/assignments/{second['id']}/skip/", {"reason": "other"})
    assert submit(bob, second).status_code == 201
    assert Assignment.objects.get(pk=second["id"]).state == "submitted"


def test_who_left_the_project_has_no_assignments_any_more(cast: Cast, items: list[Item], bob: APIClient) -> None:
    first = lease(bob, cast)
    Membership.objects.filter(user=cast.bob).delete()
    assert submit(bob, first).status_code == 404
    Membership.objects.create(project=cast.project, user=cast.bob, role="engineer", created_at=timezone.now())
    assert submit(bob, first).status_code == 403


def test_the_days_progress_counts_only_ones_own(cast: Cast, items: list[Item], bob: APIClient) -> None:
    address = f"{API}/projects/{cast.project.pk}/progress/"
    assert bob.get(address).json() == {"today": 0, "median_ms": None, "left": 3}
    stage.annotate(cast.project, cast.erin)
    submit(bob, lease(bob, cast))
    assert bob.get(address).json() == {"today": 1, "median_ms": 1200.0, "left": 1}


def test_annotations_are_listed_newest_first_for_those_who_inspect(
    cast: Cast, items: list[Item], alice: APIClient
) -> None:
    first, second = stage.annotate(cast.project, cast.bob, 2)
    rows = alice.get(f"{API}/projects/{cast.project.pk}/annotations/").json()["results"]
    assert [row["item"] for row in rows] == [str(second.item_id), str(first.item_id)]
    assert rows[0]["annotator"] == "bob"
    assert rows[0]["ranking"] == [[str(pk)] for pk in second.shown_order]
    assert rows[0]["surplus"] is False


def test_a_loop_takes_eight_statements_of_which_two_are_begin_and_commit(
    cast: Cast, items: list[Item], bob: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    Project.objects.filter(pk=cast.project.pk).update(gold_share_first=0)  # where there is none, looking is in vain
    second = submit(bob, lease(bob, cast)).json()["next"]  # the process has read the template by now
    with django_assert_num_queries(8):
        assert submit(bob, second).status_code == 201
