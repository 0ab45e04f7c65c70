"""Seconds from a press of Generate to the first image, and to all, against a bare diffusers call of one image.

    python -m tests.benchmarks.live --json live.json

An Easel of the benchmark's own is started as `./run up` starts it: Postgres with fsync, Valkey, gunicorn, the
platform's worker, a renderer. A client does what the page does over HTTP: it posts the attempt, looks every 250 ms, and
fetches each image as soon as it hears of it. The clock runs from the press to the last byte of the first image, and of
all images with the assignment. The renderer is idle and has made images with the model before.

The floor is a bare call of the same pipeline for one image, with the same steps, in this process: tensors in memory, no
file, nobody told. Product and floor take turns, so that other load on the machine meets both.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from generation.env import quieten_libraries
from generation.types import ModelReference
from tests.benchmarks.annotator_loop import _machine

TEMPLATE = "rlhf-image-ranking-live"
LOOK = 0.25  # seconds, as platform/easel/static/easel/live/attempt.js
GOAL = 3.0  # seconds to the first image
PATIENCE = 120.0
THINGS = ("apple", "cat", "house", "car", "tree", "fish", "flower", "star")
COLOURS = ("red", "blue", "green", "yellow", "purple")


@dataclass(frozen=True)
class Lap:
    """One press of Generate; all in seconds since then."""

    asked: float
    """The server had taken the attempt."""
    told: float
    """A look said that the first image is there."""
    first: float
    """Its last byte had come."""
    all: float
    """All images and the assignment had come."""
    looks: int


class Client:
    """What a browser does, over a connection that is kept alive."""

    def __init__(self, url: str, token: str) -> None:
        address = urlsplit(url)
        self._connection = HTTPConnection(address.hostname or "", address.port, timeout=60)
        self._token = token

    def send(self, method: str, path: str, body: Any = None) -> bytes:
        """Send a request that must succeed; returns the body of the answer."""
        headers = {"Authorization": f"Token {self._token}", "Content-Type": "application/json"}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        content = response.read()
        assert response.status in {200, 201, 202}, (method, path, response.status, content[:500])
        return content

    def renew(self) -> None:
        """Take a new connection for what comes next: the server closes one that was still for 5 s."""
        self._connection.close()

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API."""
        return json.loads(self.send(method, f"/api/v1/{path}", body))


