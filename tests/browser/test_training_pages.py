"""The pages of fine-tunes in a browser: started, watched, cancelled after a question; and pictures of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from django.utils import timezone
from easel.common import jobs
from easel.training import services
from easel.training.models import FinetuneRun
from playwright.sync_api import expect

from finetune.types import MetricPoint, TrainRequest
from generation.types import Progress
from tests.browser.conftest import ARTIFACTS, Window
from tests.browser.test_project_pages import faults, path_of
from tests.cast import Cast
from tests.easel.training.stage import claim, failed, frozen, result, start, told

SIZES = {"1440": (1440, 900), "390": (390, 844)}
Windows = Callable[..., Window]


def learn(request: TrainRequest, to: int) -> None:
    """Tell of steps as a run that goes well does, with samples at every 40th."""
    points = []
    for step in range(1, to + 1):
        noise = math.sin(step * 12.9898) * 0.06
        learned = 1 - math.exp(-step / 60)
        values = {
            "loss": 0.69 - 0.3 * learned + noise,
            "implicit_accuracy": 0.5 + 0.4 * learned + noise,
            "winner_error": -0.004 * learned + noise / 40,
            "loser_error": 0.011 * learned + noise / 40,
            "memory_mb": 512.0 + min(step, 30),
            "images_per_s": 12 + 20 * noise,
        }
        if step % 40 == 0:
            values |= {"held_out_winner_error": -0.002 * learned, "held_out_implicit_accuracy": 0.5 + 0.3 * learned}
        points.append(MetricPoint(step=step, values=values))
    services.report(told(request).model_copy(update={"points": tuple(points), "grids": ()}), timezone.now())
    for step in range(40, to + 1, 40):
        grid = told(request, range(step, step + 1))
        services.report(grid.model_copy(update={"points": ()}), timezone.now())
    note = f"step {to} of 200"
    jobs.heartbeat(Progress(lease=request.lease, done=to, total=200, note=note), timezone.now())


def test_a_run_is_started_watched_and_cancelled_after_a_question(committed_cast: Cast, window: Windows) -> None:
    cast = committed_cast
    frozen(cast)
    page = window(cast.dave).open(path_of(cast.project, "finetunes/"))
    page.get_by_label("Reward-weighted").check()
    expect(page.get_by_label("Temperature")).to_be_visible()
    expect(page.get_by_label("Beta")).to_have_count(0)
    page.get_by_label("Pairs (DPO)").check()
    expect(page.get_by_label("Beta")).to_be_visible()
    page.get_by_label("Steps", exact=True).fill("200")
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_role("heading", name="Run 1")).to_be_visible()
    expect(page.get_by_text("waiting for a worker")).to_be_visible()
    learn(claim(), 80)
    expect(page.get_by_text("80 of 200 steps")).to_be_visible(timeout=10_000)
    expect(page.get_by_role("img", name="Implicit accuracy")).to_be_visible()
    page.get_by_role("button", name="Cancel…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_text("The run is cancelled.")).to_be_visible()
    assert FinetuneRun.objects.with_parts().get().state == "cancelled"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_pages_of_fine_tunes_are_pictured_and_clean(
    committed_cast: Cast, window: Windows, size: str, theme: str
) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    cast = committed_cast
    width, height = SIZES[size]
    phone = width < 600
    mine = window(cast.dave, width=width, height=height, color_scheme=theme, has_touch=phone, is_mobile=phone)
    problems: list[str] = []

    def look(name: str, path: str) -> None:
        page = mine.open(path_of(cast.project, path))
        page.wait_for_load_state("networkidle")
        page.screenshot(path=ARTIFACTS / f"training-{name}-{size}-{theme}.png", full_page=True)
        problems.extend(f"{name}: {line}" for line in faults(page, width))

    look("first", "finetunes/")
    snapshot = frozen(cast)
    look("empty", "finetunes/")
    done, broken, running = (start(cast, snapshot, method) for method in ("listwise", "dpo", "rwr"))
    request = claim()
    learn(request, 200)
    services.finish(result(request), timezone.now())
    failed(claim())
    learn(claim(), 80)
    look("list", "finetunes/")
    for name, run in (("done", done), ("failed", broken), ("running", running)):
        look(name, f"finetunes/{run.pk}/")
    assert problems == []
