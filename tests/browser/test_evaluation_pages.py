"""The pages that tell whether a new model is better, in a browser: made, judged, promoted; and pictures of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.utils import timezone
from easel.annotation import services as annotation
from easel.evaluation import services
from easel.evaluation.models import Evaluation
from easel.evaluation.selecting import select
from easel.evaluation.simulation import start_simulation
from easel.projects.models import Project
from easel.prompts.models import Prompt
from easel.prompts.parsing import parse_file
from easel.prompts.services import add_prompts
from easel.registry.models import ModelVersion
from easel.training.models import FinetuneRun
from easel.training.services import finish as finish_run
from playwright.sync_api import Page, expect

from tests import cast as stage
from tests.browser import scenes
from tests.browser.acting import keys
from tests.browser.conftest import ARTIFACTS, Window
from tests.browser.test_project_pages import faults, path_of, quiet
from tests.cast import Cast
from tests.easel.evaluation.judging import icons, measure_all
from tests.easel.training import stage as training

SIZES = {"1440": (1440, 900), "390": (390, 844)}
Windows = Callable[..., Window]


@pytest.fixture
def cast(committed_cast: Cast, model_folders: Path) -> Cast:
    """alice's project with the built-in model and what was made of it, and held-out prompts of three categories."""
    cast = replace(scenes.begin(committed_cast), model=icons(model_folders, "Easel icons"))
    Project.objects.filter(pk=cast.project.pk).update(overlap=1)
    cast.project.refresh_from_db()
    tuned(cast, 2)
    scenes.prompts_of(cast, 6)
    names = list(scenes.COLOURS)
    lines = ["prompt,category"]
    for n in range(24):
        thing = ("circle", "square", "triangle")[n % 3]
        colour, ground = names[n % len(names)], names[(n * 2 + 3) % len(names)]
        lines.append(f"a 3d icon of a {colour} {thing} on a {ground} background no. {n},{thing}s")
    made, _ = add_prompts(cast.project, parse_file("held.csv", "\n".join(lines).encode(), 2**20), timezone.now())
    Prompt.objects.filter(pk__in=[one.pk for one in made]).update(held_out=True)
    return cast


def tuned(cast: Cast, number: int) -> ModelVersion:
    """A model version that a fine-tune might have made."""
    return ModelVersion.objects.create(
        name=f"Easel icons {number}",
        kind=ModelVersion.Kind.ADAPTER,
        base=cast.model,
        family="StableDiffusionPipeline",
        location=f"storage:a{number}/{number:064x}.safetensors",
        sha256=f"{number:064x}",
        created_at=timezone.now(),
    )


def compare(cast: Cast, judges: str = "people", b: str = "Easel icons 2", *, adaptive: bool = False) -> Evaluation:
    """Start an evaluation and have its images made."""
    made = services.start_evaluation(
        cast.project,
        cast.alice,
        timezone.now(),
        a=cast.model,
        b=ModelVersion.objects.get(name=b),
        judges=judges,
        images_per_prompt=2 if judges != "people" else 1,
        adaptive=adaptive,
    )
    scenes.work_off(cast)
    services.advance(timezone.now())
    return made


def judge(cast: Cast, evaluation: Evaluation, b_wins: Callable[[int], float]) -> None:
    """bob judges what waits: 1, 0.5 or 0 for b, by number."""
    number = 0
    while found := annotation.lease_next(cast.project, cast.bob, timezone.now()):
        by_model = {one.model_id: str(one.pk) for one in found.item.candidates.all()}
        a, b = by_model[evaluation.a_id], by_model[evaluation.b_id]
        score = b_wins(number)
        stage.submit(found, {"ranking": [[b, a]] if score == 0.5 else [[b], [a]] if score else [[a], [b]]})
        number += 1


def _rounds(cast: Cast) -> None:
    """Two fine-tunes of what was ranked; the first one's model is the one that was compared first."""
    snapshot = training.frozen(cast)
    for number in (2, 3):
        run = training.start(cast, snapshot, steps=100 * number)
        request = training.claim()
        finish_run(training.result(request, weights=b"%d" % number), timezone.now())
        FinetuneRun.objects.filter(pk=run.pk).update(made=ModelVersion.objects.get(name=f"Easel icons {number}"))
    training.start(cast, snapshot)
    training.claim()


def finish(cast: Cast, evaluation: Evaluation) -> None:
    """Have everything measured and judged."""
    measure_all()
    services.advance(timezone.now())


