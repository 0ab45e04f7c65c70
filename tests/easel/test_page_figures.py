"""The numbers that the pages show: how they are written, and where they come from."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from easel.annotation.progress import next_step, overview_of
from easel.common import jobs
from easel.common.templatetags.quantities import duration, milliseconds, pace
from easel.images.models import Candidate
from easel.images.progress import progress_of
from easel.images.services import record_images
from easel.projects.models import Project

from generation.types import Failure
from tests.cast import Cast, annotate, claim, generate, make_items, make_prompts, render, work_off


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, "–"),
        (0.4, "0 s"),
        (13.2, "13 s"),
        (59.6, "1 min"),
        (90, "1 min 30 s"),
        (1_205, "20 min"),
        (7_500, "2 h 5 min"),
    ],
)
def test_a_duration_is_written_with_its_units(seconds: float | None, written: str) -> None:
    assert duration(seconds) == written


@pytest.mark.parametrize(
    ("value", "written"), [(None, "–"), (12_400, "12.4 s"), (59_980, "1 min"), (75_000, "1 min 15 s")]
)
def test_active_time_has_tenths_below_a_minute(value: float | None, written: str) -> None:
    assert milliseconds(value) == written


@pytest.mark.parametrize(
    ("per_second", "written"), [(3.14, "3.1 images/s"), (0.5, "30 images/min"), (0.01, "36 images/h")]
)
def test_a_pace_is_written_in_the_unit_that_fits(per_second: float, written: str) -> None:
    assert pace(per_second) == written


def test_the_pace_counts_the_batches_after_the_first(cast: Cast) -> None:
    at = timezone.now()
    request = generate(cast, make_prompts(cast.project, *"abcdefghijkl"))
    assert Candidate.objects.pace(request, at) is None
    record_images(render(claim()), at - timedelta(seconds=10))
    assert Candidate.objects.pace(request, at) is None, "one batch alone tells nothing"
    record_images(render(claim()), at - timedelta(seconds=6))
    assert Candidate.objects.pace(request, at) == 4, "16 images in 4 s"
    (progress,) = progress_of(cast.project, at, 3)
    assert (progress.per_second, progress.seconds_left, progress.live) == (4, 4, True)
    assert Candidate.objects.pace(request, at + timedelta(minutes=5)) is None, "nothing came lately"


def test_failures_with_one_reason_are_told_once(cast: Cast) -> None:
    generate(cast, make_prompts(cast.project, *"abcdefgh"))
    for _ in range(2):
        jobs.fail(Failure(lease=claim().lease, code="broken", reason="It broke.", retryable=False), timezone.now())
    (progress,) = progress_of(cast.project, timezone.now(), 3)
    assert [(one.reason, one.parts, one.images) for one in progress.failed] == [("It broke.", 2, 32)]
    assert not progress.live


def test_the_next_step_follows_the_loop(cast: Cast) -> None:
    def step(*, live: bool = False, failed: bool = False) -> str:
        return next_step(overview_of(cast.project, timezone.now()), live=live, failed=failed)

    assert step() == "prompts"
    prompts = make_prompts(cast.project, "a")
    assert step() == "images"
    generate(cast, prompts)
    assert step(live=True) == "wait"
    assert step(failed=True) == "retry"
    work_off()
    make_items(cast, 1)
    assert step(live=True) == "rankings"
    annotate(cast.project, cast.bob, 2)
    assert step() == "export"


def test_a_list_of_projects_counts_each_thing_of_each_project(cast: Cast) -> None:
    items = make_items(cast, 3)
    annotate(cast.project, cast.bob, 2)
    project = Project.objects.of(cast.alice).with_figures().get()
    assert (project.prompts_count, project.items_count, project.items_done_count, project.annotations_count) == (
        3,
        3,
        2,
        2,
    )
    assert project.newest_item == items[-1].pk
    covers = Project.objects.covers([project.newest_item, None])
    assert sorted(covers[project.pk]) == sorted(items[-1].candidates.values_list("pk", flat=True))
    empty = Project.objects.of(cast.charlie).with_figures().get()
    assert (empty.prompts_count, empty.items_count, empty.newest_item) == (0, 0, None)
