"""The real worker, started as the operator starts it, with a real broker and a service on real HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from easel.embedded.valkey import Valkey

from generation.storage import Storage
from tests.generation import paint_service as service
from tests.generation.paint_service import KEY
from tests.generation.platform_side import PlatformSide, wait_for
from tests.generation.test_http_images import request_for
from tests.generation.test_worker_process import COMMAND

pytestmark = pytest.mark.processes
REPOSITORY = Path(__file__).parents[2]


def test_a_worker_asks_the_service_of_its_environment_and_keeps_the_key(tmp_path: Path) -> None:
    storage = Storage((tmp_path / "storage").as_uri())
    log = tmp_path / "worker.log"
    with tempfile.TemporaryDirectory(prefix="easel-") as short, service.painter() as painter:
        painter.will(service.error(400, "Against our rules."), to="a rude fox")
        painter.will(service.error(429, "Busy", Retry_After="1"), service.paint, to="a hen")
        valkey = Valkey(Path(short), Path(short) / "s")
        valkey.start()
        platform = PlatformSide(f"redis+socket://{valkey.socket}")
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | {
            "BROKER_URL": platform.broker_url,
            "STORAGE_URL": storage.url,
            "EASEL_API_PAINTER_URL": painter.url,
            "EASEL_API_PAINTER_KEY": KEY,
            "EASEL_API_PAINTER_MODEL": "painter-1",
            "EASEL_API_PAINTER_COST_PER_IMAGE": "0.02",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "celery", *COMMAND.split()]
        with platform.at_work(), log.open("wb") as output:
            worker = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
            try:
                platform.offer(request_for(("a fox", "a rude fox", "a hen"), storage, each=2))
                platform.ring()
                wait_for(lambda: bool(platform.failures), "the end of the job")
            finally:
                worker.kill()
                worker.wait()
        valkey.stop()
    (failure,) = platform.failures
    assert (failure.code, failure.retryable) == ("service_refused", False)
    assert failure.reason.endswith("“a rude fox”: api:painter refused (400): Against our rules")
    images = list(platform.images.values())
    assert len(images) == 4
    assert {image.manifest.cost for image in images} == {0.02}
    assert {storage.read(image.key)[:4] for image in images} == {b"\x89PNG"}
    told = log.read_text() + "".join(one.model_dump_json() for one in [*platform.progress, *platform.messages, failure])
    assert KEY not in told
