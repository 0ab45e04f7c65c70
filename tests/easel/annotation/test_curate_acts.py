"""Acts on many items: each does what it says to those that it applies to, says so before, and can be taken back."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from easel.annotation import services as annotation
from easel.annotation.curate import acts, subsets
from easel.annotation.curate.choosing import Chosen
from easel.annotation.curate.filters import Filters, items_of
from easel.annotation.models import Annotation, Assignment, BulkAct, Item
from easel.common.errors import IllegalTransition, InvalidInput
from rest_framework.test import APIClient

from tests.cast import API, Cast, annotate, browser_of, client_of, lease, make_items, make_user

WATCHED = ("id", "state", "wants", "votes", "lead", "priority", "flagged_at")


def seen(cast: Cast) -> list[dict[str, Any]]:
    return list(Item.objects.filter(project=cast.project).order_by("id").values(*WATCHED))


def do(cast: Cast, kind: str, items: list[Item], **value: Any) -> BulkAct:
    return acts.start(cast.project, kind, Chosen(tuple(one.pk for one in items)), value, cast.alice, timezone.now())


@pytest.fixture
def items(cast: Cast) -> list[Item]:
    """Three items, of which bob has ranked the first: it is done."""
    made = make_items(cast, 3, images=2)
    annotate(cast.project, cast.bob)
    return made


@pytest.mark.parametrize(
    ("kind", "value", "changed"),
    [
        ("requeue", {}, 3),
        ("afresh", {}, 1),
        ("aside", {}, 3),
        ("flag", {}, 3),
        ("priority", {"priority": 7}, 3),
    ],
)
def test_an_act_changes_what_it_said_and_is_taken_back(
    cast: Cast, items: list[Item], kind: str, value: dict[str, Any], changed: int
) -> None:
    before = seen(cast)
    chosen = Chosen(filters=Filters())
    said = acts.estimate(cast.project, kind, chosen, value, cast.alice, timezone.now())
    assert (said.chosen, said.changed) == (3, changed)
    assert seen(cast) == before
    act = do(cast, kind, items, **value)
    assert (act.state, act.total, act.changed) == ("done", 3, changed)
    assert sum(now != then for now, then in zip(seen(cast), before, strict=True)) == changed
    act = acts.undo(act)
    assert (act.state, act.changed) == ("undone", 0)
    assert seen(cast) == before
    with pytest.raises(IllegalTransition):
        acts.undo(act)


def test_a_queued_item_is_asked_of_one_more_annotator(cast: Cast, items: list[Item]) -> None:
    other = make_user("other", cast.project)
    do(cast, "requeue", items[:1])
    assert lease(cast.project, other).item_id == items[0].pk
    assert Annotation.objects.filter(item=items[0]).count() == 1
    annotate(cast.project, other)
    items[0].refresh_from_db()
    assert (items[0].state, items[0].votes) == ("done", 2)


def test_an_item_that_starts_afresh_keeps_its_answers_and_counts_them_no_more(cast: Cast, items: list[Item]) -> None:
    act = do(cast, "afresh", items)
    items[0].refresh_from_db()
    assert (items[0].state, items[0].votes) == ("ready", 0)
    assert Assignment.objects.get(item=items[0]).state == "surplus"
    assert Annotation.objects.filter(item=items[0]).exists()
    acts.undo(act)
    items[0].refresh_from_db()
    assert (items[0].state, items[0].votes) == ("done", 1)
    assert Assignment.objects.get(item=items[0]).state == "submitted"


def test_what_was_ranked_since_is_not_taken_back(cast: Cast, items: list[Item]) -> None:
    act = do(cast, "afresh", items)
    other = make_user("other", cast.project)
    annotate(cast.project, other)
    act = acts.undo(act)
    assert (act.state, act.changed) == ("undone", 1)
    items[0].refresh_from_db()
    assert (items[0].state, items[0].votes) == ("done", 1)


def test_what_is_aside_is_given_to_nobody_and_comes_back_as_it_should(cast: Cast, items: list[Item]) -> None:
    do(cast, "aside", items)
    assert annotation.lease_next(cast.project, cast.bob, timezone.now()) is None
    act = do(cast, "back", items)
    assert act.changed == 3
    assert [one["state"] for one in seen(cast)] == ["done", "ready", "ready"]
    assert lease(cast.project, cast.bob).item_id == items[1].pk


def test_flags_are_set_once_and_taken_away(cast: Cast, items: list[Item]) -> None:
    do(cast, "flag", items[:1])
    assert do(cast, "flag", items).changed == 2
    away = do(cast, "unflag", items)
    assert (away.changed, {one["flagged_at"] for one in seen(cast)}) == (3, {None})
    acts.undo(away)
    assert None not in {one["flagged_at"] for one in seen(cast)}


def test_higher_ones_come_first(cast: Cast, items: list[Item]) -> None:
    do(cast, "priority", items[2:], priority=5)
    assert lease(cast.project, cast.bob).item_id == items[2].pk


def test_items_are_given_to_a_person_and_taken_back(cast: Cast, items: list[Item]) -> None:
    other = make_user("other", cast.project)
    before = seen(cast)
    value = acts.value_of(cast.project, "assign", {"annotator": "other", "days": "3"})
    act = do(cast, "assign", items, **value)
    assert act.changed == 3
    given = Assignment.objects.filter(annotator=other)
    assert set(given.values_list("assigned_by", flat=True)) == {cast.alice.pk}
    acts.undo(act)
    assert seen(cast) == before
    assert not given.filter(expires_at__gt=timezone.now()).exists()


def test_subsets_grow_and_shrink(cast: Cast, items: list[Item]) -> None:
    subset = subsets.make_subset(cast.project, "Mine", cast.alice, timezone.now())
    value = acts.value_of(cast.project, "add", {"subset": "Mine"})
    do(cast, "add", items[:1], **value)
    added = do(cast, "add", items, **value)
    assert (added.changed, subset.items.count()) == (2, 3)
    acts.undo(added)
    assert list(subset.items.all()) == items[:1]
    removed = do(cast, "remove", items, **value)
    assert (removed.changed, subset.items.count()) == (1, 0)
    acts.undo(removed)
    assert list(subset.items.all()) == items[:1]


def test_many_items_go_in_steps_and_what_joins_the_query_later_is_left_alone(
    cast: Cast, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "STEP", 2)
    chosen = Chosen(filters=Filters(words="apples"))
    act = acts.start(cast.project, "priority", chosen, {"priority": 3}, cast.alice, timezone.now())
    assert (act.state, act.total, act.done) == ("going", 3, 0)
    (late,) = make_items(cast, 1, images=2)
    assert acts.go_on() == 1
    act.refresh_from_db()
    assert (act.state, act.done, act.changed) == ("done", 3, 3)
    late.refresh_from_db()
    assert late.priority == 0
    acts.undo(act)
    acts.go_on()
    assert {one["priority"] for one in seen(cast)} == {0}
    assert acts.go_on() == 0


def test_items_of_others_and_gold_are_not_touched(cast: Cast, items: list[Item]) -> None:
    (foreign,) = make_items(cast, 1, images=2, project=cast.foreign)
    Item.objects.filter(pk=items[2].pk).update(purpose="gold")
    assert do(cast, "aside", [foreign, items[1], items[2]]).total == 1
    foreign.refresh_from_db()
    assert foreign.state == "ready"
    with pytest.raises(InvalidInput, match="No item of this project"):
        do(cast, "aside", [foreign])
    with pytest.raises(InvalidInput, match="page of gold"):
        chosen = Chosen(filters=Filters(purpose="gold"))
        acts.start(cast.project, "aside", chosen, {}, cast.alice, timezone.now())


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("priority", {"priority": "high"}, "priority"),
        ("priority", {"priority": 101}, "priority"),
        ("add", {"subset": "None such"}, "subset"),
        ("assign", {"annotator": "dave", "days": 3}, "annotator"),
        ("assign", {"annotator": "bob", "days": 0}, "days"),
    ],
)
def test_what_an_act_needs_is_checked(cast: Cast, kind: str, given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        acts.value_of(cast.project, kind, given)
    assert list(refusal.value.fields) == [field]


def test_acts_by_rest(cast: Cast, items: list[Item], alice: APIClient) -> None:
    address = f"{API}/projects/{cast.project.pk}/items/acts/"
    ask = {"act": "aside", "query": {"state": "ready"}}
    assert alice.post(address, {**ask, "dry_run": True}, format="json").json() == {"chosen": 2, "changed": 2}
    made = alice.post(address, ask, format="json")
    assert (made.status_code, made.json()["changed"]) == (202, 2)
    assert set(items_of(cast.project, Filters(state="aside"))) == set(items[1:])
    assert alice.get(f"{API}/acts/{made.json()['id']}/").json()["state"] == "done"
    assert alice.post(f"{API}/acts/{made.json()['id']}/undo/").json()["state"] == "undone"
    assert alice.post(f"{API}/acts/{made.json()['id']}/undo/").status_code == 409
    assert alice.post(address, {"act": "aside"}, format="json").status_code == 400
    assert alice.post(address, {"act": "aside", "items": [str(uuid4())]}, format="json").status_code == 400
    assert alice.post(address, {"act": "priority", "items": [str(items[0].pk)]}, format="json").status_code == 400


def test_engineers_keep_subsets_and_change_nothing_else(cast: Cast, items: list[Item]) -> None:
    dave = client_of(cast.dave)
    subsets.make_subset(cast.project, "Mine", cast.dave, timezone.now())
    address = f"{API}/projects/{cast.project.pk}/items/acts/"
    assert dave.post(address, {"act": "add", "subset": "Mine", "query": {}}, format="json").status_code == 202
    assert dave.post(address, {"act": "aside", "query": {}}, format="json").status_code == 403


def test_the_page_says_how_many_before_and_offers_the_way_back_after(cast: Cast, items: list[Item]) -> None:
    browser = browser_of(cast.alice)
    address = f"/projects/{cast.project.pk}/curate/acts/"
    asked = {"act": "flag", "item": [str(one.pk) for one in items], "back": "order=oldest"}
    look = browser.post(address, asked, format="multipart").content.decode()
    assert "<strong>3 items</strong> of 3 will change." in look
    assert not Item.objects.exclude(flagged_at=None).exists()
    done = browser.post(address, {**asked, "sure": "yes"}, format="multipart", follow=True)
    assert done.redirect_chain == [(f"/projects/{cast.project.pk}/curate/?order=oldest", 302)]
    assert "Flag: 3 items changed" in done.content.decode()
    act = BulkAct.objects.get()
    assert f"/curate/acts/{act.pk}/undo/" in done.content.decode()
    back = browser.post(f"/curate/acts/{act.pk}/undo/", follow=True).content.decode()
    assert "Flag was taken back for 3 items." in back
    refused = browser.post(address, {"act": "add", "item": [str(items[0].pk)], "subset": "None"}, format="multipart")
    assert (refused.status_code, b"There is no subset" in refused.content) == (400, True)
    assert browser.post(address, {"act": "flag", "item": "x"}, format="multipart").status_code == 400
