"""Time and memory of measuring a project's quality, and of reading it on its page.

    python -m tests.benchmarks.quality [--annotations 100000] --json quality.json

Each item of four images is ranked by three of twenty people. Measuring runs in a process of its own, twice: the second
time is what every half minute costs, once libraries are loaded. Its peak is what the kernel noted (VmHWM). A part of
the time is the floor: Postgres's own, for the same statements, read off the connection.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.world import REPOSITORY, empty_world, in_a_process

PEOPLE, EACH, GROUPS = 20, 3, 30_000

CHILD = """
import json, logging, statistics, sys, time, django
django.setup()
logging.disable(logging.WARNING)
from pathlib import Path
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone
from easel.preferences import services
from easel.preferences.models import ProjectQuality
from easel.projects.models import Membership, Project

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

project = Project.objects.get(pk=sys.argv[1])
before, seconds, cpu, sql = peak(), [], [], [0.0]

def timed(execute, *said):
    began = time.monotonic()
    try:
        return execute(*said)
    finally:
        sql[0] += time.monotonic() - began

for _ in range(2):
    sql[0] = 0.0
    began, used = time.monotonic(), time.process_time()
    with connection.execute_wrapper(timed):
        assert services.measure(project, timezone.now(), anyway=True)
    seconds.append(time.monotonic() - began)
    cpu.append(time.process_time() - used)
measured = peak()
settings.ALLOWED_HOSTS = ["testserver"]
client = Client()
client.force_login(Membership.objects.owners(project)[0].user, backend="django.contrib.auth.backends.ModelBackend")

def page_ms(path):  # the median of seven looks, after a first one
    took = []
    for _ in range(8):
        began = time.monotonic()
        answer = client.get(f"/projects/{project.pk}/{path}")
        assert answer.status_code == 200, answer.status_code
        took.append(time.monotonic() - began)
    return round(1000 * statistics.median(took[1:]), 1)

found = ProjectQuality.objects.get(project=project).found
print(json.dumps({
    "annotations": found.annotations, "items_measured_for_agreement": found.pairs.n, "alpha": found.alpha.rate,
    "first_seconds": round(seconds[0], 2), "seconds": round(seconds[1], 2), "cpu_seconds": round(cpu[1], 2),
    "sql_seconds": round(sql[0], 2), "before_mb": round(before), "peak_mb": round(measured),
    "page_ms": page_ms("quality/"), "overview_ms": page_ms(""),
}))
"""


def populate(cast: Any, count: int) -> None:
    """Make many ranked items quickly: one is ranked, and Postgres copies it, whatever columns its tables have.

    All items share four images; each is ranked by three people in a row of twenty, by the images' ids with mistakes.
    """
    from django.db import connection
    from easel.annotation.models import Annotation, Assignment, Item

    from tests import cast as stage

    (first,) = stage.make_items(cast, 1, colours=4)
    (given,) = stage.annotate(cast.project, cast.bob)
    prompts = stage.make_prompts(cast.project, *(f"more {number}" for number in range(1 + count // GROUPS)))
    people = [stage.make_user(f"person-{number}", cast.project).pk for number in range(PEOPLE)]
    images = sorted(first.candidates.values_list("pk", flat=True))
    tables = [model._meta.db_table for model in (Item, Assignment, Annotation)]
    item, assignment, annotation = (
        f"INSERT INTO {table} SELECT (made).* FROM (SELECT jsonb_populate_record(original, {{}}) AS made "
        f"FROM {table} AS original, {{}} WHERE original.id = %(original)s OFFSET 0) AS rows"
        for table in tables
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        cursor.execute(
            """
            CREATE TEMP TABLE items AS SELECT n, gen_random_uuid() AS item,
                (%(prompts)s::uuid[])[1 + n / %(groups)s] AS prompt FROM generate_series(1, %(items)s) AS n;
            CREATE TEMP TABLE answers AS SELECT items.*,
                gen_random_uuid() AS assignment, gen_random_uuid() AS annotation,
                (%(people)s::uuid[])[1 + (n * 7 + k) %% %(many)s] AS person, now() - n * interval '1 minute' AS at,
                ARRAY(SELECT image FROM unnest(%(images)s::uuid[]) AS image ORDER BY random(), n, k) AS shown,
                (SELECT jsonb_agg(jsonb_build_array(image) ORDER BY place + 2 * random() + 0 * (n + k))
                    FROM unnest(%(images)s::uuid[]) WITH ORDINALITY AS one(image, place)) AS ranking
            FROM items, generate_series(1, %(each)s) AS k
            """,
            {
                "prompts": [prompt.pk for prompt in prompts],
                "groups": GROUPS,
                "items": max(1, count // EACH),
                "people": people,
                "many": PEOPLE,
                "images": images,
                "each": EACH,
            },
        )
        cursor.execute(
            item.format(
                "jsonb_build_object('id', item, 'prompt_id', prompt, 'group', n %% 30000, 'state', 'done', 'votes', 3, "
                "'category', (ARRAY['animals', 'food', 'vehicles'])[1 + n %% 3])",
                "items",
            ),
            {"original": first.pk},
        )
        cursor.execute(
            assignment.format(
                "jsonb_build_object('id', assignment, 'item_id', item, 'annotator_id', person, 'shown_order', shown)",
                "answers",
            ),
            {"original": given.pk},
        )
        cursor.execute(
            annotation.format(
                "jsonb_build_object('id', annotation, 'item_id', item, 'annotator_id', person, 'created_at', at, "
                "'assignment_id', assignment, 'ranking', answers.ranking, 'active_ms', 4000 + (random() * 16000)::int)",
                "answers",
            ),
            {"original": given.annotation.pk},
        )
        cursor.execute("DROP TABLE answers; DROP TABLE items; ANALYZE")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--annotations", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with empty_world() as cast:
        populate(cast, options.annotations)
        figures = in_a_process(CHILD, cast.project.pk)
    figures["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}"
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY / "platform"))
    sys.exit(main())