def test_two_models_are_compared_judged_and_the_better_one_is_promoted_and_taken_back(
    cast: Cast, window: Windows
) -> None:
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "evaluations/"))
    page.get_by_role("main").get_by_role("link", name="Compare two models").click()
    expect(page.get_by_label("A, the baseline")).to_have_value(str(cast.model.pk))
    page.get_by_role("button", name="Compare them").click()
    expect(page.locator(".verdict-words")).to_have_text("Nobody has judged yet.")
    scenes.work_off(cast)
    evaluation = Evaluation.objects.with_state().get()
    judge(cast, evaluation, lambda number: 0.0 if number % 6 == 0 else 1.0)
    finish(cast, evaluation)
    expect(page.locator(".verdict-words")).to_contain_text("Better: Easel icons 2 wins 83%", timeout=15_000)
    page.get_by_role("button", name="Promote B…").click()
    page.get_by_role("button", name="Promote it").click()
    expect(page.get_by_text("B makes the images of the next round.")).to_be_visible()
    cast.project.refresh_from_db()
    assert cast.project.generator == evaluation.b
    page.goto(f"{alice.server}{path_of(cast.project, 'generations/')}")
    expect(page.locator(f"input[name=models][value='{evaluation.b_id}']")).to_be_checked()
    page.goto(f"{alice.server}/evaluations/{evaluation.pk}/")
    page.get_by_role("button", name="Go back to A…").click()
    page.get_by_role("button", name="Go back to A", exact=True).click()
    expect(page.get_by_role("button", name="Promote B…")).to_be_visible()
    page.get_by_role("link", name="B lost").click()
    expect(page.locator(".pair")).to_have_count(4)
    quiet(alice)


def test_a_comparison_is_started_from_the_keyboard_alone(cast: Cast, window: Windows) -> None:
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "evaluations/new/"))
    page.get_by_label("A, the baseline").focus()
    keys(page, "Tab", "Tab", "Tab", "Tab", "ArrowDown")  # to B, the prompts, images, judges; simulated ones
    expect(page.locator("#id_taste")).to_be_visible()
    keys(page, "Tab", "w", "Tab", "Tab", "Tab", "Enter")
    expect(page.get_by_text("Simulated judges.")).to_be_visible()
    assert Evaluation.objects.get().simulation.taste == "warm"


def test_as_many_judges_as_it_takes_is_what_people_start_with_and_a_fixed_number_is_a_key_away(
    cast: Cast, window: Windows
) -> None:
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "evaluations/new/"))
    expect(page.get_by_label("As many judges as it takes")).to_be_checked()
    expect(page.get_by_label("Judges for each comparison")).to_be_hidden()
    page.get_by_label("As many judges as it takes").focus()
    keys(page, "ArrowDown")
    expect(page.get_by_label("Judges for each comparison")).to_be_visible()
    keys(page, "ArrowUp")
    page.get_by_role("button", name="Compare them").click()
    expect(page.get_by_text("0 of 24 comparisons are settled, by 0 judgements")).to_be_visible()
    assert Evaluation.objects.get().rule.start == 3
    quiet(alice)


def test_a_mistake_is_told_at_its_field(cast: Cast, window: Windows) -> None:
    page = window(cast.alice).open(path_of(cast.project, "evaluations/new/"))
    page.get_by_label("B, the challenger").select_option(label="Easel icons")
    page.get_by_role("button", name="Compare them").click()
    expect(page.locator("#id_b_error")).to_have_text(
        "A and B are the same model; there is nothing to compare. Choose two."
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_pages_of_evaluations_are_pictured(cast: Cast, window: Windows, size: str, theme: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    width, height = SIZES[size]
    phone = width < 600
    alice = window(cast.alice, width=width, height=height, color_scheme=theme, has_touch=phone, is_mobile=phone)
    problems: list[str] = []

    def look(page: Page, name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=ARTIFACTS / f"evaluation-{name}-{size}-{theme}.png", full_page=True)
        problems.extend(f"{name}: {line}" for line in faults(page, width))

    look(alice.open(path_of(cast.project, "evaluations/")), "empty")
    look(alice.open(path_of(cast.project, "evaluations/new/")), "new")
    tuned(cast, 3)
    _rounds(cast)
    first = compare(cast)
    judge(cast, first, lambda number: 0.5 if number % 5 == 4 else float(number % 7 != 0))
    finish(cast, first)
    second = compare(cast, "simulated:warm", "Easel icons 3")
    finish(cast, second)
    Project.objects.filter(pk=cast.project.pk).update(selection=Project.Selection.ACTIVE)
    running = compare(cast, b="Easel icons 3", adaptive=True)
    select(timezone.now())
    stage.annotate(cast.project, cast.bob, 5)
    stage.generate(cast, list(Prompt.objects.filter(held_out=False)[:3]))
    scenes.work_off(cast)
    start_simulation(cast.project, cast.alice, timezone.now(), taste="careless", rankings=2, annotators=2)
    services.advance(timezone.now())
    start_simulation(cast.project, cast.alice, timezone.now(), taste="3d", rankings=40)
    look(alice.open(path_of(cast.project, "evaluations/")), "list")
    for name, one in (("verdict", first), ("simulated", second), ("running", running)):
        look(alice.open(f"/evaluations/{one.pk}/"), name)
    look(alice.open(f"/evaluations/{first.pk}/?order=lost"), "lost")
    look(alice.open(path_of(cast.project, "leaderboard/")), "leaderboard")
    look(alice.open(path_of(cast.project, "leaderboard/?judges=simulated")), "leaderboard-simulated")
    look(alice.open(path_of(cast.project, "simulations/")), "simulations")
    look(alice.open(path_of(cast.project, "prompts/")), "prompts")
    look(alice.open(path_of(cast.project)), "overview")
    assert not problems, "\n".join(problems)
    quiet(alice)
