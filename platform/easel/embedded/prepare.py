"""`python -m easel.embedded.prepare`: migrate and seed the demo, in one process because importing Django takes long.

Prints one JSON object: what `seed_demo --json` said, or {"problem": one line}. It runs beside the supervisor, which
knows no Django.
"""

from __future__ import annotations

import json
import os
import sys
from io import StringIO
from urllib.parse import urlsplit

from easel.env import environment


def main() -> int:
    """Prepare the database; return the exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "easel.settings")
    problem = _database_problem() or _broker_problem()
    if problem:
        return _refuse(problem)
    import django
    from django.core.management import CommandError, call_command
    from django.db import DatabaseError

    django.setup()
    try:
        call_command("migrate", interactive=False, verbosity=1, stdout=sys.stderr)
        said = StringIO()
        call_command("seed_demo", json=True, stdout=said)
    except (DatabaseError, CommandError) as error:
        return _refuse(f"Preparing the database {_database()} failed: {_reason(error)}")
    sys.stdout.write(said.getvalue())
    return 0


def _refuse(problem: str) -> int:
    sys.stdout.write(json.dumps({"problem": problem}))
    return 1


def _database() -> str:
    """Name the database without its password."""
    parts = urlsplit(environment.database)
    return f"{parts.hostname or 'of this machine'}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _reason(error: Exception) -> str:
    """Return the last thing the driver said, on one line and without the password."""
    text = " ".join(str(error).split())
    password = urlsplit(environment.database).password
    if password:
        text = text.replace(password, "***")
    return text.rpartition("FATAL: ")[2].rstrip(".") + "."


def _database_problem() -> str | None:
    """Connect once without Django, whose pool would only say that it waited ten seconds."""
    import psycopg

    try:
        psycopg.connect(environment.database, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        return f"Cannot connect to the database {_database()}: {_reason(error)} Check DATABASE_URL."
    return None


def _broker_problem() -> str | None:
    if not environment.broker_url:
        return None
    from kombu.connection import Connection
    from kombu.exceptions import OperationalError

    try:
        with Connection(environment.broker_url, connect_timeout=3) as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(max_retries=1, interval_start=0)
    except (OperationalError, OSError) as error:
        parts = urlsplit(environment.broker_url)
        where = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
        return f"Cannot connect to the broker {where}: {' '.join(str(error).split())} Check BROKER_URL."
    return None


if __name__ == "__main__":
    sys.exit(main())