def main() -> int:
    """Measure, print, and return the exit status: 1 when the goal is missed and --check is given."""
    options = _read()
    with _easel() as (url, token):
        figures = measure(Client(url, token), options)
    _report(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if options.check and figures["first_image_s"] > GOAL else 0


def measure(client: Client, options: argparse.Namespace) -> dict[str, Any]:
    """Press Generate and call the bare pipeline in turn."""
    _make_idle(client)
    name = f"Benchmark {secrets.token_hex(4)}"
    project = client.api("POST", "projects/", {"name": name, "template": TEMPLATE})["id"]
    model = next(one for one in client.api("GET", "models/")["results"] if one["location"] == options.model)
    bare, steps = _bare(options.model)
    for number in range(2):
        press(client, project, model["id"], f"a warm {THINGS[number]}")
        bare("a warm thing", number)
    laps: list[Lap] = []
    floors: list[float] = []
    for number in range(options.rounds):
        prompt = f"a {COLOURS[number % len(COLOURS)]} {THINGS[number % len(THINGS)]}, number {number}"
        runs: list[Callable[[], None]] = [
            lambda prompt=prompt: laps.append(press(client, project, model["id"], prompt)),  # type: ignore[misc]
            lambda prompt=prompt, number=number: floors.append(bare(prompt, number)),  # type: ignore[misc]
        ]
        for run in runs if number % 2 else reversed(runs):
            run()
            time.sleep(options.rest)
    first, everything = [lap.first for lap in laps], [lap.all for lap in laps]
    return {
        "first_image_s": round(statistics.median(first), 3),
        "first_image_p95_s": _percentile(first, 95),
        "all_images_s": round(statistics.median(everything), 3),
        "all_images_p95_s": _percentile(everything, 95),
        "floor_first_image_s": round(statistics.median(floors), 3),
        "ratio_to_floor": round(
            statistics.median(lap.first / floor for lap, floor in zip(laps, floors, strict=True)), 2
        ),
        "taken_s": round(statistics.median(lap.asked for lap in laps), 3),
        "told_s": round(statistics.median(lap.told for lap in laps), 3),
        "looks": statistics.median(lap.looks for lap in laps),
        "goal_s": GOAL,
        "images": 4,
        "steps": steps,
        "rounds": options.rounds,
        "model": options.model,
        "machine": _machine(),
    }


def press(client: Client, project: str, model: str, prompt: str) -> Lap:
    """Press Generate and wait, as the page does, for everything."""
    client.renew()
    began = time.perf_counter()
    since: Callable[[], float] = lambda: time.perf_counter() - began  # noqa: E731
    body = {"values": {"prompt": prompt, "model": model}}
    told = client.api("POST", f"projects/{project}/attempts/", body)
    asked = since()
    first_told = first = 0.0
    fetched: set[str] = set()
    looks = 0
    while not told["assignment"]:
        assert told["state"] in {"queued", "running", "done"}, told
        assert since() < PATIENCE, told
        time.sleep(LOOK)
        told = client.api("GET", f"attempts/{told['id']}/")
        looks += 1
        for one in told["candidates"]:
            if one["id"] not in fetched:
                first_told = first_told or since()
                client.send("GET", one["url"])
                fetched.add(one["id"])
                first = first or since()
    done = since()
    assert len(fetched) == told["progress"]["total"] == 4
    ranking = [[one["id"]] for one in told["assignment"]["item"]["candidates"]]
    client.api(
        "PUT",
        f"assignments/{told['assignment']['id']}/annotation/",
        {"answers": {"ranking": ranking}, "active_ms": int(1_000 * done)},
    )
    return Lap(asked, first_told, first, done, looks)


def _bare(location: str) -> tuple[Callable[[str, int], float], int]:
    """Return a bare call of the pipeline for one image, which answers with its seconds, and how many steps it makes."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as `./run up` has it for its renderer
    quieten_libraries(hub_download=False)
    import torch

    from generation.engine import Engine

    loaded = Engine().load(ModelReference(id=UUID(int=0), name=location, location=location))
    call: dict[str, Any] = {"num_inference_steps": loaded.defaults.steps}
    if loaded.defaults.guidance_scale is not None:
        call["guidance_scale"] = loaded.defaults.guidance_scale

    def bare(text: str, seed: int) -> float:
        before = time.perf_counter()
        with torch.inference_mode():
            loaded.pipe([text], generator=torch.Generator("cpu").manual_seed(seed), output_type="pt", **call)
        return time.perf_counter() - before

    return bare, loaded.defaults.steps


@contextmanager
def _easel() -> Iterator[tuple[str, str]]:
    """Start an Easel of the benchmark's own; yield its address and its admin's token."""
    home = Path(tempfile.mkdtemp(prefix="easel-benchmark-"))
    home.chmod(0o755)  # as root, Postgres runs as another user, and keeps its data where it can enter
    others = ("DATABASE_URL", "BROKER_URL", "STORAGE_URL", "EASEL_SECRET_KEY", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if name not in others} | {"EASEL_HOME": str(home)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "easel.embedded.up", "--detach", "--port", port]
    try:
        subprocess.run(command, env=environment, check=True, stdout=sys.stderr)
        ready = json.loads((home / "ready.json").read_text())
        yield ready["url"], ready["admin"]["token"]
    finally:
        subprocess.run([sys.executable, "-m", "easel.embedded.down"], env=environment, check=False)
        outside = home / "postgres"
        if outside.is_symlink():
            shutil.rmtree(outside.resolve(), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def _make_idle(client: Client) -> None:
    """End what a fresh installation renders for its first project."""
    for project in client.api("GET", "projects/")["results"]:
        for request in client.api("GET", f"projects/{project['id']}/generations/")["results"]:
            if request["state"] in {"queued", "running"}:
                client.api("POST", f"generations/{request['id']}/cancel/")


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 3)


def _report(figures: dict[str, Any]) -> None:
    sys.stdout.write(f"{figures['machine']}\n")
    for name, value in figures.items():
        if name != "machine":
            sys.stdout.write(f"{name:22} {value}\n")


def _read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="folder:easel-icons", help="a model that a fresh installation has")
    parser.add_argument("--rounds", type=int, default=20, help="presses of Generate")
    parser.add_argument("--rest", type=float, default=0.5, help="seconds between two runs: the renderer is idle")
    parser.add_argument("--check", action="store_true", help=f"fail where the first image takes more than {GOAL:g} s")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
