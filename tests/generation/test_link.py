"""The worker's line to the platform while nobody is at the other end."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from celery import Celery
from easel.embedded.valkey import Valkey

from generation.link import CeleryLink, PlatformUnreachableError
from generation.types import Claim, Failure, Lease, Progress, ProgressReply, RenderRequest
from tests.generation.conftest import Ask
from tests.generation.platform_side import PlatformSide, wait_for

CLAIM = Claim(worker="render@here", lanes=("live", "batch"))
LEASE = Lease(job=UUID(int=1), token=UUID(int=2), attempt=1)


def _link(url: str) -> CeleryLink:
    app = Celery("worker", broker=url, backend=url, set_as_current=False)
    app.conf.result_backend_transport_options = {"retry_policy": {"max_retries": 1, "interval_start": 0}}
    return CeleryLink(app, claim_seconds=0.5, send_seconds=1.0, reply_seconds=0.5)


@pytest.fixture
def nobody(tmp_path: Path) -> CeleryLink:
    """A line to a broker that does not run."""
    return _link(f"redis+socket://{tmp_path}/none.sock")


def test_a_claim_without_a_broker_is_a_claim_without_work(nobody: CeleryLink) -> None:
    assert nobody.claim(CLAIM) is None


def test_a_sign_of_life_without_a_broker_is_lost_quietly(nobody: CeleryLink) -> None:
    assert nobody.progress(Progress(lease=LEASE, done=0, total=1)) is None


def test_an_answer_without_a_broker_is_tried_for_a_while_and_then_given_up(nobody: CeleryLink) -> None:
    start = time.monotonic()
    with pytest.raises(PlatformUnreachableError, match=r"easel\.jobs.fail could not be sent for 1 s"):
        nobody.fail(Failure(lease=LEASE, code="unexpected", reason="a bug"))
    assert 0.3 < time.monotonic() - start < 10


@pytest.fixture
def empty_broker() -> Iterator[Valkey]:
    """A broker to which no platform listens."""
    with tempfile.TemporaryDirectory(prefix="easel-") as short:
        server = Valkey(Path(short), Path(short) / "s")
        server.start()
        yield server
        server.stop()


@pytest.mark.processes
def test_a_line_that_was_cut_carries_again_once_the_broker_is_back(empty_broker: Valkey, ask: Ask) -> None:
    url = f"redis+socket://{empty_broker.socket}"
    platform, link = PlatformSide(url), _link(url)
    request = ask({"apple": [1]})
    answers: list[dict[str, Any]] = []

    def claimed() -> bool:
        answer = link.claim(CLAIM)
        answers.extend([answer] if answer else [])
        return answer is not None

    with platform.at_work():
        assert link.claim(CLAIM) is None
        for _ in range(2):
            empty_broker.stop()
            assert link.claim(CLAIM) is None
            assert link.claim(CLAIM) is None
            empty_broker.start()
            platform.offer(request)
            wait_for(claimed, "a job")
            assert RenderRequest.model_validate(answers.pop()).prompts == request.prompts


@pytest.mark.processes
def test_a_sign_of_life_is_answered_with_whether_to_go_on(empty_broker: Valkey, ask: Ask) -> None:
    url = f"redis+socket://{empty_broker.socket}"
    platform, link = PlatformSide(url), _link(url)
    assert link.progress(Progress(lease=LEASE, done=0, total=1)) is None  # nobody answers: go on
    with platform.at_work():
        platform.offer(ask({"apple": [1]}))
        request = RenderRequest.model_validate(link.claim(CLAIM))
        sign = Progress(lease=request.lease, done=0, total=1)
        assert link.progress(sign) == ProgressReply(go_on=True)
        platform.cancel(request)
        assert link.progress(sign) == ProgressReply(go_on=False)


@pytest.mark.processes
def test_a_claim_that_nobody_answers_ends_and_expires(empty_broker: Valkey) -> None:
    url = f"redis+socket://{empty_broker.socket}"
    start = time.monotonic()
    assert _link(url).claim(CLAIM) is None
    assert 0.4 < time.monotonic() - start < 10

    with Celery(broker=url, set_as_current=False).connection_for_read() as connection:
        message = connection.SimpleQueue("web").get(timeout=5)
    expires = message.headers["expires"]
    assert expires is not None  # a platform that comes back drops it: nobody waits for the lease any more
    assert message.headers["task"] == "easel.images.claim"
