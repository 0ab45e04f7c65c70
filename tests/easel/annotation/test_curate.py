"""Curate: filters find what they say, in pages that neither repeat nor skip; who may see and do what."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone
from easel.accounts.models import User
from easel.annotation.curate import subsets
from easel.annotation.curate.filters import HINTS, Filters, items_of, read_filters
from easel.annotation.curate.paging import COUNTED, count_of, page_of_items
from easel.annotation.models import Annotation, Item, Subset
from easel.common.errors import InvalidInput
from easel.images.models import Candidate
from easel.snapshots.filters import Filters as SnapshotFilters
from easel.snapshots.filters import survey
from easel.snapshots.services import freeze_next
from rest_framework.test import APIClient

from tests.cast import API, Cast, annotate, browser_of, make_items, make_user

ANY_ID = "0197aaaa-0000-7000-8000-000000000000"


def found(cast: Cast, **said: Any) -> set[Item]:
    return set(items_of(cast.project, Filters(**said)))


@pytest.fixture
def items(cast: Cast) -> list[Item]:
    """Four items: an icon of 0 apples to one of 3 apples. bob has ranked the first."""
    made = make_items(cast, 4)
    annotate(cast.project, cast.bob)
    return made


def test_words_begin_words_of_the_prompt_in_any_case_and_order(cast: Cast, items: list[Item]) -> None:
    assert found(cast, words="APPL 2") == {items[2]}
    assert found(cast, words="icon") == set(items)
    assert found(cast, words="pples") == set()
    assert found(cast, words="it's & | ! ( : * \\ icon") == set()
    with pytest.raises(InvalidInput, match="holds no word"):
        found(cast, words="!!! &")


def test_columns_of_an_item(cast: Cast, items: list[Item]) -> None:
    Item.objects.filter(pk=items[1].pk).update(category="fruit", state="aside", lead=2, flagged_at=timezone.now())
    assert found(cast, category="fruit") == {items[1]}
    assert found(cast, state="done") == {items[0]}
    assert found(cast, state="aside") == {items[1]}
    assert found(cast, votes_min=1) == {items[0]}
    assert found(cast, votes_max=0, lead_min=1.5) == {items[1]}
    assert found(cast, flagged=True) == {items[1]}
    assert found(cast, flagged=False) == set(items) - {items[1]}


def test_models_of_rendered_and_of_imported_images(cast: Cast, items: list[Item], alice: APIClient) -> None:
    assert found(cast, model=cast.model.pk) == set(items)
    assert found(cast, model=ANY_ID) == set()
    Candidate.objects.filter(items=items[0]).first()
    request = items[0].request
    assert request is not None
    type(request).objects.filter(pk=request.pk).update(kind="import")
    assert found(cast, model=cast.model.pk) == set(items)
    assert found(cast, request=request.pk) == set(items)


def test_what_was_said_of_an_item(cast: Cast, items: list[Item]) -> None:
    said = Annotation.objects.get()
    yesterday = date.today() - timedelta(days=1)
    assert found(cast, annotator=cast.bob.pk) == {items[0]}
    assert found(cast, annotator=cast.alice.pk) == set()
    assert found(cast, kind="human") == {items[0]}
    assert found(cast, kind="simulated") == set()
    assert found(cast, since=yesterday) == {items[0]}
    assert found(cast, until=yesterday - timedelta(days=1)) == set()
    assert found(cast, all_bad=True) == set()
    Annotation.objects.filter(pk=said.pk).update(
        all_bad=True,
        review_state="waiting",
        answers={**said.answers, "harm": {"c1": ["violence"]}, "marks": [{"word": 1, "kind": "violence"}]},
    )
    assert found(cast, all_bad=True) == {items[0]}
    assert found(cast, review="waiting") == {items[0]}
    assert found(cast, image_flag="any") == {items[0]}
    assert found(cast, image_flag="violence") == {items[0]}
    assert found(cast, image_flag="nudity") == set()
    assert found(cast, image_flag="violence", annotator=cast.alice.pk) == set()


def test_what_is_asked_of_annotations_is_asked_of_one(cast: Cast, items: list[Item]) -> None:
    """An item that bob ranked, and another person found bad, is not one that bob found bad."""
    other = make_user("other", cast.project)
    type(cast.project).objects.filter(pk=cast.project.pk).update(overlap=2)
    Item.objects.filter(pk=items[0].pk).update(state="ready", wants=2)
    annotate(cast.project, other)
    Annotation.objects.filter(annotator=other).update(all_bad=True)
    assert found(cast, all_bad=True, annotator=other.pk) == {items[0]}
    assert found(cast, all_bad=True, annotator=cast.bob.pk) == set()


def test_gold_is_shown_only_to_who_asks_and_may_know(cast: Cast, items: list[Item], alice: APIClient) -> None:
    Item.objects.filter(pk=items[3].pk).update(purpose="gold")
    assert found(cast) == set(items[:3])
    assert found(cast, purpose="gold") == {items[3]}
    listed = f"{API}/projects/{cast.project.pk}/items/?purpose=gold"
    assert [one["id"] for one in alice.get(listed).json()["results"]] == [str(items[3].pk)]
    from tests.cast import client_of

    assert client_of(make_user("viola", cast.project, "viewer")).get(listed).status_code == 403


def test_other_projects_are_never_among_them(cast: Cast, items: list[Item]) -> None:
    make_items(cast, 2, project=cast.foreign)
    theirs = subsets.make_subset(cast.foreign, "Theirs", cast.charlie, timezone.now())
    assert found(cast) == set(items)
    with pytest.raises(InvalidInput, match="no subset"):
        found(cast, subset=theirs.pk)


@pytest.mark.parametrize("order", ["newest", "oldest", "least_agreed", "most_agreed"])
def test_pages_neither_repeat_nor_skip(cast: Cast, order: Any) -> None:
    items = make_items(cast, 9, images=2)
    for number, item in enumerate(items):
        Item.objects.filter(pk=item.pk).update(lead=number % 3 / 3)
    filters = Filters(order=order)
    read, after = [], ""
    while True:
        page = page_of_items(items_of(cast.project, filters), filters, after, 2)
        read += page.rows
        if page.after is None:
            break
        after = page.after
    assert read == list(items_of(cast.project, filters))
    assert len(read) == 9
    assert page_of_items(items_of(cast.project, filters), filters, "rubbish~", 2).rows == read[:2]


def test_many_items_are_not_counted_one_by_one(cast: Cast, items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    assert COUNTED == 10_000
    monkeypatch.setattr("easel.annotation.curate.paging.COUNTED", 3)
    assert count_of(items_of(cast.project, Filters())) == 4
    assert count_of(items_of(cast.project, Filters(state="done"))) == 1


BAD = {
    "model": "Painter", "request": "7", "state": "open", "votes_min": "many", "votes_max": "-1", "lead_min": "x",
    "lead_max": "1e9", "flagged": "perhaps", "all_bad": "2", "annotator": "bob", "kind": "robot", "since": "yesterday",
    "until": "2026-13-01", "review": "good", "near": "far", "subset": "Mine", "purpose": "fun", "order": "best",
    "words": "w" * 400, "category": "c" * 200, "image_flag": "f" * 200,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_value_is_one_line_that_says_what_and_how_to_mend_it(name: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read_filters({name: BAD[name]})
    assert list(refusal.value.fields) == [name]
    (line,) = refusal.value.fields[name]
    assert line.startswith(f"{name}: ") and HINTS[name] in line and "\n" not in line


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"since": "2026-02-02", "until": "2026-02-01"}, "until"),
        ({"votes_min": "3", "votes_max": "2"}, "votes_max"),
        ({"lead_min": "3", "lead_max": "2.5"}, "lead_max"),
    ],
)
def test_ranges_that_hold_nothing_are_refused(given: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput, match="Exchange them") as refusal:
        read_filters(given)
    assert list(refusal.value.fields) == [field]


def test_the_address_of_filters_gives_them_back() -> None:
    filters = Filters(words="a fox", votes_min=2, lead_max=0.5, flagged=False, all_bad=True, since=date(2026, 1, 2))
    assert read_filters(filters.given) == filters
    assert Filters().query == ""


def test_the_list_by_rest_and_as_a_table(cast: Cast, items: list[Item], alice: APIClient) -> None:
    address = f"{API}/projects/{cast.project.pk}/items/"
    first = alice.get(address, {"page_size": 3}).json()
    assert (first["count"], len(first["results"])) == (4, 3)
    rest = alice.get(first["next"]).json()
    assert [one["prompt"] for one in first["results"] + rest["results"]] == [
        f"an icon of {number} apples" for number in (3, 2, 1, 0)
    ]
    ranked = rest["results"][0]
    assert [one["id"] for one in ranked["images"]] == [group[0] for group in Annotation.objects.get().ranking]
    assert rest["next"] is None
    refused = alice.get(address, {"state": "open", "votes_min": "x"})
    assert refused.status_code == 400
    assert set(refused.json()["fields"]) == {"state", "votes_min"}
    body = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/curate/items.csv?state=done").getvalue().decode()
    (row,) = csv.DictReader(io.StringIO(body))
    assert (row["prompt"], row["votes"], row["state"]) == ("an icon of 0 apples", "1", "done")


def test_queries_are_kept_replaced_and_forgotten(cast: Cast, items: list[Item], alice: APIClient) -> None:
    address = f"{API}/projects/{cast.project.pk}/queries/"
    made = alice.post(address, {"name": "Done", "filters": {"state": "done"}}, format="json")
    assert made.status_code == 201
    assert alice.post(address, {"name": "Done", "filters": {}}, format="json").status_code == 409
    replaced = {"name": "Done", "filters": {"state": "done", "votes_min": 2}, "overwrite": True}
    assert alice.post(address, replaced, format="json").status_code == 201
    (kept,) = alice.get(address).json()["results"]
    assert kept["filters"] == {"state": "done", "votes_min": 2}
    refused = alice.post(address, {"name": "Bad", "filters": {"votes_min": "x"}}, format="json")
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["votes_min"])
    assert alice.delete(f"{API}/queries/{kept['id']}/").status_code == 204
    assert alice.get(address).json()["results"] == []


def test_subsets_are_made_and_deleted_and_their_items_stay(cast: Cast, items: list[Item], alice: APIClient) -> None:
    address = f"{API}/projects/{cast.project.pk}/subsets/"
    made = alice.post(address, {"name": "Good ones"}, format="json").json()
    assert alice.post(address, {"name": "Good ones"}, format="json").status_code == 409
    Subset.objects.get().items.set(items[:2])
    assert found(cast, subset=made["id"]) == set(items[:2])
    assert [one["size"] for one in alice.get(address).json()["results"]] == [2]
    assert alice.delete(f"{API}/subsets/{made['id']}/").status_code == 204
    assert Item.objects.filter(project=cast.project).count() == 4


def test_a_snapshot_is_made_of_a_subset(cast: Cast, items: list[Item], alice: APIClient) -> None:
    annotate(cast.project, cast.bob, 2)
    subset = subsets.make_subset(cast.project, "Good ones", cast.alice, timezone.now())
    subset.items.set(items[:2])
    address = f"{API}/projects/{cast.project.pk}/snapshots/"
    made = alice.post(address, {"filters": {"subset": str(subset.pk)}}, format="json")
    assert made.status_code == 202
    assert freeze_next("a test")
    frozen = alice.get(f"{API}/snapshots/{made.json()['id']}/").json()
    assert (frozen["state"], frozen["filters"]) == ("frozen", {"subset": str(subset.pk)})
    asked = SnapshotFilters(subset=subset.pk)
    taken = survey(cast.project, asked, include_simulated=False, at=timezone.now())
    assert (taken.every, taken.judgements) == (3, 2)
    assert alice.post(address, {"filters": {"subset": ANY_ID}}, format="json").status_code == 400
    page = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/snapshots/new/").content.decode()
    assert "Good ones" in page


def test_the_page_shows_items_filters_and_what_is_wrong(cast: Cast, items: list[Item]) -> None:
    browser = browser_of(cast.alice)
    page = browser.get(f"/projects/{cast.project.pk}/curate/?state=done&words=apples")
    assert page.status_code == 200
    text = page.content.decode()
    assert text.count("data-card=") == 1
    assert "1 item matches the filters" in text
    wrong = browser.get(f"/projects/{cast.project.pk}/curate/?votes_min=x")
    assert wrong.status_code == 400
    assert "votes_min: &#x27;x&#x27; cannot be taken." in wrong.content.decode()
    nothing = browser.get(f"/projects/{cast.project.pk}/curate/?state=aside").content.decode()
    assert "No item matches" in nothing
    assert "No items yet" in browser_of(cast.charlie).get(f"/projects/{cast.foreign.pk}/curate/").content.decode()


def test_a_viewer_sees_items_and_is_offered_no_act(cast: Cast, items: list[Item]) -> None:
    viewer = make_user("viola", cast.project, "viewer")
    assert isinstance(viewer, User)
    text = browser_of(viewer).get(f"/projects/{cast.project.pk}/curate/").content.decode()
    assert text.count("data-card=") == 4
    assert 'id="act"' not in text
    assert "Keep the query" not in text
