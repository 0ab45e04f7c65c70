"""What a worker does on a bell, with a platform that lives in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import uuid4

import pytest

from generation import drain
from generation.drain import Drain
from generation.engine import Engine
from generation.link import PlatformUnreachableError
from generation.pulse import Pulse
from generation.storage import Storage
from generation.types import Claim, Failure, Progress, ProgressReply, RenderedImages, RenderRequest
from tests.generation.conftest import Ask, reference

CLAIM = Claim(worker="render@here", lanes=("live", "batch"))


class Desk:
    """A platform: hands out what it is given, and keeps what it is told."""

    def __init__(self, *jobs: RenderRequest | dict[str, Any]) -> None:
        self.jobs = [job if isinstance(job, dict) else job.model_dump(mode="json") for job in jobs]
        self.recorded: list[RenderedImages] = []
        self.signs: list[Progress] = []
        self.failures: list[Failure] = []
        self.claims = 0
        self.reachable = True
        self.go_on: bool | None = True  # None: the answer gets lost

    def claim(self, claim: Claim) -> dict[str, Any] | None:
        self.claims += 1
        return self.jobs.pop(0) if self.jobs else None

    def record(self, images: RenderedImages) -> None:
        if not self.reachable:
            raise PlatformUnreachableError("the broker was away for 60 s")
        self.recorded.append(images)

    def progress(self, progress: Progress) -> ProgressReply | None:
        self.signs.append(progress)
        return None if self.go_on is None else ProgressReply(go_on=self.go_on)

    def fail(self, failure: Failure) -> None:
        self.failures.append(failure)


Work = Callable[..., int]


@pytest.fixture
def work(storage: Storage, shared_engine: Engine) -> Work:
    """Return a function that answers one bell for a desk, and returns the number of jobs."""

    def run(
        desk: Desk,
        *,
        stop: Event | None = None,
        open_storage: Callable[[RenderRequest], Storage] | None = None,
        heartbeat_seconds: float = 5.0,
    ) -> int:
        storage_of = open_storage or (lambda _: storage)
        return Drain(desk, shared_engine, storage_of, heartbeat_seconds, stop or Event()).run(CLAIM)

    return run


def test_a_bell_is_answered_until_there_is_nothing_left(ask: Ask, work: Work) -> None:
    desk = Desk(ask({"apple": [1, 2]}), ask({"bird": [3]}))
    assert work(desk) == 2
    assert desk.claims == 3
    assert [len(answer.images) for answer in desk.recorded] == [2, 1]
    assert desk.failures == []


def test_a_bell_without_work_costs_one_question(work: Work) -> None:
    desk = Desk()
    assert work(desk) == 0
    assert desk.claims == 1


def test_a_job_that_is_handed_out_twice_has_the_same_answer(ask: Ask, work: Work) -> None:
    request = ask({"apple": [1, 2], "bird": [3]})
    again = request.model_copy(update={"lease": request.lease.model_copy(update={"token": uuid4(), "attempt": 2})})
    desk = Desk(request, again)
    work(desk)
    first, second = desk.recorded
    assert first.images == second.images
    assert (first.lease, second.lease) == (request.lease, again.lease)


def test_a_refused_job_does_not_hold_up_the_next(ask: Ask, work: Work) -> None:
    desk = Desk(
        ask({"apple": [1]}, model=reference("absent")), ask({"a prompt that is too long": [1]}), ask({"bird": [1]})
    )
    assert work(desk) == 3
    assert [(failure.code, failure.retryable) for failure in desk.failures] == [
        ("model_not_found", True),
        ("prompt_too_long", False),
    ]
    assert len(desk.recorded) == 1


def test_a_bug_costs_one_job_and_leaves_a_traceback_in_the_log(
    ask: Ask, work: Work, storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(request: RenderRequest) -> Storage:
        if request.lane == "live":
            raise KeyError("what is this?\nand this?")
        return storage

    desk = Desk(ask({"apple": [1]}).model_copy(update={"lane": "live"}), ask({"bird": [1]}))
    with caplog.at_level(logging.ERROR):
        assert work(desk, open_storage=stumble) == 2
    (failure,) = desk.failures
    assert (failure.code, failure.retryable) == ("unexpected", True)
    assert failure.reason.startswith("KeyError: ")
    assert "\n" not in failure.reason
    assert "Traceback" in caplog.text
    assert len(desk.recorded) == 1


def test_a_request_of_another_version_is_given_back(ask: Ask, work: Work) -> None:
    newer = ask({"apple": [1]}).model_dump(mode="json") | {"upscale": 2}
    desk = Desk(newer, ask({"bird": [1]}))
    assert work(desk) == 2
    (failure,) = desk.failures
    assert failure.code == "unreadable_request"
    assert "upscale" in failure.reason
    assert len(desk.recorded) == 1


def test_a_full_disk_leaves_the_next_job_to_the_next_bell(ask: Ask, work: Work, storage: Storage) -> None:
    import errno

    from tests.generation.test_storage import FullStorage

    desk = Desk(ask({"apple": [1]}), ask({"bird": [1]}))
    assert work(desk, open_storage=lambda _: FullStorage(storage.url, 0, errno.ENOSPC)) == 1
    assert [(failure.code, failure.retryable) for failure in desk.failures] == [("storage_full", True)]
    assert work(desk) == 1  # there is room again
    assert len(desk.recorded) == 1


def test_a_worker_that_stops_gives_its_job_back_and_asks_for_no_other(ask: Ask, work: Work) -> None:
    stop = Event()
    desk = Desk(ask({"apple": [1]}), ask({"bird": [1]}))

    def order_to_stop(request: RenderRequest) -> Storage:
        stop.set()
        return Storage(request.storage_url)

    assert work(desk, stop=stop, open_storage=order_to_stop) == 1
    assert [failure.code for failure in desk.failures] == ["worker_stopping"]
    assert work(desk, stop=stop) == 0
    assert desk.claims == 1


@pytest.mark.parametrize(("go_on", "images"), [(True, 16), (None, 16), (False, 8)])
def test_a_job_that_is_not_wanted_any_more_ends_at_the_next_step_and_the_next_job_follows(
    ask: Ask, work: Work, go_on: bool | None, images: int
) -> None:
    class Fickle(Desk):
        """Answers for the first job otherwise, once its first batch is recorded; then lets time pass for a beat."""

        def record(self, answer: RenderedImages) -> None:
            super().record(answer)
            if len(self.recorded) == 1:
                self.go_on = go_on
                heard = len(self.signs) + 1
                _wait(lambda: len(self.signs) > heard or self.go_on is False)

        def claim(self, claim: Claim) -> dict[str, Any] | None:
            self.go_on = True
            return super().claim(claim)

    first, second = ask({"apple": range(16)}, steps=40), ask({"bird": [1]})
    second = second.model_copy(update={"lease": second.lease.model_copy(update={"token": uuid4()})})
    desk = Fickle(first, second)
    assert work(desk, heartbeat_seconds=0.01) == 2
    assert sum(len(answer.images) for answer in desk.recorded if answer.lease == first.lease) == images
    assert [len(answer.images) for answer in desk.recorded if answer.lease == second.lease] == [1]
    assert desk.failures == []  # nobody has failed: the platform knows


def test_somebody_who_waits_hears_of_steps_long_before_the_next_heartbeat(
    ask: Ask, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "LIVE_SECONDS", 0.01)
    desk = Desk(ask({"apple": [1]}, steps=100).model_copy(update={"lane": "live"}))
    work(desk, heartbeat_seconds=60.0)
    steps = [sign.step for sign in desk.signs if not sign.done]
    assert steps[0] == 0 and steps == sorted(steps) and len(set(steps)) > 2
    with Pulse(desk, ask({"apple": [1]}), seconds=0.01) as pulse:
        pulse.step(4, 9)
        _wait(lambda: (desk.signs[-1].step, desk.signs[-1].steps) == (4, 9))


def test_a_platform_that_cannot_be_reached_ends_the_round_quietly(
    ask: Ask, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(ask({"apple": [1]}), ask({"bird": [1]}))
    desk.reachable = False
    assert work(desk) == 1
    assert "its lease will run out" in caplog.text
    assert "Traceback" not in caplog.text
    assert desk.failures == []


def test_signs_of_life_come_with_every_batch_and_in_between(ask: Ask) -> None:
    desk = Desk()
    with Pulse(desk, ask({"apple": range(9)}), seconds=0.01) as pulse:
        pulse.note("loading the model")
        _wait(lambda: len(desk.signs) >= 3)
        pulse.add(4)
        _wait(lambda: desk.signs[-1].done == 4)
    assert desk.signs[0].total == 9
    assert "loading the model" in {sign.note for sign in desk.signs}

    slow = Desk()
    with Pulse(slow, ask({"apple": range(9)}), seconds=3_600) as pulse:
        pulse.add(4)
        _wait(lambda: slow.signs and slow.signs[-1].done == 4)  # does not wait for its hour


def test_work_that_does_not_move_loses_its_pulse(ask: Ask) -> None:
    desk = Desk()
    with Pulse(desk, ask({"apple": [1]}), seconds=0.01, stalled_seconds=0.1):
        time.sleep(0.3)
        given = len(desk.signs)
        time.sleep(0.1)
        assert len(desk.signs) == given > 0


def _wait(reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.005)
