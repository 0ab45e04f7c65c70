"""Every filter of Curate is answered by indexes: on a filled project, Postgres never reads a whole table for one.

EASEL_LONG_FAULTS=1 fills it with a million annotations of 300,000 items; without, with a tenth of that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import combinations
from time import perf_counter
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone
from easel.annotation.curate.filters import Filters, items_of
from easel.annotation.curate.paging import COUNTED, count_of, near_reads, page_of_items
from easel.annotation.models import Item, Subset
from pytest_django import DjangoDbBlocker

from generation.storage import MODEL_PATH_VARIABLE
from tests.cast import Cast, make_cast, make_model_folder
from tests.easel.annotation.filling import fill

ANNOTATIONS = 1_000_000 if os.environ.get("EASEL_LONG_FAULTS") else 100_000
LARGE = {
    "annotation_item",
    "annotation_item_candidates",
    "annotation_annotation",
    "annotation_assignment",
    "images_candidate",
    "prompts_prompt",
}
SLOWEST_MS = 5_000  # on a machine that does much else besides


@pytest.fixture(scope="module")
def world(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cast, Subset]]:
    """The filled project, once for all cases, and rolled back after the last."""
    root = tmp_path_factory.mktemp("curate")
    make_model_folder(root / "models" / "painter")
    with (
        pytest.MonkeyPatch.context() as patch,
        override_settings(STORAGE_URL=(root / "storage").as_uri()),
        django_db_blocker.unblock(),
        transaction.atomic(),
    ):
        patch.setenv(MODEL_PATH_VARIABLE, str(root / "models"))
        cast = make_cast()
        fill(cast, ANNOTATIONS)
        subset = Subset.objects.create(
            project=cast.project, name="Some", created_by=cast.alice, created_at=timezone.now()
        )
        subset.items.set(Item.objects.filter(project=cast.project).order_by("id")[:500])
        yield cast, subset
        transaction.set_rollback(True)


def singles(cast: Cast, subset: Subset) -> dict[str, dict[str, Any]]:
    """Every filter alone, those that take much and those that take little."""
    day = timezone.now().date()
    return {
        "all": {},
        "a common word": {"words": "apples"},
        "a rare word": {"words": "zeppelin"},
        "the model": {"model": cast.model.pk},
        "a category": {"category": "fruit"},
        "what is done": {"state": "done"},
        "what is aside": {"state": "aside"},
        "no votes": {"votes_max": 0},
        "many votes": {"votes_min": 5},
        "close ones": {"lead_max": 0.25},
        "clear ones": {"lead_min": 3},
        "flagged": {"flagged": True},
        "not flagged": {"flagged": False},
        "alike": {"near": "any"},
        "twins": {"near": "inside"},
        "a subset": {"subset": subset.pk},
        "all bad": {"all_bad": True},
        "flags on images": {"image_flag": "any"},
        "one flag": {"image_flag": "violence"},
        "a flag that nobody set": {"image_flag": "gore"},
        "a busy annotator": {"annotator": cast.bob.pk},
        "an idle annotator": {"annotator": cast.alice.pk},
        "people": {"kind": "human"},
        "simulated": {"kind": "simulated"},
        "today": {"since": day},
        "long ago": {"until": day.replace(year=day.year - 1)},
        "to review": {"review": "waiting"},
        "returned": {"review": "returned"},
        "gold": {"purpose": "gold"},
    }


COMMON = ["a common word", "a category", "what is done", "many votes", "a busy annotator", "today", "all bad"]


def cases(cast: Cast, subset: Subset) -> dict[str, dict[str, Any]]:
    """Every filter alone, in every order, and the common ones two by two."""
    alone = singles(cast, subset)
    found = dict(alone)
    for order in ("oldest", "least_agreed", "most_agreed"):
        found |= {f"{name}, {order}": {**said, "order": order} for name, said in alone.items()}
    found |= {f"{a} and {b}": {**alone[a], **alone[b]} for a, b in combinations(COMMON, 2)}
    return found


def scans(plan: dict[str, Any]) -> Iterator[str]:
    """The tables that a plan reads from end to end."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", []):
        yield from scans(part)


def explained(sql: str, params: tuple[Any, ...]) -> dict[str, Any]:
    """What Postgres would do."""
    with connection.cursor() as cursor, near_reads():
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        (found,) = cursor.fetchone()
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan


@pytest.mark.django_db
def test_no_filter_reads_a_whole_table_and_none_is_slow(world: tuple[Cast, Subset]) -> None:
    cast, subset = world
    assert Item.objects.filter(project=cast.project).count() > ANNOTATIONS * 3 // 10
    wrong, times = {}, {}
    for name, said in cases(cast, subset).items():
        filters = Filters(**said)
        rows = items_of(cast.project, filters)
        for what, query in {"page": rows[:61], "count": rows[: COUNTED + 1].values("pk")}.items():
            read = set(scans(explained(*query.query.sql_with_params()))) & LARGE
            if read:
                wrong[f"{name}, {what}"] = read
        start = perf_counter()
        rows = items_of(cast.project, filters)
        page = page_of_items(rows, filters, "", 60)
        first = perf_counter()
        if page.after:
            page_of_items(rows, filters, page.after, 60)
        second = perf_counter()
        count_of(rows)
        times[name] = [1_000 * t for t in (first - start, second - first, perf_counter() - second)]
    for name, (first, second, counted) in sorted(times.items(), key=lambda one: -max(one[1])):
        print(f"{first:8.1f} {second:8.1f} {counted:8.1f} ms  {name}")
    transaction.set_rollback(True)  # else the end of the test would check a million foreign keys first
    assert not wrong
    assert max(max(one) for one in times.values()) < SLOWEST_MS
