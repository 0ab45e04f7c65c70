"""The three trainers on a tiny model: they learn, stop, go on, and refuse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import PartialState
from safetensors.torch import load_file

from finetune import checkpoints, listwise, losses, opening
from finetune.errors import (
    OutOfMemoryError,
    SnapshotBrokenError,
    SnapshotEmptyError,
    WrongBaseError,
    WrongConfigError,
    WrongMethodError,
)
from finetune.types import SamplePrompt
from tests.finetune.conftest import Freeze
from tests.finetune.trained import BETA, METHODS, STRONG, Run, Spoilt

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_tiny_run_learns_what_is_preferred(method: str, bases: Path, ranked: Path, tmp_path: Path) -> None:
    run = Run(method, bases / "v", ranked, tmp_path, steps=12, batch=6, checkpoint_every=6, prompt_dropout=0.0)
    outcome = run.train()
    assert (outcome.steps, outcome.stopped, outcome.interrupted) == (12, "", False)
    assert outcome.values["held_out_implicit_accuracy"] > 0.8
    assert outcome.values["held_out_winner_error"] < outcome.values["held_out_loser_error"]


def test_a_run_tells_of_each_step_and_paints_at_each_checkpoint(
    method: str, bases: Path, ranked: Path, tmp_path: Path
) -> None:
    run = Run(method, bases / "v", ranked, tmp_path)
    outcome = run.train(samples_of=[SamplePrompt(text="apple", seed=1), SamplePrompt(text="bird", seed=2)])
    assert [point.step for point in run.points] == [1, 2, 3, 4]
    always = {"loss", "learning_rate", "images_per_s", "memory_mb"}
    held_out = {"held_out_winner_error", "held_out_loser_error", "held_out_implicit_accuracy"}
    of_pairs = {"winner_error", "loser_error", "implicit_accuracy", "mean_sigma"} if method != "rwr" else set()
    assert set(run.points[0].values) == always | of_pairs
    assert set(run.points[1].values) == always | of_pairs | held_out
    assert [step for step, _ in run.grids] == [2, 4]
    pictures = [image.tobytes() for _, images in run.grids for image in images]
    assert len(set(pictures)) == 4, "other prompts, and other weights, make other pictures"
    assert outcome.values["seconds"] > 0
    assert outcome.settings.lora_alpha == 16.0
    assert load_file(outcome.adapter)


def test_the_first_step_finds_policy_and_reference_equal(bases: Path, ranked: Path, tmp_path: Path) -> None:
    run = Run("dpo", bases / "v", ranked, tmp_path, steps=1)
    run.train()
    first = run.points[0].values
    assert first["loss"] == pytest.approx(0.6931472, abs=1e-7)
    assert (first["winner_error"], first["loser_error"], first["implicit_accuracy"]) == (0.0, 0.0, 0.5)
    assert first["mean_sigma"] == 0.5


def test_a_run_that_was_stopped_ends_as_the_uninterrupted_one_bit_by_bit(
    method: str, bases: Path, ranked: Path, tmp_path: Path
) -> None:
    whole = Run(method, bases / "epsilon", ranked, tmp_path / "whole", flip=True).train()
    run = Run(method, bases / "epsilon", ranked, tmp_path / "parts", flip=True)
    assert run.train(should_stop=run.stopping_at(3)).interrupted
    resumed = run.train()
    assert [point.step for point in run.points] == [1, 2, 3, 4]
    one, other = load_file(whole.adapter), load_file(resumed.adapter)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    told = {"images_per_s", "memory_mb", "seconds"}
    assert {name: value for name, value in whole.values.items() if name not in told} == {
        name: value for name, value in resumed.values.items() if name not in told
    }
    assert run.train() == resumed, "a run that ended answers with its outcome"


def test_a_run_killed_while_it_wrote_goes_on_from_the_checkpoint_before(
    bases: Path, ranked: Path, tmp_path: Path
) -> None:
    whole = Run("dpo", bases / "v", ranked, tmp_path / "whole").train()
    run = Run("dpo", bases / "v", ranked, tmp_path / "torn")
    run.train()
    newest = tmp_path / "torn" / "checkpoints" / "step-000004"
    (newest / "optimizer.safetensors").write_bytes(b"half of i")
    (tmp_path / "torn" / "checkpoints" / ".writing-1").mkdir()
    shutil.rmtree(newest)
    run.points.clear()
    resumed = run.train()
    assert [point.step for point in run.points] == [3, 4]
    one, other = load_file(whole.adapter), load_file(resumed.adapter)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_checkpoints_are_neither_pickled_nor_piling_up(bases: Path, ranked: Path, tmp_path: Path) -> None:
    Run("dpo", bases / "v", ranked, tmp_path, steps=8).train()
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    kept = [
        f"checkpoints/step-{step:06d}/{name}"
        for step in (6, 8)
        for name in ("optimizer.safetensors", "pytorch_lora_weights.safetensors", "state.json")
    ]
    assert found == [*kept, "pytorch_lora_weights.safetensors"]


def test_a_folder_with_another_run_is_not_gone_on_from(bases: Path, ranked: Path, tmp_path: Path) -> None:
    Run("dpo", bases / "v", ranked, tmp_path).train()
    with pytest.raises(WrongConfigError, match=r"holds a run with beta 500\.0, and this one has 7\.0\. Choose another"):
        Run("dpo", bases / "v", ranked, tmp_path, beta=7.0).train()
    with pytest.raises(WrongConfigError, match="holds a run with"):
        Run("rwr", bases / "v", ranked, tmp_path).train()
    other = shutil.copytree(bases / "v", tmp_path / "other")
    (other / "defaults.json").write_text("{}")
    with pytest.raises(WrongConfigError, match="holds a run with base_sha256"):
        Run("dpo", other, ranked, tmp_path).train()
    with pytest.raises(WrongConfigError, match="holds a run with adapters"):
        Run("dpo", bases / "v", ranked, tmp_path, adapters=[str(tmp_path)]).train()
    with pytest.raises(WrongBaseError, match="adapter 'other' cannot be read: No such file"):
        Run("dpo", bases / "v", ranked, tmp_path, adapters=[str(other)]).train()
    more = Run("dpo", bases / "v", ranked, tmp_path, steps=6)
    assert more.train().steps == 6
    assert [point.step for point in more.points] == [5, 6]


def test_a_full_memory_costs_speed_and_not_the_result(
    method: str, bases: Path, ranked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Run(method, bases / "v", ranked, tmp_path / "plain", steps=2, batch=4).train()
    sizes: list[int] = []

    def fits(calls: int, given: Any, made: Any) -> Any:
        sizes.append(len(given[0]))
        if len(given[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return made

    Spoilt(monkeypatch, fits)
    small = Run(method, bases / "v", ranked, tmp_path / "small", steps=2, batch=4).train()
    assert max(sizes) > 2
    assert max(sizes[-8:]) <= 2
    one, other = load_file(plain.adapter), load_file(small.adapter)
    assert all(torch.allclose(one[name], other[name], atol=2e-3) for name in one)  # sums in another order


def test_a_memory_that_fills_up_half_way_through_a_batch_counts_nothing_twice(
    method: str, bases: Path, ranked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradients are compared: the first step of AdamW is nearly the same for any of that sign."""
    found: list[torch.Tensor] = []
    clip = torch.nn.utils.clip_grad_norm_

    def keep(parameters: list[torch.nn.Parameter], most: float) -> torch.Tensor:
        found.append(torch.cat([one.grad.flatten().clone() for one in parameters if one.grad is not None]))
        return clip(parameters, most)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", keep)
    knobs = {"steps": 1, "batch": 6, "images_at_once": 4}
    Run(method, bases / "v", ranked, tmp_path / "plain", **knobs).train()
    parts: list[int] = []

    def fits(calls: int, given: Any, made: Any) -> Any:
        if torch.is_grad_enabled():
            parts.append(len(given[0]))
            if len(parts) == 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return made

    Spoilt(monkeypatch, fits)
    Run(method, bases / "v", ranked, tmp_path / "small", **knobs).train()
    assert max(parts[:2]) > 2 >= max(parts[2:])
    plain, small = found
    assert (plain - small).norm() < 1e-3 * plain.norm()


