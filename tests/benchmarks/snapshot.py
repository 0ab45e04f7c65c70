"""Time and memory of freezing a snapshot, and of fetching it as a trainer does.

    python -m tests.benchmarks.snapshot [--judgements 100000]

Each judgement is of an item of its own with a prompt of its own and four images: the worst case for the split, which
holds the words of every prompt. The images share a few small files, which are read and hashed every time. Freezing and
fetching run in a process of their own; its peak is what the kernel noted (VmHWM), libraries included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.world import REPOSITORY, empty_world, in_a_process

GOAL_MB = 256

CHILD = """
import json, logging, sys, tempfile, time, django

class NoPandas:
    # pyarrow imports it where it finds it: tests have it, an installation has not
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, NoPandas())
django.setup()
logging.disable(logging.WARNING)  # no broker need be up
from pathlib import Path
from django.utils import timezone
from easel.common.storage import storage
from easel.projects.models import Membership, Project
from easel.snapshots.filters import Filters
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.services import freeze_next, take_snapshot
from finetune import snapshot as folders

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

project = Project.objects.get(pk=sys.argv[1])
owner = Membership.objects.owners(project)[0].user
before = peak()
take_snapshot(project, owner, timezone.now(), filters=Filters(categories=("few",)))
assert freeze_next("benchmark")  # a small one: what is loaded at first use is loaded now
warm, began = peak(), time.monotonic()
taken = take_snapshot(project, owner, timezone.now())
assert freeze_next("benchmark")
found = DatasetSnapshot.objects.select_related("job").get(pk=taken.pk)
assert found.state == "frozen", found.error
frozen, seconds = peak(), time.monotonic() - began
began = time.monotonic()
with tempfile.TemporaryDirectory() as folder:
    folders.fetch(found.reference(), storage(), Path(folder))
print(json.dumps({
    "judgements": found.total("judgements"), "images": found.total("images"), "prompts": found.total("prompts"),
    "freeze_seconds": round(seconds, 1), "fetch_seconds": round(time.monotonic() - began, 1),
    "before_mb": round(before), "warm_mb": round(warm), "peak_mb": round(frozen), "peak_with_fetch_mb": round(peak()),
    "stored_mb": round(sum(file["bytes"] for file in found.files) / 2**20, 1),
}))
"""


def populate(cast: Any, count: int) -> None:
    """Make many annotated items quickly: one is ranked, and Postgres copies it, each with a prompt of its own."""
    from django.db import connection

    from tests import cast as stage

    stage.make_items(cast, 1, colours=4)
    stage.annotate(cast.project, cast.bob)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE TEMP TABLE copies AS
                SELECT n, gen_random_uuid() AS prompt, gen_random_uuid() AS item, gen_random_uuid() AS assignment,
                       gen_random_uuid() AS annotation FROM generate_series(2, %s) AS n;
            CREATE TEMP TABLE pictures AS
                SELECT n, c.id AS of, gen_random_uuid() AS id FROM copies, images_candidate c;
            CREATE INDEX ON pictures (n);
            """,
            [count],
        )
        # Every column of the one row, whatever columns the table has, with some of them replaced.
        copy = """
            INSERT INTO {table} SELECT (made).* FROM (
                SELECT jsonb_populate_record(original, {replaced}) AS made
                FROM {table} original, copies {more} OFFSET 0
            ) AS rows
        """
        others = {
            "prompts_prompt": """jsonb_build_object('id', prompt, 'digest', n::text,
                'metadata', jsonb_build_object('category', CASE WHEN n <= 300 THEN 'few' ELSE 'many' END),
                'text', 'an icon of thing' || n || ' beside other' || n * 7 || ' in style' || n % 50)""",
            "annotation_item": "jsonb_build_object('id', item, 'prompt_id', prompt)",
            "annotation_assignment": "jsonb_build_object('id', assignment, 'item_id', item)",
            "annotation_annotation": """jsonb_build_object('id', annotation, 'item_id', item,
                'assignment_id', assignment, 'ranking', (
                    SELECT jsonb_agg(jsonb_build_array(pictures.id) ORDER BY random())
                    FROM pictures WHERE pictures.n = copies.n))""",
        }
        candidates = copy.format(
            table="images_candidate",
            replaced="jsonb_build_object('id', pictures.id, 'prompt_id', prompt)",
            more="JOIN pictures USING (n)",
        )
        for table in ("prompts_prompt", "annotation_item"):
            cursor.execute(copy.format(table=table, replaced=others[table], more=""))
        cursor.execute(candidates.replace("OFFSET 0", "WHERE original.id = pictures.of OFFSET 0"))
        cursor.execute(
            "INSERT INTO annotation_item_candidates (item_id, candidate_id) "
            "SELECT item, pictures.id FROM copies JOIN pictures USING (n)"
        )
        for table in ("annotation_assignment", "annotation_annotation"):
            cursor.execute(copy.format(table=table, replaced=others[table], more=""))
        cursor.execute("DROP TABLE copies; DROP TABLE pictures")
        cursor.execute("ANALYZE")


def measure(project: Any, environment: Mapping[str, str]) -> dict[str, Any]:
    """Freeze and fetch in a process of its own; return what it measured."""
    return in_a_process(CHILD, project.pk, environment)


def main() -> int:
    """Measure, print, and return 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--judgements", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with empty_world() as cast:
        populate(cast, options.judgements)
        figures = measure(cast.project, os.environ)
    figures["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}"
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return int(figures["peak_mb"] > GOAL_MB)


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY / "platform"))
    sys.exit(main())
