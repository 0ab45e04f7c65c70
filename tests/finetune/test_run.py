"""What one process of a run does by itself, without being started as one."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune import run
from finetune.outcome import Outcome
from finetune.round import RESULT_FILE
from finetune.types import Method
from generation.storage import Storage
from tests.finetune import runs
from tests.finetune.runs import QUICK


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that this process became, on a machine with two GPUs."""
    found: list[list[str]] = []
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(os, "execv", lambda path, arguments: found.append(arguments))
    return found


@pytest.mark.parametrize("method", ["dpo", "listwise", "rwr"])
def test_a_run_is_started_again_on_all_gpus(method: Method, launched: list[list[str]]) -> None:
    run._take_gpus(method, ["request.json"])
    assert launched[0][-4:] == ["2", "-m", "finetune.run", "request.json"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5"


def test_a_reward_model_learns_on_one_gpu_of_several(launched: list[list[str]]) -> None:
    run._take_gpus("reward", ["request.json"])
    assert launched == []
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


@pytest.mark.parametrize(("rank", "writes"), [("0", True), ("1", False)])
def test_of_several_processes_the_first_alone_writes_and_stores_the_result(
    rank: str, writes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes((2).to_bytes(8, "little") + b"{}")
    outcome = Outcome(weights, 12, "", False, {}, QUICK, "cpu")

    def trained(*_: Any) -> Outcome:
        return outcome

    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(run, "_train", trained)
    storage = Storage((tmp_path / "storage").as_uri())
    request = runs.request(storage, runs.freeze(Storage((tmp_path / "other").as_uri()), tmp_path / "snapshot"))
    folder = tmp_path / "run"
    folder.mkdir()
    result = run._result(request, folder, run.Voice(io.StringIO(), silent=False), lambda: False)
    assert (result is not None) == writes
    assert [path.name for path in folder.iterdir()] == ([RESULT_FILE] if writes else [])
    assert len(list(storage.keys())) == int(writes)
