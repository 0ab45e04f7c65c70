"""`easel tour`: prints a table of what each stage did, and writes the figures and a contact sheet."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from django.utils import timezone

from easel.accounts.models import User
from easel.common.errors import NotFound
from easel.env import environment
from easel.evaluation.tastes import MAX_NOISE, TASTES
from easel.tour import stages
from easel.tour.sheet import contact_sheet
from easel.training.models import FinetuneRun

METHODS = [FinetuneRun.Method.LISTWISE.value, FinetuneRun.Method.DPO.value, FinetuneRun.Method.RWR.value]
WIDTH = 12  # of the stages' names


@click.command()
@click.option("--taste", type=click.Choice(list(TASTES)), default=stages.Plan.taste, show_default=True)
@click.option("--method", type=click.Choice(METHODS), default=stages.Plan.method, show_default=True)
@click.option("--rankings", type=click.IntRange(1), default=stages.Plan.rankings, show_default=True)
@click.option("--noise", type=click.FloatRange(0, MAX_NOISE), default=stages.Plan.noise, show_default=True)
@click.option("--steps", type=click.IntRange(1), help="Of the fine-tune; the method's default if left out.")
@click.option(
    "--compared",
    type=click.IntRange(1, 32),
    default=stages.Plan.compared,
    show_default=True,
    help="Images of each model and each held-out prompt.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--user", "username", help="Whose project it becomes; a site admin's if left out.")
@click.option(
    "--json", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file."
)
@click.option(
    "--sheet",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the contact sheet goes; in EASEL_HOME if left out.",
)
def tour(
    taste: str,
    method: str,
    rankings: int,
    noise: float,
    steps: int | None,
    compared: int,
    seed: int,
    username: str | None,
    target: Path | None,
    sheet: Path | None,
) -> None:
    """Go through the whole loop on the built-in model: generate, rank by simulated annotators, fine-tune, evaluate.

    Easel must be running (./run up). The project stays, to be looked at in the browser.
    """
    plan = stages.Plan(
        taste=taste, method=method, rankings=rankings, noise=noise, steps=steps, compared=compared, seed=seed
    )
    made = stages.begin(plan, _person(username), timezone.now())
    click.echo(f"{made.project.name}: everything that happens is on its pages.")
    _say(made.stages[0])
    bar = _Bar()
    for stage in stages.run(made, bar.show):
        bar.clear()
        _say(stage)
    assert made.evaluation is not None
    assert made.result is not None
    picture = sheet or environment.home / "tour" / f"{made.project.pk}.png"
    contact_sheet(made.evaluation, picture)
    for one in made.result.beside:
        if one.ratio is not None and not one.part:
            click.echo(f"{'':{WIDTH}}  {one.name.lower()} {one.a:.3f} -> {one.b:.3f} ({one.ratio:.1%} of before)")
    click.echo(f"{'in all':{WIDTH}}  {made.seconds:6.1f} s")
    click.echo(f"{made.result.sentence}\nBefore and after: {picture}")
    if target is not None:
        target.write_text(json.dumps(_figures(made), indent=2) + "\n")


def _person(username: str | None) -> User:
    people = User.objects.filter(is_active=True, kind=User.Kind.HUMAN)
    found = people.filter(username=username).first() if username else people.filter(is_staff=True).first()
    if found is None:
        raise NotFound(f"user {username}" if username else "site admin")
    return found


def _say(stage: stages.Stage) -> None:
    click.echo(f"{stage.name:{WIDTH}}  {stage.seconds:6.1f} s   {stage.figures}")


def _figures(made: stages.Tour) -> dict[str, Any]:
    """Return what scripts read."""
    assert made.result is not None
    assert made.run is not None
    assert made.evaluation is not None
    rate = made.result.tally.rate
    ratios = {one.name: one.ratio for one in made.result.beside}
    return {
        "win_rate": rate.estimate,
        "low": rate.low,
        "high": rate.high,
        "fidelity_ratio": ratios.get("Prompt fidelity"),
        "diversity_ratio": ratios.get("Diversity"),
        "seconds": made.seconds,
        "votes": made.result.tally.votes,
        "plan": vars(made.plan),
        "stages": [vars(stage) for stage in made.stages],
        "beside": {one.name: {"before": one.a, "after": one.b} for one in made.result.beside},
        "project": str(made.project.pk),
        "run": {"id": str(made.run.pk), "steps": made.run.steps_done, "stopped": made.run.stopped, **made.run.values},
        "evaluation": str(made.evaluation.pk),
    }


class _Bar:
    """One line on a terminal that tells how far a stage is; nothing where the output is no terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def show(self, name: str, done: int, total: int) -> None:
        """Tell how far a stage is."""
        if self._shown:
            filled = 30 * done // max(total, 1)
            click.echo(f"\r{name:{WIDTH}}  [{'#' * filled}{'-' * (30 - filled)}] {done}/{total}   ", err=True, nl=False)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            click.echo("\r" + " " * 70 + "\r", err=True, nl=False)
