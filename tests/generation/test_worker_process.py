"""The real worker, started as the operator starts it, against a real Valkey."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from easel.embedded.valkey import Valkey

from generation.engine import Engine
from generation.storage import Storage
from generation.types import RenderedImage, RenderRequest
from tests.generation.conftest import Ask, id_of, reference
from tests.generation.platform_side import PlatformSide, wait_for

pytestmark = pytest.mark.processes

REPOSITORY = Path(__file__).parents[2]
BATCH = 2
COMMAND = "-A generation.worker worker -Q live,batch -P solo -n render@%h --without-gossip --without-mingle -l INFO"


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """A Valkey of this module's own: other tests' bells are not heard, and it may be stopped."""
    with tempfile.TemporaryDirectory(prefix="easel-") as short:  # a socket's path has room for about 100 letters
        server = Valkey(Path(short), Path(short) / "s")
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="module")
def platform(valkey: Valkey) -> Iterator[PlatformSide]:
    """The platform that the worker works for."""
    side = PlatformSide(f"redis+socket://{valkey.socket}")
    with side.at_work():
        yield side


class Employer:
    """Keeps one worker at work: tests may kill it."""

    def __init__(self, platform: PlatformSide, models: Path, storage: Path) -> None:
        self.storage = Storage(storage.as_uri())
        self.process: subprocess.Popen[bytes] | None = None
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if name in {"PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH"} or name.startswith("COVERAGE")
        } | {
            "BROKER_URL": platform.broker_url,
            "STORAGE_URL": self.storage.url,
            "EASEL_MODEL_PATH": str(models),
            "EASEL_RENDER_BATCH": str(BATCH),
            "EASEL_HEARTBEAT_SECONDS": "0.2",
            "OMP_NUM_THREADS": "1",
        }

    def worker(self) -> subprocess.Popen[bytes]:
        """Return the living worker; start one if there is none."""
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, "-m", "celery", *COMMAND.split()]
            self.process = subprocess.Popen(command, cwd=REPOSITORY, env=self._environment, stdout=sys.stderr)
        return self.process


@pytest.fixture(scope="module")
def employer(platform: PlatformSide, tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Employer]:
    """Starts workers, and kills the last one."""
    made = Employer(platform, tiny_models, tmp_path_factory.mktemp("storage"))
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()


@pytest.fixture
def worker(employer: Employer) -> subprocess.Popen[bytes]:
    """The worker. It may be starting still, so the first bell is to be rung until it is heard."""
    return employer.worker()


@pytest.fixture
def job(ask: Ask, request: pytest.FixtureRequest) -> Callable[..., RenderRequest]:
    """Return a maker of requests under a job id of their own."""

    def make(name: str, *arguments: object, **options: object) -> RenderRequest:
        made = ask(*arguments, **options)
        return made.model_copy(update={"lease": made.lease.model_copy(update={"job": id_of(f"{request.node} {name}")})})

    return make


Job = Callable[..., RenderRequest]


def _rendered_here(request: RenderRequest, storage: Storage) -> dict[tuple[UUID, int], str]:
    """Return the keys of a request's images as this process renders them."""
    images: list[RenderedImage] = []
    Engine(batch=BATCH).render(request, storage, on_images=images.extend)
    return {(image.prompt, image.position): image.key for image in images}


def test_a_bell_leads_to_recorded_images(
    worker: subprocess.Popen[bytes], platform: PlatformSide, job: Job, storage: Storage
) -> None:
    first, second = job("first", {"apple": range(3), "bird": [7]}), job("second", {"blue": [1]})
    platform.offer(first)
    platform.offer(second)
    platform.ring("live")
    platform.ring_until(lambda: platform.keys_of(second), "the second job")  # bells while it works do no harm

    assert platform.keys_of(first) == _rendered_here(first, storage)
    assert platform.keys_of(second) == _rendered_here(second, storage)
    sent = [len(message.images) for message in platform.messages if message.lease.job == first.lease.job]
    assert sent == [2, 2]  # as soon as a batch is there, each image once
    signs = [progress for progress in platform.progress if progress.lease.job == first.lease.job]
    assert signs
    assert {progress.total for progress in signs} == {4}
    assert platform.claims[0].lanes == ("live", "batch")
    assert platform.claims[0].worker.startswith("render@")
    wait_for(lambda: platform.claims[-1].worker == platform.holders[second.lease.job], "the question for more")


