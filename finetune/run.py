"""The process of one run: `python -m finetune.run REQUEST.json --folder FOLDER`, started by `finetune.child`.

It gets the snapshot and the base, trains from the last checkpoint in FOLDER on, and puts the weights into storage. All
that it says are the lines of `finetune.lines` on its standard output. SIGTERM ends it at the next step, with a
checkpoint. Where there are several GPUs, it starts itself again on all of them with `accelerate launch`.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import fcntl
import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, TextIO

from finetune.errors import FinetuneError
from finetune.lines import Ended, Said, Step
from finetune.round import RESULT_FILE
from finetune.types import Method, MetricPoint, SampleGrid, StoredFile, TrainRequest, TrainResult
from generation.claims import UNEXPECTED, in_one_line
from generation.env import HubEnvironment, quieten_libraries, read_environment
from generation.errors import RenderError, StorageFailedError, StorageFullError, WorkerStoppingError
from generation.failpoints import failpoint
from generation.storage import ADAPTER_FILE, Storage, StorageError, weights_hash

if TYPE_CHECKING:
    from PIL import Image

    from finetune.outcome import Outcome

LIBRARIES = ("torch", "diffusers", "transformers", "peft", "accelerate")
POINTS = 1_000
"""So many points of a run are told at most, evenly spaced; those with held-out figures always."""
_PREPARING_SECONDS = 30.0
_LONGEST_PREPARATION = 6 * 3600.0
_PR_SET_PDEATHSIG = 1


class Voice:
    """Says lines to the worker. Where several processes train, only the first one speaks."""

    def __init__(self, output: TextIO, *, silent: bool) -> None:
        self._output = output
        self._silent = silent
        self._lock = Lock()  # a thread says that preparations go on

    def say(self, said: Said) -> None:
        """Write one line. A worker that is gone is told nothing: this process ends with it."""
        if not self._silent:
            with self._lock:
                self._output.write(said.model_dump_json(exclude_none=True) + "\n")
                self._output.flush()

    def step(self, done: int, total: int, note: str = "") -> None:
        """Tell how far the run is."""
        self.say(Said(step=Step(done=done, total=total, note=note)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and return the exit status: 0 with a result, 1 with a reason why there is none."""
    parser = argparse.ArgumentParser(prog="python -m finetune.run", description=__doc__)
    parser.add_argument("request", type=Path, help="a TrainRequest as JSON")
    parser.add_argument("--folder", type=Path, required=True, help="where the run keeps its checkpoints")
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(given)
    _end_with_parent()
    request = TrainRequest.model_validate_json(options.request.read_bytes())
    _take_gpus(request.method, given)
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    quieten_libraries(hub_download=read_environment(HubEnvironment).hub_download)
    # What libraries print goes to the log, not among the lines.
    voice = Voice(os.fdopen(os.dup(1), "w"), silent=not _is_first())
    os.dup2(2, 1)
    with _alone_in(options.folder):
        try:
            result = _result(request, options.folder, voice, stop.is_set)
            if result is not None:
                voice.say(Said(result=result))
        except Exception as error:  # whatever it is, the worker is to tell people in one line
            ended = _ending(error)
            if ended.code == UNEXPECTED:
                logging.getLogger(__name__).exception("run %s: unexpected", request.run)
            voice.say(Said(ended=ended))
            return 1
    return 0


def _result(request: TrainRequest, folder: Path, voice: Voice, should_stop: Callable[[], bool]) -> TrainResult | None:
    """Return the result of the run: that of an earlier attempt, which may have got lost on its way, or a new one.

    Of several processes the first alone writes it and puts it into storage; the others have none.
    """
    kept = folder / RESULT_FILE
    if kept.is_file():
        return TrainResult.model_validate_json(kept.read_bytes()).model_copy(update={"lease": request.lease})
    storage = Storage(os.environ.get("STORAGE_URL") or request.storage_url)
    outcome = _train(request, folder, storage, voice, should_stop)
    if outcome.interrupted:
        raise WorkerStoppingError("the run was told to stop; it goes on from its last checkpoint")
    if not _is_first():
        return None
    failpoint("trained")
    result = TrainResult(
        lease=request.lease,
        files=(_store(outcome.adapter, storage),),
        steps=outcome.steps,
        stopped=outcome.stopped[:500],
        values=outcome.values,
        settings=outcome.settings,
        commit=_commit(),
        versions={name: version(name) for name in LIBRARIES},
        device=outcome.device,
    )
    unfinished = kept.with_suffix(".unfinished")
    unfinished.write_text(result.model_dump_json())
    unfinished.rename(kept)
    return result


def _train(
    request: TrainRequest, folder: Path, storage: Storage, voice: Voice, should_stop: Callable[[], bool]
) -> Outcome:
    """Get what the run needs, and train. Raises a FinetuneError, RenderError or StorageError."""
    from finetune import defaults, snapshot
    from generation import pipelines

    voice.step(0, 0, "getting the snapshot")
    rows = snapshot.fetch(request.snapshot, storage, folder / "snapshot")
    if request.method == "reward":
        return _train_reward(request, rows, folder, voice, should_stop)
    hub_download = os.environ.get("HF_HUB_OFFLINE") != "1"
    base = pipelines.find_folder(request.base, hub_download=hub_download)
    pipelines.check_hash(request.base, weights_hash(base))
    taught = []
    for adapter in request.base.adapters:
        place = pipelines.find_folder(adapter, having=ADAPTER_FILE, hub_download=hub_download, files=storage)
        pipelines.check_hash(adapter, weights_hash(place))
        taught.append(f"{place}@{adapter.scale}")

    settings = defaults.fill(request.method, defaults.weights_of(base), request.settings)
    total = settings.steps or 1
    module: Any = import_module(f"finetune.{request.method}")
    config = module.Config(base=str(base), snapshot=str(rows), out=str(folder / "out"), adapters=taught)
    with _preparing(voice, total) as begun:
        outcome: Outcome = module.train(
            config,
            request.settings,
            samples_of=request.samples,
            sample_settings=request.sample_settings,
            on_point=_points_to(voice, total, begun),
            on_grid=_grids_to(voice, storage),
            should_stop=should_stop,
        )
    return outcome


