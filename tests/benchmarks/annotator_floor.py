"""The floor of the annotator loop: the statements of one request, recorded off the product, sent by bare psycopg."""

from __future__ import annotations

import random
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
from easel.annotation.models import Annotation, Assignment
from easel.common.ids import uuid7
from easel.projects.models import Project
from rest_framework.test import APIClient

from tests import cast as stage

if TYPE_CHECKING:
    from tests.benchmarks.annotator_loop import Annotator


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
    return known[value.name] if isinstance(value, Known) else value


@dataclass(frozen=True)
class Recording:
    """The statements of one loop, in order, BEGIN and COMMIT included."""

    project: Project
    steps: tuple[Step, ...]

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
        known["annotation"], known["next_assignment"] = uuid7(), uuid7()
        number = 0
        while number < len(self.steps):
            step = self.steps[number]
            cursor.execute(step.sql, step.filled(known) or None)
            rows = cursor.fetchall() if cursor.description else []
            if step.tells == "next_item":
                known["next_item"] = rows[0][0]
                search = number
            elif step.tells == "shown":
                known["shown"] = random.sample([row[0] for row in rows], len(rows))
            # No candidates: somebody was quicker. The next search does not find the item any more.
            number = search if step.tells == "shown" and not rows else number + 1
        known["assignment"], known["item"] = known["next_assignment"], known["next_item"]


def record(project: Project, annotator: Annotator) -> Recording:
    """Submit once, in this process, and keep every statement that it took."""
    client = APIClient(SERVER_NAME="localhost")
    client.credentials(HTTP_AUTHORIZATION=f"Token {annotator.token}")
    stage.annotate(project, annotator.user)  # the process has read the template by now
    current = stage.lease(project, annotator.user)
    statements: dict[int, tuple[str, Any]] = {}

    def listen(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        statements[len(connection.queries_log)] = (sql, parameters or ())
        return execute(sql, parameters, many, context)

    at = timezone.now()
    with CaptureQueriesContext(connection) as log, connection.execute_wrapper(listen):
        body = {"answers": stage.answers_for(current, rationale="crisp"), "active_ms": 900}
        answer = client.put(f"{stage.API}/assignments/{current.pk}/annotation/", body)
    assert answer.status_code == 201, answer.content
    following = Assignment.objects.get(pk=answer.json()["next"]["id"])
    names: dict[Any, str] = {
        current.pk: "assignment",
        current.item_id: "item",
        annotator.user.pk: "annotator",
        annotator.token[:15]: "token",
        Annotation.objects.get(assignment=current).pk: "annotation",
        following.pk: "next_assignment",
        following.item_id: "next_item",
    }

    def known(value: Any) -> Any:
        if isinstance(value, datetime):
            return Known("expiry" if value > at + settings.LEASE / 2 else "now")
        if isinstance(value, list):
            return Known("shown") if value == following.shown_order else value
        return Known(names[value]) if value.__hash__ and value in names else value

    steps = []
    for number, query in enumerate(log.captured_queries, start=log.initial_queries):
        sql, parameters = statements.get(number, (query["sql"], ()))
        tells = "next_item" if "SKIP LOCKED" in sql else "shown" if "AS candidate" in sql else ""
        if isinstance(parameters, dict):
            parameters = {name: known(value) for name, value in parameters.items()}
        else:
            parameters = [known(value) for value in parameters]
        steps.append(Step(sql, parameters, tells))
    assert {"next_item", "shown"} <= {step.tells for step in steps}
    return Recording(project, tuple(steps))
