"""What a worker of any kind does when the bell rings: claim until there is nothing left, and read what it was given."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event
from typing import Any, TypeVar

from pydantic import ValidationError

from generation.link import PlatformUnreachableError
from generation.types import Contract, Failure, Lease

log = logging.getLogger(__name__)

UNREADABLE = "unreadable_request"
UNEXPECTED = "unexpected"

C = TypeVar("C", bound=Contract)


def work_off(claim: Callable[[], dict[str, Any] | None], work: Callable[[dict[str, Any]], bool], stop: Event) -> int:
    """Claim and work until there is nothing more, `stop` is set, or `work` says no. Return how many jobs it was."""
    jobs = 0
    while not stop.is_set():
        answer = claim()
        if answer is None:
            break
        jobs += 1
        try:
            if not work(answer):
                break
        except PlatformUnreachableError as error:
            log.warning("giving up on a job, its lease will run out: %s", error)
            break
    return jobs


def read(kind: type[C], answer: dict[str, Any], lease: Any, give_back: Callable[[Failure], None]) -> C | None:
    """Return what a claim was answered with, or None where this version cannot read it: that is given back.

    lease: what the answer has as its lease. Raises what `give_back` raises.
    """
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the whole"
    reason = (
        f"this worker cannot read the request ({where}: {problem['msg']}). "
        "Run the same version of Easel on the platform and on its workers."
    )
    log.warning("%s", reason)
    give_back(Failure(lease=Lease.model_validate(lease), code=UNREADABLE, reason=reason, retryable=True))
    return None


def in_one_line(reason: str) -> str:
    """Return the first line of a reason, as a failure tells it."""
    lines = reason.strip().splitlines() or ["no reason was given"]
    return lines[0][:2_000]