@pytest.mark.parametrize(
    ("checkpointing", "knob"), [(False, "Turn gradient_checkpointing on"), (True, "Lower lora_rank")]
)
def test_where_nothing_fits_the_knob_to_lower_is_named(
    checkpointing: bool,
    knob: str,
    method: str,
    bases: Path,
    ranked: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(calls: int, given: Any, made: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    Spoilt(monkeypatch, never)
    with pytest.raises(OutOfMemoryError, match=rf"images at once do not fit into memory\. {knob}"):
        Run(method, bases / "v", ranked, tmp_path, gradient_checkpointing=checkpointing).train()


@pytest.mark.parametrize("method", ["dpo", "listwise"])
def test_a_run_with_gradient_checkpointing_learns_the_same(
    method: str, bases: Path, ranked: Path, tmp_path: Path
) -> None:
    runs = [
        Run(method, bases / "v", ranked, tmp_path / str(on), steps=2, gradient_checkpointing=on).train()
        for on in (False, True)
    ]
    one, other = (load_file(outcome.adapter) for outcome in runs)
    assert all(torch.allclose(one[name], other[name], atol=1e-4) for name in one)


def test_the_two_passes_of_a_large_ranking_give_the_gradient_of_one() -> None:
    source = torch.Generator().manual_seed(0)
    weights = torch.randn(5, generator=source, requires_grad=True)
    images = torch.randn(7, 5, generator=source)

    def error_of(part: slice) -> torch.Tensor:
        return (images[part] * weights).square().mean(1)

    def loss_of(policy: torch.Tensor) -> torch.Tensor:
        ranks = torch.tensor([[0, 1, 1, 2, 3, -1, 4]])
        return losses.plackett_luce(3.0 * (1.0 - policy)[None], ranks).sum()

    found: list[torch.Tensor] = []
    for at_once in (7, 3, 1):
        weights.grad = None
        listwise.backward(error_of, 7, loss_of, at_once)
        assert weights.grad is not None
        found.append(weights.grad.clone())
    assert torch.allclose(found[0], found[1], atol=1e-6)
    assert torch.allclose(found[0], found[2], atol=1e-6)


@pytest.mark.parametrize("loss", ["ipo", "hinge", "robust"])
def test_other_pair_losses_and_the_guard_train_too(loss: str, bases: Path, ranked: Path, tmp_path: Path) -> None:
    run = Run("dpo", bases / "v", ranked, tmp_path, steps=6, batch=6, loss=loss, smoothing=0.1, guard=0.9)
    first, last = run.train(), run.points[-1].values
    assert first.values["held_out_implicit_accuracy"] > 0.5
    assert last["winner_error"] < last["loser_error"]


def test_a_cache_on_disk_changes_nothing(bases: Path, ranked: Path, tmp_path: Path) -> None:
    runs = [
        Run("dpo", bases / "epsilon", ranked, tmp_path / str(on), steps=2, cache_on_disk=on).train()
        for on in (False, True)
    ]
    one, other = (load_file(outcome.adapter) for outcome in runs)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any((tmp_path / "True" / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
def test_processes_wait_for_the_first_one_s_cache_only_where_they_find_it(
    on_disk: bool, method: str, bases: Path, ranked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[bool] = []

    @contextmanager
    def first(state: PartialState) -> Iterator[None]:
        waits.append(True)
        yield

    monkeypatch.setattr(PartialState, "main_process_first", first)
    Run(method, bases / "v", ranked, tmp_path, steps=1, cache_on_disk=on_disk).train()
    assert waits == [True] * on_disk


@pytest.mark.parametrize("family", ["xl", "sd3", "flux"])
def test_each_family_trains(family: str, bases: Path, ranked: Path, tmp_path: Path) -> None:
    run = Run("dpo", bases / family, ranked, tmp_path, steps=2, beta=2_500.0)
    outcome = run.train()
    assert outcome.steps == 2
    assert any(tensor.any() for name, tensor in load_file(outcome.adapter).items() if "lora_B" in name)


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_snapshot_of_ties_teaches_nothing_and_says_so(
    method: str, bases: Path, freeze: Freeze, tmp_path: Path
) -> None:
    tied = freeze(groups=((0, 1, 2),))
    with pytest.raises(SnapshotEmptyError, match=r"^snapshot snapshot: no .*nothing is learned\. Collect rankings"):
        Run(method, bases / "v", tied, tmp_path / "out").train()


def test_a_snapshot_without_training_rows_teaches_nothing(
    method: str, bases: Path, freeze: Freeze, tmp_path: Path
) -> None:
    with pytest.raises(SnapshotEmptyError, match="nothing is learned"):
        Run(method, bases / "v", freeze(train=0), tmp_path / "out").train()


def test_listwise_sends_pairs_to_dpo(bases: Path, freeze: Freeze, tmp_path: Path) -> None:
    pairs = freeze(groups=((0,), (1,)))
    with pytest.raises(WrongMethodError, match=r"all 6 of its training rows compare two\. Choose dpo"):
        Run("listwise", bases / "v", pairs, tmp_path / "out").train()
    assert Run("dpo", bases / "v", pairs, tmp_path / "out", steps=1).train().steps == 1


def test_a_run_without_held_out_rows_measures_none_and_does_not_stop(
    method: str, bases: Path, freeze: Freeze, tmp_path: Path
) -> None:
    run = Run(method, bases / "v", freeze(held_out=0), tmp_path / "out", stop_above=1e-9)
    assert run.train().steps == 4
    assert not any(name.startswith("held_out") for point in run.points for name in point.values)


def test_what_is_no_snapshot_no_base_or_no_knob_is_refused(
    method: str, bases: Path, ranked: Path, tmp_path: Path
) -> None:
    with pytest.raises(SnapshotBrokenError, match=r"is no snapshot: it has no snapshot\.json"):
        Run(method, bases / "v", tmp_path, tmp_path / "out").train()
    with pytest.raises(WrongBaseError, match="has no denoising network in safetensors"):
        Run(method, tmp_path, ranked, tmp_path / "out").train()
    with pytest.raises(WrongConfigError, match=rf"{method} has no (temperature|beta)\. Leave it out\."):
        Run(method, bases / "v", ranked, tmp_path / "out", beta=3.0, temperature=3.0).train()


# -- several processes -------------------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.parametrize("method", ["dpo", "listwise"])
def test_two_processes_learn_what_one_learns(method: str, bases: Path, ranked: Path, tmp_path: Path) -> None:
    alone = Run(method, bases / "v", ranked, tmp_path / "alone", batch=4)
    outcome = alone.train()
    knobs = {**STRONG, **BETA[method], "steps": 4, "batch": 4, "checkpoint_every": 2}
    options = [f"--{name}={value}" for name, value in knobs.items()]
    launched = subprocess.run(
        [
            *(sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes=2", "--num_machines=1"),
            *(
                "--mixed_precision=no",
                "--dynamo_backend=no",
                "--main_process_port=0",
                "--num_cpu_threads_per_process=1",
            ),
            *("-m", f"finetune.{method}", f"--base={bases / 'v'}", f"--snapshot={ranked}", f"--out={tmp_path / 'two'}"),
            *options,
        ],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert launched.returncode == 0, launched.stderr[-2_000:]
    told = [json.loads(line) for line in launched.stdout.splitlines() if line.startswith("{")]
    assert [point["step"] for point in told] == [1, 2, 3, 4], "the first process alone speaks"
    for point, said in zip(alone.points, told, strict=True):
        assert said["loss"] == pytest.approx(point.values["loss"], rel=2e-3)
    assert told[-1]["held_out_winner_error"] == pytest.approx(outcome.values["held_out_winner_error"], abs=1e-4)
    one, other = load_file(outcome.adapter), load_file(tmp_path / "two" / "pytorch_lora_weights.safetensors")
    assert all(torch.allclose(one[name], other[name], atol=1e-3) for name in one)


def test_a_checkpoint_of_another_shape_is_not_put_back(bases: Path, ranked: Path, tmp_path: Path) -> None:
    from finetune import adapters

    Run("dpo", bases / "v", ranked, tmp_path, steps=1, checkpoint_every=1).train()
    loaded = opening.load_base(bases / "v", [], torch.device("cpu"))
    adapters.put_on(loaded.pipe.unet, rank=7, alpha=7, targets=adapters.ATTENTION, seed=0)
    with pytest.raises(WrongBaseError, match="does not fit this base and rank"):
        checkpoints.go_back(tmp_path / "checkpoints", loaded.pipe.unet, "unet", before=9)
