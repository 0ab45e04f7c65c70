"""What reviewers said decides what snapshots and exports take."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from django.utils import timezone
from easel.accounts.models import User
from easel.accounts.roles import Role
from easel.annotation.models import Annotation, Assignment
from easel.annotation.review.adjudication import adjudicate
from easel.annotation.review.services import accept, fix, return_
from easel.cli import easel
from easel.snapshots.exports import jsonl, write_trl
from easel.snapshots.filters import Filters
from easel.snapshots.models import DatasetSnapshot
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast
from tests.easel.snapshots.test_snapshots import backwards, icons, in_order, rank, ranked_by_two, rows, take


@pytest.fixture
def rita(cast: Cast) -> User:
    """A reviewer."""
    return stage.make_user("rita", cast.project, Role.REVIEWER)


def annotation_of(assignment: Assignment) -> Annotation:
    """What was submitted."""
    return Annotation.objects.get(assignment=assignment)


@pytest.fixture
def said(cast: Cast, rita: User) -> list[Annotation]:
    """Five annotations of five items: accepted, returned, fixed to its contrary, and two that nobody reviewed."""
    icons(cast, 5)
    found = [annotation_of(rank(cast, cast.bob, in_order)) for _ in range(5)]
    now = timezone.now()
    accept(found[0], rita, now)
    return_(found[1], rita, now, "Again.")
    fix(found[2], rita, now, {"ranking": found[2].ranking[::-1]})
    return found


def test_returned_work_is_left_out_unless_it_is_asked_for(cast: Cast, said: list[Annotation], tmp_path: Path) -> None:
    items = [str(one.item_id) for one in said]
    usual = {str(row.item): row for row in rows(take(cast), tmp_path)}
    assert set(usual) == {items[0], items[2], items[3], items[4]}
    assert usual[items[2]].judgements[0].groups == ((3,), (2,), (1,), (0,)), "as it was fixed"
    only = rows(take(cast, filters=Filters(review="accepted")), tmp_path)
    assert {str(row.item) for row in only} == {items[0], items[2]}
    every = rows(take(cast, filters=Filters(review="any")), tmp_path)
    assert {str(row.item) for row in every} == set(items)


def test_the_filter_is_asked_for_over_rest_on_the_command_line_and_on_the_page(
    cast: Cast, said: list[Annotation], alice: APIClient
) -> None:
    address = f"{API}/projects/{cast.project.pk}/snapshots/"
    made = alice.post(address, {"filters": {"review": "accepted"}})
    assert made.status_code == 202
    assert made.json()["filters"] == {"review": "accepted"}
    asked = ["snapshot", "--project", str(cast.project.pk), "--review", "any", "--no-wait"]
    assert CliRunner().invoke(easel, asked).exit_code == 0
    browser = stage.browser_of(cast.alice)
    page = f"/projects/{cast.project.pk}/snapshots/"
    body = {"review": "accepted", "validation": "5", "test": "5", "seed": "0"}
    assert browser.post(f"{page}new/", body, format="multipart").status_code == 302
    found = [one.wanted().review for one in DatasetSnapshot.objects.order_by("id")]
    assert found == ["accepted", "any", "accepted"]
    assert "4</" in browser.get(f"{page}count/", {**body, "review": "not_returned"}).content.decode()


def test_a_decision_counts_alone(cast: Cast, rita: User, tmp_path: Path) -> None:
    ranked_by_two(cast)
    first, second, third = icons(cast, 3)
    for erin_says in (backwards, in_order, backwards):
        rank(cast, cast.bob, in_order)
        rank(cast, cast.erin, erin_says)
    before = {row.item: row for row in rows(take(cast), tmp_path)}
    assert len(before[first.pk].judgements) == 2
    chosen = annotation_of(Assignment.objects.get(item=first, annotator=cast.erin))
    adjudicate(first, rita, timezone.now(), chosen=chosen)
    snapshot = take(cast)
    after = {row.item: row for row in rows(snapshot, tmp_path)}
    assert [one.groups for one in after[first.pk].judgements] == [((3,), (2,), (1,), (0,))]
    assert len(after[second.pk].judgements) == 2
    assert any("A reviewer decided 1 item" in line for line in snapshot.manifest["remarks"])
    for one in Annotation.objects.filter(item__in=[second, third]):
        accept(one, rita, timezone.now())
    strict = rows(take(cast, filters=Filters(review="accepted", least_agreement=0.9)), tmp_path)
    assert {row.item for row in strict} == {first.pk, second.pk}, "a decision needs nobody's agreement"


def test_exports_tell_what_reviewers_said(cast: Cast, rita: User, said: list[Annotation], tmp_path: Path) -> None:
    adjudicate(said[3].item, rita, timezone.now(), answers={"ranking": [[said[3].ranking[3][0]], said[3].ranking[0]]})
    lines = [json.loads(line) for line in jsonl(cast.project)]
    assert [line["review"] for line in lines] == ["accepted", "returned", "fixed", None, None]
    assert [line["revision"] for line in lines] == [0, 0, 1, 0, 0]
    decision = lines[3]["adjudication"]
    assert decision["ranking"] == [[said[3].ranking[3][0]], said[3].ranking[0]]
    assert "rita" not in json.dumps(lines), "reviewers are pseudonyms too"
    assert [line["adjudication"] for line in lines if line["id"] != str(said[3].pk)] == [None] * 4
    count = write_trl(cast.project, tmp_path / "trl.parquet")
    assert count == 6 * 3 + 1, "nothing of what was returned, and the decision's one pair"
    assert pq.read_table(tmp_path / "trl.parquet").num_rows == count


def test_a_decision_is_exported_once_however_many_ranked_the_item(cast: Cast, rita: User, tmp_path: Path) -> None:
    ranked_by_two(cast)
    (item,) = icons(cast, 1)
    said = annotation_of(rank(cast, cast.bob, in_order))
    rank(cast, cast.erin, backwards)
    assert write_trl(cast.project, tmp_path / "before.parquet") == 12
    adjudicate(item, rita, timezone.now(), chosen=said)
    assert write_trl(cast.project, tmp_path / "after.parquet") == 6
