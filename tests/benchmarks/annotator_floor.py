"""The floor of the annotator loop: the statements of one request, recorded off the product, sent by bare psycopg."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from threading import Barrier
from typing import TYPE_CHECKING, Any

import psycopg
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from easel.accounts.models import User
from easel.annotation.models import Annotation, Assignment, Item
from easel.common.ids import uuid7
from easel.projects.models import Project
from rest_framework.test import APIClient

from tests import cast as stage

if TYPE_CHECKING:
    from tests.benchmarks.annotator_loop import Annotator

LOOPS = 80  # whose statements are counted


@dataclass(frozen=True)
class Known:
    """A parameter that differs from loop to loop, by what it is."""

    name: str


@dataclass(frozen=True)
class Step:
    """One statement with its parameters, and what its answer tells."""

    sql: str
    parameters: list[Any] | dict[str, Any]
    tells: str

    def filled(self, known: dict[str, Any]) -> list[Any] | dict[str, Any]:
        """Return the parameters with what is known by now."""
        if isinstance(self.parameters, dict):
            return {name: _fill(value, known) for name, value in self.parameters.items()}
        return [_fill(value, known) for value in self.parameters]


def _fill(value: Any, known: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_fill(one, known) for one in value]
    return known[value.name] if isinstance(value, Known) else value


@dataclass(frozen=True)
class Recording:
    """The statements of one loop, in order, BEGIN and COMMIT included."""

    project: Project
    steps: tuple[Step, ...]
    statements: tuple[int, ...]
    """How many a loop took, of many loops in a row: ordinary ones, and those with gold and repeats."""

    def replay(self, annotator: Annotator, loops: int, start: Barrier) -> list[float]:
        """Run loops as an annotator, on a connection of one's own; return their milliseconds."""
        current = stage.lease(self.project, annotator.user)
        connection.close()
        known = {"assignment": current.pk, "item": current.item_id, "annotator": annotator.user.pk}
        known["token"] = annotator.token[:15]
        database = settings.DATABASES["default"]
        latencies = []
        with psycopg.connect(
            dbname=database["NAME"],
            user=database["USER"],
            password=database["PASSWORD"],
            host=database["HOST"],
            port=database["PORT"] or None,
            autocommit=True,
        ) as bare:
            cursor = bare.cursor()
            start.wait()
            for _ in range(loops):
                before = time.perf_counter()
                self._loop(cursor, known)
                latencies.append(1_000 * (time.perf_counter() - before))
        return latencies

    def _loop(self, cursor: psycopg.Cursor[Any], known: dict[str, Any]) -> None:
        known["now"] = timezone.now()
        known["expiry"] = known["now"] + settings.LEASE
        known["annotation"], known["next_assignment"], known["record"] = uuid7(), uuid7(), uuid7()
        known["gone"] = []
        number = 0
        while number < len(self.steps):
            step = self.steps[number]
            cursor.execute(step.sql, step.filled(known) or None)
            rows = cursor.fetchall() if cursor.description else []
            if step.tells == "next_item":
                known["next_item"] = rows[0][0]
                search = number
            # No candidates: somebody was quicker. The next search looks past the item.
            if step.tells == "shown" and not rows:
                known["gone"].append(known["next_item"])
                number = search
            else:
                number += 1
        known["assignment"], known["item"] = known["next_assignment"], known["next_item"]


def record(project: Project, annotator: Annotator, other: Annotator) -> Recording:
    """Rank in this process, count the statements of each loop, and keep those of an ordinary one.

    Ordinary: the second vote on an item, after which comes one that is neither gold nor a repeat.
    """
    client = APIClient(SERVER_NAME="localhost")
    client.credentials(HTTP_AUTHORIZATION=f"Token {annotator.token}")
    counts: list[int] = []
    kept: tuple[Step, ...] = ()
    current = stage.lease(project, annotator.user)
    while len(counts) < LOOPS or not kept:
        current = Assignment.objects.select_related("item").get(pk=current.pk)
        if not kept and current.item.purpose == Item.Purpose.RANK:
            _vote(current.item, other.user)
        steps, following = _recorded(client, current, annotator)
        before, after = current.item.purpose, following.item.purpose
        if len(counts) > 2 and not kept and before == after == Item.Purpose.RANK:  # the process is warm by now
            kept = steps
        counts.append(len(steps))
        current = following
    assert {"next_item", "shown"} <= {step.tells for step in kept}
    return Recording(project, kept, tuple(counts))


def _vote(item: Item, voter: User) -> None:
    """Have somebody else be the first to rank an item."""
    now = timezone.now()
    shown = list(item.candidates.values_list("pk", flat=True))
    given = Assignment.objects.create(
        item=item, annotator=voter, shown_order=shown, expires_at=now + settings.LEASE, created_at=now
    )
    ranking = [[str(pk)] for pk in sorted(shown)]
    stage.submit(given, {"ranking": ranking, "rationale": "crisp"})


def _recorded(client: APIClient, current: Assignment, annotator: Annotator) -> tuple[tuple[Step, ...], Assignment]:
    """Submit once and keep every statement that it took; return them and what came next."""
    statements: dict[int, tuple[str, Any]] = {}

    def listen(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        statements[len(connection.queries_log)] = (sql, parameters or ())
        return execute(sql, parameters, many, context)

    at = timezone.now()
    ranking = [[str(pk)] for pk in sorted(current.shown_order)]
    body = {"answers": {"ranking": ranking, "rationale": "crisp"}, "active_ms": 900}
    with CaptureQueriesContext(connection) as log, connection.execute_wrapper(listen):
        answer = client.put(f"{stage.API}/assignments/{current.pk}/annotation/", body)
    assert answer.status_code == 201, answer.content
    following = Assignment.objects.select_related("item").get(pk=answer.json()["next"]["id"])
    names: dict[Any, str] = {
        current.pk: "assignment",
        current.item_id: "item",
        annotator.user.pk: "annotator",
        annotator.token[:15]: "token",
        Annotation.objects.get(assignment=current).pk: "annotation",
        following.pk: "next_assignment",
        following.item_id: "next_item",
    }

    def known(value: Any, name: str = "") -> Any:
        if name in {"gone", "record"}:
            return Known(name)
        if isinstance(value, datetime):
            return Known("expiry" if value > at + settings.LEASE / 2 else "now")
        if isinstance(value, list):
            return [known(one) for one in value]
        return Known(names[value]) if value.__hash__ and value in names else value

    steps = []
    for number, query in enumerate(log.captured_queries, start=log.initial_queries):
        sql, parameters = statements.get(number, (query["sql"], ()))
        tells = "next_item" if "SKIP LOCKED" in sql else "shown" if "AS candidate" in sql else ""
        if isinstance(parameters, dict):
            parameters = {name: known(value, name) for name, value in parameters.items()}
        else:
            parameters = [known(value) for value in parameters]
        steps.append(Step(sql, parameters, tells))
    return tuple(steps), following
