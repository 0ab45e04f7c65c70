"""An empty Easel for a benchmark: Postgres with its tables in a folder of its own, and the fixed cast."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.cast import Cast

REPOSITORY = Path(__file__).resolve().parents[2]


@contextmanager
def empty_world() -> Iterator[Cast]:
    """Start it, set Django up for it, and throw it away at the end. Processes that are started in it see it too."""
    with tempfile.TemporaryDirectory(prefix="easel-benchmark-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # as root, Postgres runs as another user, and keeps its data where it can enter
        for name in ("DATABASE_URL", "BROKER_URL", "STORAGE_URL"):
            os.environ.pop(name, None)
        os.environ |= {
            "EASEL_HOME": str(home),
            "EASEL_MODEL_PATH": str(home / "models"),
            "DJANGO_SETTINGS_MODULE": "easel.settings",
            "PYTHONPATH": f"{REPOSITORY / 'platform'}{os.pathsep}{REPOSITORY}",
        }
        from easel.embedded.postgres import Postgres
        from easel.env import environment

        postgres = Postgres(home, environment.sockets, environment.embedded_secrets["database_password"])
        postgres.start()
        try:
            yield _cast(home)
        finally:
            postgres.stop()


def in_a_process(code: str, argument: object, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run Python code in a process of its own, whose peak of memory is its own; return the JSON of its last line."""
    command = [sys.executable, "-c", code, str(argument)]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _cast(home: Path) -> Cast:
    import django

    django.setup()
    logging.disable(logging.WARNING)  # no broker is up here, and no bell need be heard
    from django.core.management import call_command

    from tests import cast as stage

    call_command("migrate", verbosity=0)
    stage.make_model_folder(home / "models" / "painter")
    return stage.make_cast()