def _train_reward(
    request: TrainRequest, rows: Path, folder: Path, voice: Voice, should_stop: Callable[[], bool]
) -> Outcome:
    """Train a reward model, which starts from nothing: the base only names what it is a measure for."""
    from finetune import reward

    config = reward.config_of(rows, folder / "out", request.settings)
    with _preparing(voice, config.steps) as begun:
        return reward.train(config, on_point=_points_to(voice, config.steps, begun), should_stop=should_stop)


def _points_to(voice: Voice, total: int, begun: Event) -> Callable[[MetricPoint], None]:
    """Return what hears of every step, and tells of as many as a chart can show."""
    every = max(1, total // POINTS)

    def on_point(point: MetricPoint) -> None:
        begun.set()
        if point.step % every == 0 or point.step == total or any(name.startswith("held_out_") for name in point.values):
            voice.say(Said(point=point))
        voice.step(point.step, total, f"step {point.step} of {total}")
        failpoint("trained_step", str(point.step))

    return on_point


def _grids_to(voice: Voice, storage: Storage) -> Callable[[int, Sequence[Image.Image]], None]:
    """Return what puts the samples of a checkpoint into storage, and tells of them."""

    def on_grid(step: int, images: Sequence[Image.Image]) -> None:
        files = []
        for place, image in enumerate(images):
            content = io.BytesIO()
            image.save(content, "PNG")
            key = storage.put(content.getvalue(), "png")
            files.append(StoredFile(name=f"sample-{place}.png", key=key, bytes=len(content.getvalue())))
        if files:
            voice.say(Said(grid=SampleGrid(step=step, images=tuple(files))))

    return on_grid


@contextmanager
def _preparing(voice: Voice, total: int) -> Iterator[Event]:
    """Give signs of life until the first step: encoding many images takes longer than a worker may be silent."""
    begun = Event()

    def beat() -> None:
        for _ in range(int(_LONGEST_PREPARATION / _PREPARING_SECONDS)):
            voice.step(0, total, "loading the model and encoding the images")
            if begun.wait(_PREPARING_SECONDS):
                return

    Thread(target=beat, name="preparing", daemon=True).start()
    try:
        yield begun
    finally:
        begun.set()


def _store(path: Path, storage: Storage) -> StoredFile:
    """Put weights into storage: the same weights under the same key, however often they are trained."""
    content = _with_sorted_header(path.read_bytes())
    return StoredFile(name=path.name, key=storage.put(content, "safetensors"), bytes=len(content))


def _with_sorted_header(content: bytes) -> bytes:
    """Return a safetensors file with its table of contents in order: the library writes notes in a random one."""
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # as the format wants it, so that what follows is aligned
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def _ending(error: Exception) -> Ended:
    """Say in one line why there is no result."""
    if isinstance(error, StorageError):
        cause = error.__cause__
        full = isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT}
        known: type[RenderError] = StorageFullError if full else StorageFailedError
        return Ended(code=known.code, reason=in_one_line(str(error)), retryable=known.retryable)
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        reason = f"the disk with the checkpoints is full ({error.filename or error}); make room, and the run goes on"
        return Ended(code=StorageFullError.code, reason=in_one_line(reason), retryable=True)
    if isinstance(error, FinetuneError | RenderError):
        return Ended(code=error.code, reason=in_one_line(str(error)), retryable=error.retryable)
    if isinstance(error, (RuntimeError, MemoryError)):  # torch's own are of these kinds
        from finetune import devices

        if (told := devices.full_memory(error)) is not None:
            return Ended(code=told.code, reason=in_one_line(str(told)), retryable=told.retryable)
    return Ended(code=UNEXPECTED, reason=in_one_line(f"{type(error).__name__}: {error}"), retryable=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process works on this run: one that lost its worker may be about to end."""
    folder.mkdir(parents=True, exist_ok=True)
    if not _is_first():
        yield  # the first of several processes holds the lock for all
        return
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however that ends (Linux)."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def _is_first() -> bool:
    """Whether this is the only process of the run, or the first of several."""
    return os.environ.get("RANK", "0") == "0"


def _take_gpus(method: Method, arguments: Sequence[str]) -> None:
    """Become `accelerate launch` of this very run, where this machine has several GPUs and nobody did so yet.

    A reward model is small and gets one: its trainer would take `batch` for that of each GPU, and learn another thing.
    """
    if method == "reward":
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        return
    if "LOCAL_RANK" in os.environ:
        return
    import torch

    if (count := torch.cuda.device_count()) > 1:
        launch = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(count))
        os.execv(sys.executable, [sys.executable, *launch, "-m", "finetune.run", *arguments])  # noqa: S606 -- no shell


def _commit() -> str:
    """Return the commit of this checkout, with `+` behind it where files are changed; empty where there is no git."""
    here = Path(__file__).parent
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return described.stdout.strip()[:64]


if __name__ == "__main__":
    sys.exit(main())
