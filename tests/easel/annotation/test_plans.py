"""The way of a submission through Postgres: no statement reads a whole table, and there are few of them.

The statements are those of real requests, gold, repeats, undo and skips among them, on a filled project.
EASEL_LONG_FAULTS=1 fills it with more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from easel.annotation.gold.making import make
from easel.annotation.models import Assignment, Item
from easel.projects.models import Project
from rest_framework.test import APIClient

from tests.cast import API, Cast, annotate, client_of, make_items
from tests.stock import analyze, fill

ITEMS = 25_000 if os.environ.get("EASEL_LONG_FAULTS") else 8_000
LARGE = {
    "annotation_item",
    "annotation_item_candidates",
    "annotation_assignment",
    "annotation_annotation",
    "images_candidate",
    "prompts_prompt",
}
LOOPS = 90
MOST = 12  # statements of an ordinary loop, BEGIN and COMMIT included
Statement = tuple[str, Any]


@contextmanager
def heard(seen: list[Statement]) -> Iterator[None]:
    """Keep every statement with its parameters."""

    def listen(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        seen.append((sql, parameters))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(listen):
        yield


def read_whole(statement: Statement) -> set[str]:
    """The large tables that Postgres would read from end to end for a statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement[0]}", statement[1])
        (found,) = cursor.fetchone()
    plans = json.loads(found) if isinstance(found, str) else found
    return set(_scanned(plans[0]["Plan"])) & LARGE


def _scanned(plan: dict[str, Any]) -> Iterator[str]:
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", []):
        yield from _scanned(part)


@pytest.fixture
def project(cast: Cast) -> Project:
    """A filled project with all that measures people switched on."""
    made = make_items(cast, 60)
    annotate(cast.project, cast.erin)
    fill(cast.project, ITEMS, done=0.3, by=[cast.alice, cast.erin], each=2)
    for item in made[-40:]:
        first, *_, last = sorted(str(pk) for pk in item.candidates.values_list("pk", flat=True))
        make(item, {"pairs": [[first, last]], "all_bad": None}, cast.alice, timezone.now())
    rule = {"overlap": 2, "overlap_lead": 2, "overlap_cap": 5}
    Project.objects.filter(pk=cast.project.pk).update(**rule, gold_share=10, repeat_share=20, review_share=20)
    analyze()
    return Project.objects.get(pk=cast.project.pk)


def _submit(client: APIClient, current: dict[str, Any]) -> dict[str, Any]:
    ranking = [[pk] for pk in sorted(one["id"] for one in current["item"]["candidates"])]
    body = {"answers": {"ranking": ranking, "rationale": "crisp"}, "active_ms": 900}
    answer = client.put(f"{API}/assignments/{current['id']}/annotation/", body)
    assert answer.status_code == 201, answer.content
    following: dict[str, Any] = answer.json()["next"]
    return following


@pytest.mark.django_db
def test_no_statement_on_the_way_of_a_submission_reads_a_whole_table(cast: Cast, project: Project) -> None:
    bob = client_of(cast.bob)
    seen: list[Statement] = []
    with heard(seen):
        current = bob.post(f"{API}/projects/{project.pk}/assignments/", {}).json()
        for number in range(LOOPS):
            at = f"{API}/assignments/{current['id']}"
            following = _submit(bob, current)
            if number % 30 == 7:
                assert bob.post(f"{at}/reopen/").status_code == 200
                _submit(bob, current)
            current = following
        at = f"{API}/assignments/{current['id']}"
        assert bob.get(f"{at}/").status_code == 200
        assert bob.put(f"{at}/draft/", {"answers": {"rationale": "cri"}, "version": 0}).status_code == 200
        assert bob.put(f"{at}/heartbeat/").status_code == 200
        assert bob.post(f"{at}/skip/", {"reason": "unsure"}).status_code == 201
    purposes = set(Assignment.objects.filter(annotator=cast.bob).values_list("item__purpose", flat=True))
    assert purposes == set(Item.Purpose.values), "gold and repeats were among them"

    statements = {sql: (sql, parameters) for sql, parameters in seen if not sql.startswith(("SAVEPOINT", "RELEASE"))}
    assert len(statements) > 10
    whole = {sql: tables for sql, statement in statements.items() if (tables := read_whole(statement))}
    assert whole == {}


@pytest.mark.django_db(transaction=True)
def test_an_ordinary_loop_takes_few_statements(committed_cast: Cast) -> None:
    cast = committed_cast
    make_items(cast, 30)
    Project.objects.filter(pk=cast.project.pk).update(overlap=2, overlap_lead=2, overlap_cap=5)
    erin, bob = client_of(cast.erin), client_of(cast.bob)
    current = erin.post(f"{API}/projects/{cast.project.pk}/assignments/", {}).json()
    while current:  # so that bob's are the second votes, which settle an item
        current = _submit(erin, current)
    current = bob.post(f"{API}/projects/{cast.project.pk}/assignments/", {}).json()
    took = []
    for _ in range(20):
        with CaptureQueriesContext(connection) as log:
            current = _submit(bob, current)
        took.append(len(log))
    assert max(took[2:]) <= MOST, [query["sql"][:100] for query in log.captured_queries]
    assert Item.objects.filter(state=Item.State.DONE).count() == len(took), "two who agree are enough"