def test_a_worker_has_no_database_password_and_no_django(worker: subprocess.Popen[bytes]) -> None:
    environment = Path(f"/proc/{worker.pid}/environ").read_text().split("\0")
    assert "BROKER_URL" in {entry.partition("=")[0] for entry in environment}
    assert not [entry for entry in environment if "DATABASE" in entry or "PASSWORD" in entry or "SECRET" in entry]


def test_a_bad_job_is_given_back_and_the_next_one_is_rendered(
    worker: subprocess.Popen[bytes], platform: PlatformSide, job: Job
) -> None:
    missing, good = job("missing", {"apple": [1]}, model=reference("nowhere")), job("good", {"apple": [1]})
    platform.offer(missing)
    platform.offer(good)
    platform.ring_until(lambda: platform.keys_of(good), "the good job")
    failure = next(failure for failure in platform.failures if failure.lease.job == missing.lease.job)
    assert (failure.code, failure.retryable) == ("model_not_found", True)
    assert "'nowhere'" in failure.reason


def test_a_worker_outlives_its_broker_and_delivers_what_it_had_finished(
    worker: subprocess.Popen[bytes], valkey: Valkey, platform: PlatformSide, job: Job, storage: Storage
) -> None:
    request = job("interrupted", {"apple": range(8)}, steps=40)
    platform.offer(request)
    platform.ring_until(lambda: platform.keys_of(request), "the first batch")
    valkey.stop()
    valkey.start()
    wait_for(lambda: len(platform.keys_of(request)) == 8, "the rest, after the broker came back")
    assert platform.keys_of(request) == _rendered_here(request, storage)

    after = job("after", {"apple": [1]})
    platform.offer(after)
    platform.ring_until(lambda: platform.keys_of(after), "a job that was asked for afterwards")


def test_a_job_whose_worker_is_killed_is_finished_by_the_next_with_the_same_files(
    worker: subprocess.Popen[bytes], employer: Employer, platform: PlatformSide, job: Job, storage: Storage
) -> None:
    request = job("killed", {"a tree": range(5), "a house": range(4)}, steps=40)
    before = set(employer.storage.keys())
    platform.offer(request)
    platform.ring_until(lambda: platform.keys_of(request), "the first batch")
    worker.kill()
    worker.wait()
    done = dict(platform.keys_of(request))
    assert 0 < len(done) < 9

    platform.offer(request)  # its lease ran out
    employer.worker()
    platform.ring_until(lambda: len(platform.keys_of(request)) == 9, "all images")
    assert platform.keys_of(request) == _rendered_here(request, storage)
    assert done.items() <= platform.keys_of(request).items()
    assert set(employer.storage.keys()) - before == set(storage.keys())  # whole files, and none that nobody asked for


def test_a_worker_that_is_told_to_stop_gives_its_job_back(
    worker: subprocess.Popen[bytes], platform: PlatformSide, job: Job
) -> None:
    request = job("stopped", {"a tree": range(6)}, steps=100)
    platform.offer(request)
    platform.ring_until(lambda: platform.keys_of(request), "the first batch")
    worker.terminate()
    assert worker.wait(timeout=20) == 0
    wait_for(lambda: request.lease.job in {failure.lease.job for failure in platform.failures}, "the job")
    assert (platform.failures[-1].code, platform.failures[-1].retryable) == ("worker_stopping", True)
    assert len(platform.keys_of(request)) < 6
