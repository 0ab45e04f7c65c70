"""What a training worker does on a bell, with a platform that lives in this process and real runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import pytest

from finetune.round import RESULT_FILE, Round, Score, forget_old_runs
from finetune.types import (
    ImageScore,
    ScoreImage,
    ScoreRequest,
    ScoreResult,
    SnapshotReference,
    TrainClaim,
    TrainReport,
    TrainRequest,
    TrainResult,
)
from generation.failpoints import VARIABLE
from generation.storage import MODEL_PATH_VARIABLE, Storage
from generation.types import Failure, Progress, ProgressReply
from tests.finetune import runs
from tests.finetune.runs import QUICK
from tests.generation.tiny import save_tiny_model

REPOSITORY = Path(__file__).parents[2]
CLAIM = TrainClaim(worker="train@here")


class Desk:
    """A platform: hands out what it is given, and keeps what it is told."""

    def __init__(self, *work: TrainRequest | ScoreRequest | dict[str, Any]) -> None:
        self.work = [self._as_answer(one) for one in work]
        self.reports: list[TrainReport] = []
        self.results: list[TrainResult] = []
        self.scores: list[ScoreResult] = []
        self.signs: list[Progress] = []
        self.failures: list[Failure] = []
        self.go_on: Callable[[], bool] = lambda: True
        self.on_report: Callable[[TrainReport], None] = lambda report: None

    @staticmethod
    def _as_answer(work: TrainRequest | ScoreRequest | dict[str, Any]) -> dict[str, Any]:
        if isinstance(work, dict):
            return work
        return {"train" if isinstance(work, TrainRequest) else "score": work.model_dump(mode="json")}

    def claim(self, claim: TrainClaim) -> dict[str, Any] | None:
        return self.work.pop(0) if self.work else None

    def progress(self, progress: Progress) -> ProgressReply | None:
        self.signs.append(progress)
        return ProgressReply(go_on=self.go_on())

    def report(self, report: TrainReport) -> bool:
        self.reports.append(report)
        self.on_report(report)
        return True

    def last_report(self, report: TrainReport) -> None:
        self.reports.append(report)

    def finish(self, result: TrainResult) -> None:
        self.results.append(result)

    def record_scores(self, result: ScoreResult) -> None:
        self.scores.append(result)

    def fail(self, failure: Failure) -> None:
        self.failures.append(failure)


def measure(request: ScoreRequest, storage: Storage, on_progress: Callable[[int], None]) -> ScoreResult:
    """Score by the size of the file."""
    scores = []
    for done, image in enumerate(request.images):
        on_progress(done)
        scores.append(ImageScore(id=image.id, values={"reward": float(len(storage.read(image.key)))}))
    return ScoreResult(lease=request.lease, scores=tuple(scores))


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """An empty storage."""
    return Storage((tmp_path / "storage").as_uri())


@pytest.fixture
def frozen(storage: Storage, tmp_path: Path) -> SnapshotReference:
    """A snapshot in storage."""
    return runs.freeze(storage, tmp_path / "snapshot")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a worker that has the tiny model, a broker's password, and somebody else's."""
    save_tiny_model(tmp_path / "models" / "tiny")
    monkeypatch.setenv(MODEL_PATH_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("BROKER_URL", "redis://:secret@broker")
    monkeypatch.setenv("EASEL_SECRET_KEY", "secret")


Answer = Callable[..., int]


@pytest.fixture
def answer(tmp_path: Path) -> Answer:
    """Return a function that answers one bell for a desk, and returns how much work that was."""

    def run(desk: Desk, *, stop: Event | None = None, score: Score = measure) -> int:
        return Round(desk, tmp_path / "runs", Storage, score, 0.05, 20.0, stop or Event()).run(CLAIM)

    return run


def scoring(storage: Storage, count: int = 3) -> ScoreRequest:
    """Ask for the measures of some files."""
    images = tuple(
        ScoreImage(id=UUID(int=number), key=runs.picture(storage, f"scored {number}").key, prompt="icon")
        for number in range(count)
    )
    return ScoreRequest(
        lease=runs.request(storage, SNAPSHOT).lease, judge="taste", images=images, storage_url=storage.url
    )


SNAPSHOT = SnapshotReference(id=UUID(int=3), name="none", sha256="0" * 64, files=())


@pytest.mark.processes
def test_a_run_is_trained_reported_and_handed_in_by_a_process_without_broker_or_password(
    environment: None, storage: Storage, frozen: SnapshotReference, answer: Answer, tmp_path: Path
) -> None:
    seen: list[str] = []

    def look(report: TrainReport) -> None:
        for entry in Path("/proc").iterdir():
            command = _read(entry / "cmdline") if entry.name.isdigit() else b""
            if b"finetune.run" in command and str(tmp_path).encode() in command:
                seen.extend(_read(entry / "environ").decode(errors="replace").split("\0"))

    desk = Desk(runs.request(storage, frozen), scoring(storage))
    desk.on_report = look
    assert answer(desk) == 2
    assert desk.failures == []
    (result,) = desk.results
    assert result.steps == 12
    assert storage.read(result.files[0].key)
    assert sorted(point.step for report in desk.reports for point in report.points) == list(range(1, 13))
    assert {report.steps for report in desk.reports} - {None} == {12}
    assert [grid.step for report in desk.reports for grid in report.grids] == [4, 8, 12]
    assert desk.signs
    names = {entry.partition("=")[0] for entry in seen}
    assert MODEL_PATH_VARIABLE in names
    assert not names & {"BROKER_URL", "EASEL_SECRET_KEY", "DATABASE_URL"}
    assert not [entry for entry in seen if "secret" in entry]
    kept = {path.name for path in (tmp_path / "runs" / str(runs.id_of("run"))).iterdir()}
    assert kept == {RESULT_FILE, "request.json", "lock"}  # the checkpoints are not needed any more
    assert [len(one.scores) for one in desk.scores] == [3]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile
        return b""


@pytest.mark.processes
def test_a_run_that_is_not_wanted_any_more_ends_with_a_checkpoint_and_one_whose_process_dies_is_given_back(
    environment: None,
    storage: Storage,
    frozen: SnapshotReference,
    answer: Answer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endless = QUICK.model_copy(update={"steps": 50_000})
    desk = Desk(runs.request(storage, frozen, settings=endless))
    desk.go_on = lambda: not desk.reports
    assert answer(desk) == 1
    assert (desk.failures, desk.results) == ([], [])  # nobody has failed: the platform knows
    assert list((tmp_path / "runs" / str(runs.id_of("run")) / "out" / "checkpoints").glob("step-*"))

    monkeypatch.setenv(VARIABLE, "trained_step=5")
    desk = Desk(runs.request(storage, frozen, "other"))
    assert answer(desk) == 1
    (failure,) = desk.failures
    assert (failure.code, failure.retryable) == ("process_lost", True)
    assert "signal 9" in failure.reason
    assert [point.step for report in desk.reports for point in report.points][-1:] <= [5]


@pytest.mark.processes
def test_a_worker_that_stops_gives_its_run_back_and_asks_for_no_other(
    environment: None, storage: Storage, frozen: SnapshotReference, answer: Answer
) -> None:
    stop = Event()
    endless = QUICK.model_copy(update={"steps": 50_000})
    desk = Desk(runs.request(storage, frozen, settings=endless), scoring(storage))
    desk.on_report = lambda report: stop.set()
    assert answer(desk, stop=stop) == 1
    assert [failure.code for failure in desk.failures] == ["worker_stopping"]
    assert desk.scores == []


def test_a_request_of_another_version_is_given_back(storage: Storage, answer: Answer) -> None:
    newer = {"score": scoring(storage).model_dump(mode="json") | {"colour": "red"}}
    desk = Desk(newer, scoring(storage))
    assert answer(desk) == 2
    (failure,) = desk.failures
    assert failure.code == "unreadable_request"
    assert "colour" in failure.reason
    assert len(desk.scores) == 1


def test_a_bug_in_a_measure_costs_one_job(storage: Storage, answer: Answer) -> None:
    calls: list[int] = []

    def stumble(request: ScoreRequest, storage: Storage, on_progress: Callable[[int], None]) -> ScoreResult:
        calls.append(1)
        if len(calls) == 1:
            raise KeyError("what is this?\nand this?")
        return measure(request, storage, on_progress)

    desk = Desk(scoring(storage), scoring(storage))
    assert answer(desk, score=stumble) == 2
    (failure,) = desk.failures
    assert (failure.code, failure.retryable) == ("unexpected", True)
    assert "\n" not in failure.reason
    assert len(desk.scores) == 1


def test_measuring_ends_when_nobody_wants_it_any_more(storage: Storage, answer: Answer) -> None:
    done: list[int] = []

    def slow(request: ScoreRequest, storage: Storage, on_progress: Callable[[int], None]) -> ScoreResult:
        for number in range(1_000):
            done.append(number)
            on_progress(0)
            time.sleep(0.01)
        return measure(request, storage, on_progress)

    desk = Desk(scoring(storage))
    desk.go_on = lambda: len(desk.signs) < 3
    assert answer(desk, score=slow) == 1
    assert len(done) < 1_000
    assert (desk.scores, desk.failures) == ([], [])


def test_only_runs_that_nobody_went_on_with_for_days_are_forgotten(tmp_path: Path) -> None:
    old, new, no_run = (str(runs.id_of(name)) for name in ("old", "new", "no run"))
    for name, days in ((old, 20), (new, 1), (no_run, 20), ("models", 20)):
        folder = tmp_path / name / "out"
        folder.mkdir(parents=True)
        (folder / "state.json").write_text("{}")
        if name != no_run:
            (folder.parent / "request.json").write_text("{}")
        then = time.time() - days * 86_400
        for path in (*folder.parent.rglob("*"), folder.parent):
            os.utime(path, (then, then))
    forget_old_runs(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {new, no_run, "models"}
    forget_old_runs(tmp_path / "nowhere")


@pytest.mark.processes
def test_a_worker_at_rest_has_neither_torch_nor_django_and_is_small() -> None:
    code = (
        "import re, sys, finetune.worker; "
        "print(*({'torch', 'django.db', 'easel', 'numpy', 'pyarrow'} & sys.modules.keys()), "
        "int(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024)"
    )
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LD_LIBRARY_PATH"}}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=kept | {"BROKER_URL": "redis://x"},
        capture_output=True,
        text=True,
        check=True,
    )
    *heavy, megabytes = done.stdout.split()
    assert heavy == []
    assert int(megabytes) < 100
