"""Runs that end before their last step: with which weights, and where there are none, with which reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from finetune.errors import NotANumberError, WorseThanBaseError
from finetune.held_out import HeldOut
from generation.storage import ADAPTER_FILE
from tests.finetune.trained import METHODS, Run, Spoilt


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Measuring = Callable[[Run, int, float], None]


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> Measuring:
    """Return what makes a run measure the given error of the winners at a step, and from there on."""
    real = HeldOut.measure

    def spoil(run: Run, step: int, error: float) -> None:
        def measure(self: HeldOut) -> dict[str, float]:
            return real(self) | ({"held_out_winner_error": error} if len(run.points) + 1 >= step else {})

        monkeypatch.setattr(HeldOut, "measure", measure)

    return spoil


def test_a_run_stops_where_the_preferred_images_get_unlikelier(bases: Path, ranked: Path, tmp_path: Path) -> None:
    """With much too large steps both images get worse, the known failure of DPO. It is the base that has to be good."""
    good = Run("rwr", bases / "v", ranked, tmp_path / "good", steps=16, batch=6, learning_rate=3e-2, temperature=100.0)
    assert good.train().values["held_out_winner_error"] < -0.2
    wild: dict[str, Any] = {"learning_rate": 5e-2, "beta": 5_000.0, "stop_above": 0.25}
    taught = [str(tmp_path / "good")]
    run = Run("dpo", bases / "v", ranked, tmp_path / "out", steps=40, batch=6, adapters=taught, **wild)
    outcome = run.train()
    assert 0 < outcome.steps < 40
    assert outcome.values["held_out_winner_error"] <= 0.25
    assert outcome.stopped.endswith(f"; the weights are those of step {outcome.steps}")
    assert "less likely than to the base (stop_above 25.0%)" in outcome.stopped
    kept = load_file(tmp_path / "out" / "checkpoints" / f"step-{outcome.steps:06d}" / outcome.adapter.name)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in load_file(outcome.adapter).items())


def test_a_loss_that_is_no_number_ends_the_run_with_the_last_good_weights(
    method: str, bases: Path, ranked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(method, bases / "v", ranked, tmp_path, steps=6)
    Spoilt(monkeypatch, lambda calls, given, made: (made[0] * float("nan"),) if len(run.points) == 4 else made)
    outcome = run.train()
    assert outcome.stopped == "the loss of step 5 is no number; the weights are those of step 2"
    assert outcome.steps == 2
    kept = load_file(tmp_path / "checkpoints" / "step-000002" / outcome.adapter.name)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in load_file(outcome.adapter).items())


def test_a_loss_that_is_no_number_from_the_start_says_which_knob_to_lower(
    method: str, bases: Path, ranked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spoilt(monkeypatch, lambda calls, given, made: (made[0] * float("nan"),))
    with pytest.raises(NotANumberError, match=r"step 1 is no number, .* Lower learning_rate \(it is 0\.01\)\.$"):
        Run(method, bases / "v", ranked, tmp_path).train()


@pytest.mark.parametrize("figure", [math.nan, math.inf])
def test_a_held_out_figure_that_is_no_number_ends_the_run_with_the_last_good_weights(
    figure: float, method: str, bases: Path, ranked: Path, tmp_path: Path, measuring: Measuring
) -> None:
    run = Run(method, bases / "v", ranked, tmp_path, steps=6)
    measuring(run, 4, figure)
    outcome = run.train()
    assert outcome.stopped == "a held-out figure of step 4 is no number; the weights are those of step 2"
    assert outcome.steps == 2
    assert all(map(math.isfinite, outcome.values.values()))
    assert not (tmp_path / "checkpoints" / "step-000004").exists()
    kept = load_file(tmp_path / "checkpoints" / "step-000002" / ADAPTER_FILE)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in load_file(outcome.adapter).items())


def test_a_held_out_figure_that_is_no_number_at_the_first_checkpoint_says_which_knob_to_lower(
    method: str, bases: Path, ranked: Path, tmp_path: Path, measuring: Measuring
) -> None:
    run = Run(method, bases / "v", ranked, tmp_path)
    measuring(run, 2, math.nan)
    with pytest.raises(NotANumberError, match=r"figure of step 2 is no number, .* Lower learning_rate \(it is 0\.01\)"):
        run.train()


def test_a_run_that_gets_too_much_worse_before_its_first_checkpoint_delivers_nothing_and_says_so(
    method: str, bases: Path, ranked: Path, tmp_path: Path, measuring: Measuring
) -> None:
    run = Run(method, bases / "v", ranked, tmp_path, stop_above=0.1)
    measuring(run, 2, 0.5)
    with pytest.raises(WorseThanBaseError) as refused:
        run.train()
    assert str(refused.value) == (
        "the preferred held-out images became 50.0% less likely than to the base (stop_above 10.0%) at step 2, and "
        "there is no checkpoint before it. Lower learning_rate (it is 0.01)."
    )
    assert not list(tmp_path.rglob(ADAPTER_FILE))


def test_a_run_that_gets_too_much_worse_ends_the_same_however_often_it_was_told_to_stop(
    method: str, bases: Path, ranked: Path, tmp_path: Path, measuring: Measuring
) -> None:
    knobs: dict[str, Any] = {"steps": 12, "checkpoint_every": 4, "stop_above": 5.0}
    run = Run(method, bases / "v", ranked, tmp_path / "whole", **knobs)
    measuring(run, 8, 6.0)
    whole = run.train()
    assert whole.steps == 4
    run = Run(method, bases / "v", ranked, tmp_path / "parts", **knobs)
    measuring(run, 8, 6.0)
    for step in (5, 6, 7):
        assert run.train(should_stop=run.stopping_at(step)).interrupted
    parts = run.train()
    assert (parts.steps, parts.stopped) == (whole.steps, whole.stopped)
    one, other = load_file(whole.adapter), load_file(parts.adapter)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_loss_that_is_no_number_ends_a_run_the_same_however_often_it_was_told_to_stop(
    bases: Path, ranked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run("dpo", bases / "v", ranked, tmp_path, steps=12, checkpoint_every=2)
    Spoilt(monkeypatch, lambda calls, given, made: (made[0] * float("nan"),) if len(run.points) == 5 else made)
    for step in (3, 5):
        assert run.train(should_stop=run.stopping_at(step)).interrupted
    outcome = run.train()
    assert outcome.stopped == "the loss of step 6 is no number; the weights are those of step 4"
