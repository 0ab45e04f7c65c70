"""The process of one run, really started: what it says, how it stops, and that it goes on as if nothing had been."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from finetune.child import Child
from finetune.lines import Said
from finetune.round import RESULT_FILE
from finetune.types import Method, SnapshotReference, TrainRequest, TrainResult, TrainSettings
from generation.fetched import PREFIX, fetch_weights
from generation.storage import MODEL_PATH_VARIABLE, Storage
from tests.finetune import runs
from tests.finetune.runs import QUICK
from tests.generation.tiny import save_tiny_model

pytestmark = pytest.mark.processes

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with the tiny model."""
    folder = tmp_path_factory.mktemp("models")
    save_tiny_model(folder / "tiny")
    return folder


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """An empty storage."""
    return Storage((tmp_path / "storage").as_uri())


@pytest.fixture
def frozen(storage: Storage, tmp_path: Path) -> SnapshotReference:
    """A snapshot in storage."""
    return runs.freeze(storage, tmp_path / "snapshot")


class Run:
    """Starts attempts at a run, and hears them to their end."""

    def __init__(self, models: Path, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"}
        } | {
            MODEL_PATH_VARIABLE: str(models),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(REPOSITORY),
            "BROKER_URL": "redis://a-worker-s-own",
        }

    def attempt(
        self,
        request: TrainRequest,
        hear: Callable[[Said, Child], None] = lambda said, child: None,
        *,
        stop: Event | None = None,
        failpoint: str = "",
    ) -> tuple[list[Said], int]:
        """Make one attempt; return what it said, and its exit status."""
        environment = self.environment | {"EASEL_FAILPOINT": failpoint}
        said: list[Said] = []
        with Child(request, self.folder, stop=stop or Event(), patience=20.0, environment=environment) as child:
            for one in child.said():
                if one is not None:
                    said.append(one)
                    hear(one, child)
            return said, child.exit_status


@pytest.fixture
def run(models: Path, tmp_path: Path) -> Run:
    """A run that no attempt was made at yet."""
    return Run(models, tmp_path / "run")


def result_of(said: list[Said]) -> TrainResult:
    """Return the result of an attempt that has one."""
    found = [one.result for one in said if one.result is not None]
    assert found, f"it ended without: {[one.ended for one in said if one.ended]}"
    return found[0]


