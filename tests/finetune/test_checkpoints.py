"""What a run goes on from, and what it goes back to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finetune import adapters, checkpoints, opening
from generation.storage import ADAPTER_FILE
from tests.finetune.trained import Run

DAMAGES = ("state.json", "optimizer.safetensors", ADAPTER_FILE)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_and_written_anew(
    name: str, bases: Path, ranked: Path, tmp_path: Path
) -> None:
    run = Run("dpo", bases / "v", ranked, tmp_path)
    first = load_file(run.train().adapter)
    file = tmp_path / "checkpoints" / "step-000004" / name
    whole = file.read_bytes()
    file.write_bytes(b"half of i")
    run.points.clear()
    second = load_file(run.train().adapter)
    assert [point.step for point in run.points] == [3, 4]
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert len(file.read_bytes()) == pytest.approx(len(whole), abs=200)  # of figures and times
    run.points.clear()
    run.train()
    assert run.points == [], "it is whole again"


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_gone_back_to_is_whole(name: str, bases: Path, ranked: Path, tmp_path: Path) -> None:
    Run("dpo", bases / "v", ranked, tmp_path).train()
    (tmp_path / "checkpoints" / "step-000004" / name).write_bytes(b"half of i")
    network = opening.load_base(bases / "v", [], torch.device("cpu")).pipe.unet
    adapters.put_on(network, rank=4, alpha=8, targets=adapters.ATTENTION + adapters.BESIDE_ATTENTION, seed=0)
    found = checkpoints.go_back(tmp_path / "checkpoints", network, "unet", before=9)
    assert found is not None
    assert found.step == 2
