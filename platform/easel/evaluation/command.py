"""Commands that send simulated annotators and compare models."""

from __future__ import annotations

import sys
import time
from uuid import UUID

import click
from django.utils import timezone

from easel.annotation.gathering import gather
from easel.common.errors import NotFound, Refusal
from easel.evaluation import services as evaluations
from easel.evaluation import simulation as simulated
from easel.evaluation.api import result_body
from easel.evaluation.models import Evaluation
from easel.evaluation.tastes import MAX_NOISE, TASTES
from easel.projects.console import json_option, owner_of, project_of, project_option, tell
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion


@click.command()
@project_option
@click.option("--taste", type=click.Choice(list(TASTES)), required=True, help="What they like.")
@click.option(
    "--noise",
    type=click.FloatRange(0, MAX_NOISE),
    default=simulated.NOISE,
    show_default=True,
    help="The share of decided pairs that come out the wrong way round.",
)
@click.option(
    "--ties", type=click.FloatRange(0, 1), default=simulated.TIES, show_default=True, help="Liked this alike is a tie."
)
@click.option("--annotators", type=click.IntRange(1, simulated.MAX_ANNOTATORS), default=3, show_default=True)
@click.option("--rankings", type=click.IntRange(1, simulated.MAX_RANKINGS), default=500, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of their noise.")
@click.option("--wait/--no-wait", default=False, help="Wait until they are done.")
@json_option
def simulate(
    project_pk: UUID,
    taste: str,
    noise: float,
    ties: float,
    annotators: int,
    rankings: int,
    seed: int,
    wait: bool,
    as_json: bool,
) -> None:
    """Send simulated annotators with a known taste to rank a project's items, to try a project out or test a method.

    Exports and snapshots leave out what they rank unless asked.
    """
    project = project_of(project_pk)
    made = simulated.start_simulation(
        project,
        owner_of(project),
        timezone.now(),
        taste=taste,
        noise=noise,
        ties=ties,
        annotators=annotators,
        rankings=rankings,
        seed=seed,
    )
    if wait:
        with click.progressbar(length=rankings, label="Ranking", file=sys.stderr) as bar:
            while made.finished_at is None:
                gather(timezone.now(), project)
                before = made.done
                simulated.advance(made, timezone.now())
                bar.update(made.done - before)
                if made.finished_at is None:
                    time.sleep(0.5)
    body = {"id": str(made.pk), "state": made.state, "done": made.done, "rankings": rankings, "ended": made.ended}
    tell(as_json, body, f"{made.done:,} of {rankings:,} rankings, {made.state}. {made.ended}".strip())
    if made.ended and not made.done:
        raise Refusal(made.ended)


@click.command()
@project_option
@click.option("--a", "a_name", required=True, help="The baseline: a model's id or name.")
@click.option("--b", "b_name", required=True, help="The challenger: a model's id or name.")
@click.option("--judges", default="people", show_default=True, help="people, or simulated:TASTE as simulated:3d.")
@click.option(
    "--noise", type=click.FloatRange(0, MAX_NOISE), default=0.0, show_default=True, help="Of simulated judges."
)
@click.option("--overlap", type=click.IntRange(1, evaluations.MAX_OVERLAP), default=1, show_default=True)
@click.option("--adaptive", is_flag=True, help="3 people judge each, then more until a verdict leads by 3; 9 at most.")
@click.option("--images-per-prompt", type=click.IntRange(1, 32), default=1, show_default=True, help="Of each model.")
@click.option("--all-prompts", is_flag=True, help="All of the project's prompts, not the held-out ones alone.")
@click.option("--wait/--no-wait", default=False, help="Wait for the verdict.")
@json_option
def evaluate(
    project_pk: UUID,
    a_name: str,
    b_name: str,
    judges: str,
    noise: float,
    overlap: int,
    adaptive: bool,
    images_per_prompt: int,
    all_prompts: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Compare two models blindly, on prompts that nothing was trained on: is B better than A?"""
    project = project_of(project_pk)
    a, b = ModelVersion.objects.named(a_name), ModelVersion.objects.named(b_name)
    for name, model in ((a_name, a), (b_name, b)):
        if model is None:
            raise NotFound(f"model {name}")
    assert a is not None and b is not None
    made = evaluations.start_evaluation(
        project,
        owner_of(project),
        timezone.now(),
        a=a,
        b=b,
        prompts=list(Prompt.objects.of_project(project)) if all_prompts else None,
        images_per_prompt=images_per_prompt,
        judges=judges,
        noise=noise,
        overlap=overlap,
        adaptive=adaptive,
    )
    now = Evaluation.objects.with_state().get(pk=made.pk)
    if wait:
        total = now.request.images_total + now.items_total
        with click.progressbar(length=total, label="Making and judging", file=sys.stderr) as bar:
            done = 0
            while now.finished_at is None and now.state != "failed":
                evaluations.advance_evaluation(now, timezone.now())
                time.sleep(0.5)
                now = Evaluation.objects.with_state().get(pk=made.pk)
                bar.update(now.request.images_done + now.items_done - done)
                done = now.request.images_done + now.items_done
    found = result_body(now)
    body = {"id": str(now.pk), "state": now.state, "a": str(a.pk), "b": str(b.pk), "judges": judges, **found}
    beside = "".join(
        f"\n{one['name']}: {_figure(one['a'])} -> {_figure(one['b'])}"
        for one in found["beside"]
        if one["b"] is not None
    )
    tell(as_json, body, f"{found['verdict'] if wait else now.state} ({now.pk}){beside}")
    if now.state == "failed":
        images = "Some images could not be made; the project's generation page shows why and can retry."
        raise Refusal(now.problem or images)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
