"""Settings are typed and fail at start with one line; health is told without touching anything."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from easel.env import REPOSITORY, Environment
from pytest_django import DjangoAssertNumQueries

START = [sys.executable, "-c", "import django; django.setup()"]


def start(**variables: str) -> subprocess.CompletedProcess[str]:
    """Start Django with these variables."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "easel.settings",
        "PYTHONPATH": f"{REPOSITORY / 'platform'}{os.pathsep}{REPOSITORY}",
        **variables,
    }
    return subprocess.run(START, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("DATABASE_URL", "mysql://root@db/easel", "postgresql://"),
        ("DATABASE_URL", "postgresql://db/easel?nonsense=1", "nonsense"),
        ("DATABASE_URL", "postgresql://[::1/easel", ""),
        ("BROKER_URL", "http://db", "redis://"),
        ("EASEL_SECRET_KEY", "short", "32"),
        ("EASEL_LEASE_SECONDS", "soon", "integer"),
        ("EASEL_LEASE_SECONDS", "0", "1"),
        ("EASEL_DEBUG", "perhaps", "boolean"),
    ],
)
def test_a_bad_variable_stops_the_start_with_one_line_that_names_it(variable: str, value: str, says: str) -> None:
    stopped = start(**{variable: value})
    assert stopped.returncode == 2
    assert len(stopped.stderr.splitlines()) == 1, stopped.stderr
    assert stopped.stderr.startswith(f"{variable}: ")
    assert says in stopped.stderr


@pytest.mark.parametrize(
    ("variable", "value", "secret"),
    [
        ("EASEL_SECRET_KEY", "hunter2", "hunter2"),
        ("DATABASE_URL", "mysql://root:hunter2@db/easel", "hunter2"),
        ("BROKER_URL", "http://user:hunter2@db", "hunter2"),
    ],
)
def test_the_line_does_not_give_a_secret_away(variable: str, value: str, secret: str) -> None:
    assert secret not in start(**{variable: value}).stderr


def test_two_bad_variables_are_both_named() -> None:
    stopped = start(EASEL_LEASE_SECONDS="0", BROKER_URL="x")
    assert {line.partition(":")[0] for line in stopped.stderr.splitlines()} == {"EASEL_LEASE_SECONDS", "BROKER_URL"}


def test_every_variable_has_a_description() -> None:
    assert [name for name, field in Environment.model_fields.items() if not field.description] == []


def test_healthz_touches_nothing(client: Client, django_assert_num_queries: DjangoAssertNumQueries, db: None) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok")


def test_readyz_asks_the_database_and_counts_migrations(client: Client, db: None) -> None:
    assert client.get("/readyz").json() == {"ready": True}
    recorder = MigrationRecorder(connection)
    newest = max(name for app, name in recorder.applied_migrations() if app == "annotation")
    recorder.record_unapplied("annotation", newest)
    behind = client.get("/readyz")
    assert (behind.status_code, behind.json()["ready"]) == (503, False)
    assert "migration" in behind.json()["detail"]


def test_answers_carry_the_headers_that_keep_a_browser_safe(client: Client, db: None) -> None:
    headers: Any = client.get("/sign-in/").headers
    policy = headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    assert "default-src 'none'" in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
