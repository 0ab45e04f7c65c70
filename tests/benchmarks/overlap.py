"""How long it takes to change the overlap of a large project: the answer to the admin, and the items behind it.

    python -m tests.benchmarks.overlap --items 100000 --json overlap.json

The request is the true one, over HTTP. The items follow in the background, a thousand in one transaction, so that
annotators go on meanwhile. The floor, in turn with both, is one bare UPDATE of the same rows, which holds them all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from contextlib import redirect_stdout
from http.client import HTTPConnection
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.annotator_loop import _machine, _own_server, _stage

RULES = ({"start": 3, "lead": 0, "cap": 5}, {"start": 2, "lead": 2, "cap": 5})
FLOOR = "UPDATE annotation_item SET wants = coalesce(wants, 1) + 1 WHERE project_id = %s AND purpose = 'rank'"


def main() -> None:
    """Measure and print."""
    options = _read()
    with _own_server() as url:
        figures = measure(url, options)
    for name, value in figures.items():
        print(f"{name:20} {value!s:>10}")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


def measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Change the overlap back and forth; return the medians of the rounds, in seconds."""
    from django.db import connection
    from django.utils import timezone
    from easel.accounts.roles import Role
    from easel.annotation.distribution import recount_all
    from easel.projects.models import Membership

    request, follow, floor, items = [], [], [], 0
    staged = argparse.Namespace(annotators=5, base=options.items, plain=False, running=False)
    with redirect_stdout(StringIO()), _stage(staged) as (project, people), connection.cursor() as cursor:
        Membership.objects.filter(project=project, user=people[0].user).update(role=Role.ADMIN)
        for number in range(options.repeats):
            rule = RULES[number % 2]
            request.append(_timed(lambda rule=rule: _ask(url, project, people[0].token, rule)))
            began = time.perf_counter()
            items = recount_all(timezone.now())
            follow.append(time.perf_counter() - began)
            floor.append(_timed(lambda: cursor.execute(FLOOR, [project.pk])))
    return {
        "request_s": round(statistics.median(request), 3),
        "request_worst_s": round(max(request), 3),
        "items_follow_s": round(statistics.median(follow), 2),
        "floor_s": round(statistics.median(floor), 2),
        "items": items,
        "repeats": options.repeats,
        "machine": _machine(),
    }


def _timed(act: Any) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _ask(url: str, project: Any, token: str, rule: dict[str, int]) -> None:
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=60)
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    connection.request("PUT", f"/api/v1/projects/{project.pk}/overlap/", json.dumps(rule), headers)
    response = connection.getresponse()
    content = response.read()
    assert response.status == 202, (response.status, content[:500])
    connection.close()


def _read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    import sys

    from tests.benchmarks.annotator_loop import REPOSITORY

    sys.path.insert(0, str(REPOSITORY / "platform"))
    main()
