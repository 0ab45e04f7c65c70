"""Annotators as threads over HTTP: each ranks item after item, tries again as the page does, and keeps a ledger."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from tests.faults.history import Entry, Outcome

FIRST_WAIT, LONGEST_WAIT = 1.0, 8.0  # seconds, as in static/easel/rank/outbox.js
TIMEOUT = 20.0  # seconds without an answer
HANGS_UP = 0.05  # of all submissions: sent, and the line cut before the answer
GIVES_UP = 0.3  # of all troubles: a laptop is closed, and nobody ever learns what came of the submission
LAST_PATIENCE = 60.0  # seconds to finish after the end is called


class Unheard(Exception):
    """No answer came."""

    def __init__(self, *, left: bool) -> None:
        super().__init__()
        self.left = left  # whether the request may have reached the server


@dataclass
class Annotator:
    """One person with one connection."""

    url: str
    project: str
    pk: str
    token: str
    think: float  # seconds between two items, in the middle
    ledger: dict[str, Entry] = field(default_factory=dict)
    acknowledged: list[float] = field(default_factory=list)  # moments, time.monotonic()
    troubles: list[tuple[float, str]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    _line: HTTPConnection | None = None
    _gone: list[str] = field(default_factory=list)

    def work(self, stop: Event) -> None:
        """Rank until the end is called."""
        while not stop.is_set():
            try:
                current = self._lease()
            except Unheard:
                self._note("no lease")
                time.sleep(0.5)
                continue
            if current is None:
                time.sleep(0.3)
            while current is not None and not stop.is_set():
                time.sleep(self.think * random.uniform(0.5, 1.5))
                current = self._submit(current, stop)

    def _lease(self) -> dict[str, Any] | None:
        status, content = self._call("POST", f"projects/{self.project}/assignments/", {"holding": self._gone[-10:]})
        if status >= 500:
            raise Unheard(left=True)
        return content if status == 201 else None

    def _submit(self, current: dict[str, Any], stop: Event) -> dict[str, Any] | None:
        """Send answers until something is known of them, or nobody wants to know; return what is next."""
        answers = self._answers(current)
        body = {"answers": answers, "active_ms": 900, "holding": self._gone[-10:]}
        path = f"assignments/{current['id']}/annotation/"
        may_be_there, failures, last = False, 0, 0.0
        if random.random() < HANGS_UP:
            may_be_there = self._hang_up("PUT", path, body)
        while True:
            try:
                status, content = self._call("PUT", path, body)
            except Unheard as silence:
                may_be_there = may_be_there or silence.left
                trouble = "no answer" if silence.left else "no connection"
            else:
                if status in {200, 201}:
                    self.acknowledged.append(time.monotonic())
                    self._enter(current, answers, Outcome.OK, content["annotation"]["id"])
                    return content["next"]  # type: ignore[no-any-return]
                if status < 500:
                    self._enter(current, answers, Outcome.FAILED)
                    self.refusals.append(f"{status} {content}")
                    return None
                may_be_there, trouble = True, f"status {status}"
            self._note(trouble)
            failures += 1
            last = last or time.monotonic()
            out_of_patience = stop.is_set() and time.monotonic() - last > LAST_PATIENCE
            if out_of_patience or (may_be_there and random.random() < GIVES_UP):
                self._enter(current, answers, Outcome.UNKNOWN if may_be_there else Outcome.FAILED)
                self._gone.append(current["id"])
                return None
            time.sleep(min(FIRST_WAIT * 2 ** (failures - 1), LONGEST_WAIT) * random.uniform(0.75, 1.25))

    def _answers(self, current: dict[str, Any]) -> dict[str, Any]:
        """The same whenever the same assignment is met again: a ranking, and words of its own."""
        chance = random.Random(current["id"])
        shown = sorted(one["id"] for one in current["item"]["candidates"])
        chance.shuffle(shown)
        return {"ranking": [[one] for one in shown], "rationale": f"lease {current['id']}"}

    def _enter(self, current: dict[str, Any], answers: dict[str, Any], outcome: Outcome, annotation: str = "") -> None:
        """Write a line; one who meets an assignment again that they gave up on writes it anew."""
        item = current["item"]["id"]
        self.ledger[current["id"]] = Entry(current["id"], item, self.pk, said(answers), outcome, annotation)

    def _note(self, trouble: str) -> None:
        self.troubles.append((time.monotonic(), trouble))

    def _call(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        sent = False
        try:
            line = self._connected()
            sent = True
            line.request(method, f"/api/v1/{path}", json.dumps(body), self._headers)
            answer = line.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content and answer.status < 500 else None
        except (OSError, HTTPException, ValueError):
            self._drop()
            raise Unheard(left=sent) from None

    def _hang_up(self, method: str, path: str, body: dict[str, Any]) -> bool:
        """Send a request and cut the line; tell whether it left."""
        try:
            self._connected().request(method, f"/api/v1/{path}", json.dumps(body), self._headers)
            return True
        except (OSError, HTTPException):
            return False
        finally:
            self._drop()

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.token}", "Content-Type": "application/json"}

    def _connected(self) -> HTTPConnection:
        if self._line is None:
            address = urlsplit(self.url)
            line = HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT)
            line.connect()
            self._line = line
        return self._line

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def said(answers: dict[str, Any]) -> str:
    """What of answers is compared between ledger and rows."""
    return json.dumps([answers["rationale"], answers["ranking"]])


class Crowd:
    """All annotators at work, each in a thread."""

    def __init__(self, annotators: list[Annotator]) -> None:
        self.annotators = annotators
        self._stop = Event()
        self._threads = [Thread(target=one.work, args=(self._stop,), daemon=True) for one in annotators]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(LAST_PATIENCE + TIMEOUT + 10)

    @property
    def is_whole(self) -> bool:
        """Whether nobody's thread died of an error of ours; before the end is called."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def ledger(self) -> list[Entry]:
        """Everybody's lines."""
        return [entry for one in self.annotators for entry in one.ledger.values()]

    def waits_since(self, moment: float) -> list[float]:
        """How many seconds after a moment each had the next acknowledgement, of those who had one."""
        firsts = ([at for at in list(one.acknowledged) if at > moment][:1] for one in self.annotators)
        return sorted(first[0] - moment for first in firsts if first)

    def troubles_between(self, start: float, end: float) -> list[str]:
        """What went wrong for anybody in a stretch of time."""
        return [what for one in self.annotators for at, what in list(one.troubles) if start <= at <= end]