def test_a_run_tells_its_steps_its_figures_and_its_samples_and_leaves_an_adapter_in_storage(
    run: Run, storage: Storage, frozen: SnapshotReference, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    request = runs.request(storage, frozen)
    said, status = run.attempt(request)
    result = result_of(said)
    assert status == 0
    assert (result.lease, result.steps, result.stopped) == (request.lease, 12, "")
    assert result.settings.steps == 12
    assert result.settings.beta is not None  # a default
    assert [one.point.step for one in said if one.point] == list(range(1, 13))
    assert [one.grid.step for one in said if one.grid] == [4, 8, 12]
    assert {one.step.total for one in said if one.step} == {0, 12}
    assert max(one.step.done for one in said if one.step) == 12
    for grid in (one.grid for one in said if one.grid):
        assert storage.read(grid.images[0].key).startswith(b"\x89PNG")

    monkeypatch.setenv("EASEL_WEIGHTS_FOLDER", str(tmp_path / "weights"))
    (file,) = result.files
    assert file.name == "pytorch_lora_weights.safetensors"
    assert [path.name for path in fetch_weights(PREFIX + file.key, storage).iterdir()] == [file.name]

    again, _ = run.attempt(request.model_copy(update={"lease": request.lease.model_copy(update={"attempt": 2})}))
    repeated = result_of(again)  # the first answer may have got lost
    assert repeated.lease.attempt == 2
    assert repeated.model_copy(update={"lease": request.lease}) == result
    assert not [one.point for one in again if one.point]


def test_a_run_that_is_told_to_stop_stops_at_its_next_step_and_goes_on_to_the_same_weights(
    run: Run, models: Path, storage: Storage, frozen: SnapshotReference, tmp_path: Path
) -> None:
    request, stop = runs.request(storage, frozen), Event()

    def stop_at_the_fifth(said: Said, child: Child) -> None:
        if said.point is not None and said.point.step == 5:
            stop.set()

    settings = QUICK.model_copy(update={"steps": 400})  # long enough that it is still at work when it hears of it
    long = request.model_copy(update={"settings": settings})
    said, status = run.attempt(long, stop_at_the_fifth, stop=stop)
    assert [one.ended.code for one in said if one.ended] == ["worker_stopping"]
    assert status == 1
    reached = max(one.point.step for one in said if one.point)
    assert 5 <= reached < 400
    assert not (run.folder / RESULT_FILE).exists()

    shorter = long.model_copy(update={"settings": settings.model_copy(update={"steps": reached + 6})})
    rest, _ = run.attempt(shorter)
    assert min(one.point.step for one in rest if one.point) == reached + 1
    whole, _ = Run(models, tmp_path / "undisturbed").attempt(shorter)
    assert result_of(rest).files == result_of(whole).files


def test_a_run_that_ignores_its_order_is_killed(run: Run, storage: Storage, frozen: SnapshotReference) -> None:
    request, stop = runs.request(storage, frozen, settings=TrainSettings(steps=100_000, batch=2)), Event()
    stopped: list[int] = []
    with Child(request, run.folder, stop=stop, patience=0.5, environment=run.environment) as child:
        for said in child.said():
            if said is not None and said.step is not None and not stopped:
                assert child._process is not None
                stopped.append(child._process.pid)
                os.kill(child._process.pid, signal.SIGSTOP)  # as one that hangs in a driver
                stop.set()
        assert child.exit_status == -signal.SIGKILL


def test_a_run_that_has_said_its_last_and_does_not_end_is_killed(
    run: Run, storage: Storage, frozen: SnapshotReference
) -> None:
    child = Child(runs.request(storage, frozen), run.folder, stop=Event(), patience=0.2)
    with subprocess.Popen(["sleep", "20"], stdout=subprocess.DEVNULL, start_new_session=True) as hung:
        child._process = hung
        assert child.exit_status == -signal.SIGKILL


def test_a_killed_run_says_nothing_and_its_status_tells_of_the_signal(
    run: Run, storage: Storage, frozen: SnapshotReference
) -> None:
    said, status = run.attempt(runs.request(storage, frozen), failpoint="trained_step=6")
    assert status == -signal.SIGKILL
    assert not [one for one in said if one.result or one.ended]
    rest, status = run.attempt(runs.request(storage, frozen))
    assert status == 0
    assert min(one.point.step for one in rest if one.point) == 5  # from the checkpoint at step 4 on


def test_what_cannot_be_done_is_told_in_one_line_with_its_code(
    run: Run, storage: Storage, frozen: SnapshotReference, tmp_path: Path
) -> None:
    def ended(request: TrainRequest, folder: str) -> tuple[str, bool, str]:
        run.folder = tmp_path / folder
        said, status = run.attempt(request)
        (end,) = [one.ended for one in said if one.ended]
        assert status == 1
        assert "\n" not in end.reason
        return end.code, end.retryable, end.reason

    request = runs.request(storage, frozen)
    missing = request.model_copy(update={"base": request.base.model_copy(update={"location": "folder:nowhere"})})
    assert ended(missing, "missing")[:2] == ("model_not_found", True)
    changed = request.model_copy(update={"base": request.base.model_copy(update={"sha256": "0" * 64})})
    assert ended(changed, "changed")[:2] == ("weights_changed", True)
    tied = runs.freeze(storage, tmp_path / "tied", tied=True)
    code, retryable, reason = ended(request.model_copy(update={"snapshot": tied}), "tied")
    assert (code, retryable) == ("snapshot_empty", False)
    assert "tied" in reason or "ties" in reason
    picture = storage.read(runs.picture(storage, "of 1 0").key)
    (tmp_path / "storage" / runs.picture(storage, "of 1 0").key).write_bytes(picture[:-1])
    code, retryable, reason = ended(request, "spoilt")
    assert (code, retryable) == ("snapshot_broken", False)
    assert runs.picture(storage, "of 1 0").key in reason


@pytest.mark.parametrize("method", ["listwise", "rwr", "reward"])
def test_every_method_ends_with_one_file_in_storage(
    method: Method, run: Run, storage: Storage, frozen: SnapshotReference
) -> None:
    settings = TrainSettings(steps=4, batch=2, checkpoint_every=2, seed=1)
    said, status = run.attempt(runs.request(storage, frozen, method=method, settings=settings))
    result = result_of(said)
    assert status == 0
    assert result.settings.learning_rate is not None
    (file,) = result.files
    assert len(storage.read(file.key)) == file.bytes
    assert {one.step.total for one in said if one.step} == {0, 4}
    assert [one.point for one in said if one.point]
