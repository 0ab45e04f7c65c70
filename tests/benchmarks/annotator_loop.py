"""Loops per second of annotators who rank as fast as they can, against the same SQL statements sent by bare psycopg.

    python -m tests.benchmarks.annotator_loop --json loop.json

A loop is one `PUT /assignments/{id}/annotation/`, which stores a ranking and answers with the next item. Each annotator
is a thread with a connection of its own that is kept alive. The floor replays the very statements of one such request
(read off the product, transactions and commits included) with the same number of connections. Both run in turn on one
database, the order changing from round to round; the median of the rounds counts.

Latencies are taken in another run, as people cause them: 16 annotators who think for a second between two items. With
--stock 1000000 they are taken twice: with as many items as --base says, and again when the same tables were filled up.

Overlap until a lead, gold and repeats are switched on, as people use them; --plain switches them off. The annotators
agree on the best and the worst image, which is what gold asks, and quarrel about the others.

The server is one of the benchmark's own (embedded Postgres with fsync, gunicorn as `./run up` starts it). With
--running it is the one that `./run up` has started here; a project is made for the benchmark and removed again.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil

if TYPE_CHECKING:
    from tests.benchmarks.annotator_floor import Recording

REPOSITORY = Path(__file__).resolve().parents[2]
GOALS = {
    "ratio_to_floor": (0.20, ">="),
    "app_cpu_ms_per_loop": (4.0, "<="),
    "sql_per_loop": (12, "<="),
    "sql_per_loop_mean": (12, "<="),
    "p95_ms": (50.0, "<="),
    "p95_growth": (1.5, "<="),
}
GOLD = 120
PEOPLE = 16  # of the run that latencies are taken in, with THINK seconds between two items
THINK = 1.0


@dataclass
class Annotator:
    """One person with a browser: an account's token and what is on the screen."""

    user: Any
    token: str
    current: dict[str, Any] = field(default_factory=dict)


@dataclass
class Lap:
    """What one run measured."""

    loops: int
    seconds: float
    latencies: list[float]

    @property
    def per_second(self) -> float:
        """Loops per second."""
        return self.loops / self.seconds


def main() -> int:
    """Measure, print, and return the exit status: 1 when a goal is missed and --check is given."""
    options = _read()
    with ExitStack() as stack:
        url = stack.enter_context(_running_server() if options.running else _own_server())
        figures = measure(url, options)
    _report(figures)
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    missed = [name for name, (goal, way) in GOALS.items() if not _holds(figures.get(name), goal, way)]
    return 1 if missed and options.check else 0


def measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run the rounds against the server at `url`, whose database Django is set up for."""
    from tests.benchmarks.annotator_floor import record

    people = options.annotators
    with _stage(options) as (project, everybody):
        recording = record(project, everybody[0], everybody[-1])
        apps, floors, cpu = [], [], 0.0
        workers = _server_processes(url)
        _product(url, project, everybody[:people], options.warm_up, 0)
        for number in range(options.repeats):
            runs: list[Callable[[], None]] = [
                lambda: floors.append(_floor(recording, everybody[:people], options.items)),
                lambda: apps.append(_product(url, project, everybody[:people], options.items, 0)),
            ]
            for run in runs if number % 2 else reversed(runs):
                before = _cpu_seconds(workers)
                run()
                cpu += (_cpu_seconds(workers) - before) if run is runs[1] else 0.0
        before = _cpu_seconds(workers)
        thoughtful = _product(url, project, everybody[:PEOPLE], int(PEOPLE * options.think_seconds / THINK), THINK)
        relaxed_cpu = _cpu_seconds(workers) - before
        grown = _grown(url, project, everybody, options) if options.stock > options.base else None
        duplicates = _duplicates(project, options)
    at_full_speed = sorted(latency for lap in apps for latency in lap.latencies)
    relaxed = sorted(thoughtful.latencies)
    loops = sum(lap.loops for lap in apps)
    return {
        "loops_per_s": round(statistics.median(lap.per_second for lap in apps), 1),
        "floor_loops_per_s": round(statistics.median(lap.per_second for lap in floors), 1),
        "ratio_to_floor": round(
            statistics.median(app.per_second / floor.per_second for app, floor in zip(apps, floors, strict=True)), 3
        ),
        "sql_per_loop": len(recording.steps),
        "sql_per_loop_mean": round(statistics.mean(recording.statements), 2),
        "sql_per_loop_most": max(recording.statements),
        "app_cpu_ms_per_loop": round(1_000 * cpu / loops, 2) if workers else None,
        "relaxed_app_cpu_ms_per_loop": round(1_000 * relaxed_cpu / thoughtful.loops, 2) if workers else None,
        "p50_ms": _percentile(relaxed, 50),
        "p95_ms": _percentile(relaxed, 95),
        "p99_ms": _percentile(relaxed, 99),
        "items": options.base,
        **(_growth(grown, relaxed, options) if grown else {}),
        "full_speed_p50_ms": _percentile(at_full_speed, 50),
        "full_speed_p95_ms": _percentile(at_full_speed, 95),
        "full_speed_p99_ms": _percentile(at_full_speed, 99),
        "duplicates": duplicates,
        "loops": loops,
        "annotators": people,
        "repeats": options.repeats,
        "machine": _machine(),
    }


def _grown(url: str, project: Any, everybody: list[Annotator], options: argparse.Namespace) -> Lap:
    """Fill the tables up, and take the latencies again."""
    _stock_up(project, everybody, options.stock - options.base, options)
    _product(url, project, everybody[:PEOPLE], PEOPLE, THINK)  # every annotator's first request after it
    return _product(url, project, everybody[:PEOPLE], int(PEOPLE * options.think_seconds / THINK), THINK)


def _growth(grown: Lap, before: list[float], options: argparse.Namespace) -> dict[str, Any]:
    after = sorted(grown.latencies)
    return {
        "items_grown": options.stock,
        "p50_ms_grown": _percentile(after, 50),
        "p95_ms_grown": _percentile(after, 95),
        "p99_ms_grown": _percentile(after, 99),
        "p95_growth": round(_percentile(after, 95) / _percentile(before, 95), 2),
    }


@contextmanager
def _stage(options: argparse.Namespace) -> Iterator[tuple[Any, list[Annotator]]]:
    """Make a project with enough items and people for all rounds; remove it at the end."""
    from django.test import override_settings
    from django.utils import timezone
    from easel.accounts.models import User
    from easel.accounts.services import create_token, create_user
    from easel.forms.models import Template
    from easel.forms.services import load_gallery
    from easel.projects.services import create_project
    from easel.registry.services import register_folder

    from tests import cast as stage

    people = max(options.annotators, PEOPLE) + 1  # and one who votes before others do
    word = secrets.token_hex(4)
    with tempfile.TemporaryDirectory(prefix="easel-benchmark-") as folder:
        os.environ["EASEL_MODEL_PATH"] = folder
        stage.make_model_folder(Path(folder) / f"benchmark-{word}")
        load_gallery(timezone.now())
        owner = create_user(f"benchmark-{word}", None)
        version = Template.objects.get(key=stage.TEMPLATE).latest()
        project = create_project(f"Benchmark {word}", version, owner, timezone.now())
        model = register_folder(f"Benchmark {word}", f"benchmark-{word}", "", timezone.now())
    made = [stage.make_user(f"benchmark-{word}-{number}", project) for number in range(people)]
    everybody = [Annotator(user, create_token(user, "benchmark")[1]) for user in made]
    cast = stage.Cast(owner, owner, owner, owner, owner, project, project, model)
    try:
        with override_settings(CHUNK_IMAGES=1_000):
            stage.make_items(cast, 200)
        if not options.plain:
            _measure_people(project, owner)
        _stock_up(project, everybody, options.base - 200, options)
        yield project, everybody
    finally:
        if options.running:  # else the whole database is thrown away
            _remove(project, model)
            User.objects.filter(username__startswith=f"benchmark-{word}").delete()


def _measure_people(project: Any, owner: Any) -> None:
    """Switch on what a project of many people has: overlap until a lead, gold, and repeats."""
    from django.utils import timezone
    from easel.annotation.gold.making import make
    from easel.annotation.models import Item
    from easel.projects.models import Project

    Project.objects.filter(pk=project.pk).update(overlap=2, overlap_lead=2, overlap_cap=5)
    project.refresh_from_db()
    for item in list(Item.objects.filter(project=project).order_by("-id")[:GOLD]):
        first, *_, last = sorted(str(pk) for pk in item.candidates.values_list("pk", flat=True))
        make(item, {"pairs": [[first, last]], "all_bad": None}, owner, timezone.now())


def _stock_up(project: Any, everybody: list[Annotator], count: int, options: argparse.Namespace) -> None:
    """Add items, of which a fifth were ranked by others, and let Postgres know how large the tables have become."""
    from easel.annotation.models import Annotation

    from tests import cast as stage
    from tests.stock import analyze, fill, unchecked

    elders = [stage.make_user(f"{everybody[0].user.username}-elder-{count}-{n}", project) for n in range(2)]
    if not Annotation.objects.filter(project=project).exists():
        stage.annotate(project, elders[0], rationale="crisp")
    began = time.perf_counter()
    with nullcontext() if options.running else unchecked():
        fill(project, count, done=0.2, by=elders, each=2)
    analyze()
    print(f"{count:,} items more, in {time.perf_counter() - began:.0f} s", flush=True)


def _remove(project: Any, model: Any) -> None:
    from easel.annotation.models import Annotation, Assignment
    from easel.common.models import Job

    Annotation.objects.filter(project=project).delete()
    Assignment.objects.filter(item__project=project).delete()
    Job.objects.filter(chunk__request__project=project).delete()
    project.delete()
    model.delete()


def _product(url: str, project: Any, annotators: list[Annotator], loops: int, think: float) -> Lap:
    """Have all annotators rank until so many rankings are stored."""

    def rank(annotator: Annotator, count: int, start: Barrier) -> list[float]:
        address = urlsplit(url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=60)
        headers = {"Authorization": f"Token {annotator.token}", "Content-Type": "application/json"}

        def call(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
            connection.request(method, f"/api/v1/{path}", json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
            assert response.status == 201, (response.status, content[:500])
            found: dict[str, Any] = json.loads(content)
            return found

        current = call("POST", f"projects/{project.pk}/assignments/", {})
        latencies = []
        start.wait()
        for _ in range(count):
            time.sleep(think * (0.5 + secrets.randbelow(1_000) / 1_000))
            first, *middle, last = sorted(one["id"] for one in current["item"]["candidates"])
            if secrets.randbelow(4) == 0:
                middle.reverse()
            ranking = [[one] for one in (first, *middle, last)]
            body = {"answers": {"ranking": ranking, "rationale": "crisp"}, "active_ms": 900}
            before = time.perf_counter()
            answer = call("PUT", f"assignments/{current['id']}/annotation/", body)
            latencies.append(1_000 * (time.perf_counter() - before))
            current = answer["next"]
            assert current is not None, answer
        connection.close()
        return latencies

    return _lap(rank, annotators, loops)


def _floor(recording: Recording, annotators: list[Annotator], loops: int) -> Lap:
    """Send the statements of the same loops with bare psycopg."""
    return _lap(recording.replay, annotators, loops)


def _lap(run: Callable[[Annotator, int, Barrier], list[float]], annotators: list[Annotator], loops: int) -> Lap:
    start = Barrier(len(annotators) + 1)
    each = max(1, loops // len(annotators))
    with ThreadPoolExecutor(len(annotators)) as pool:
        waiting = [pool.submit(run, annotator, each, start) for annotator in annotators]
        start.wait()
        began = time.perf_counter()
        latencies = [latency for future in waiting for latency in future.result()]
    return Lap(each * len(annotators), time.perf_counter() - began, latencies)


def _duplicates(project: Any, options: argparse.Namespace) -> int:
    """Count annotations beyond what an item may have, and second ones of the same annotator."""
    from django.db.models import Count
    from easel.annotation.models import Annotation

    counted = Annotation.objects.filter(project=project, purpose="rank", assignment__state="submitted")
    too_many = counted.values("item").annotate(n=Count("*")).filter(n__gt=1 if options.plain else project.overlap_cap)
    twice = (
        Annotation.objects.filter(project=project).values("item", "annotator").annotate(n=Count("*")).filter(n__gt=1)
    )
    return too_many.count() + twice.count()


@contextmanager
def _own_server() -> Iterator[str]:
    """Start Postgres with fsync and the web server in a folder of their own."""
    from easel.embedded import commands
    from easel.embedded.postgres import Postgres

    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="easel-benchmark-")))
        home.chmod(0o755)  # as root, Postgres runs as another user, and keeps its data where it can enter
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            bind = f"127.0.0.1:{probe.getsockname()[1]}"
        os.environ |= {"EASEL_HOME": str(home), "PYTHONPATH": f"{REPOSITORY / 'platform'}{os.pathsep}{REPOSITORY}"}
        for name in ("DATABASE_URL", "BROKER_URL", "STORAGE_URL"):
            os.environ.pop(name, None)
        from easel.env import environment

        postgres = Postgres(home, environment.sockets, environment.embedded_secrets["database_password"])
        postgres.start()
        stack.callback(postgres.stop)
        _set_up()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        log = stack.enter_context((home / "web.log").open("wb"))
        server = subprocess.Popen(
            [Path(sys.executable).parent / commands.web(bind)[0], *commands.web(bind)[1:], "--log-level=warning"],
            cwd=REPOSITORY,
            stdout=log,
            stderr=log,
        )
        stack.callback(server.wait)
        stack.callback(server.terminate)
        _wait_until_ready(bind)
        yield f"http://{bind}"


@contextmanager
def _running_server() -> Iterator[str]:
    """Use the server that `./run up` has started here."""
    home = Path(os.environ.get("EASEL_HOME", REPOSITORY / ".easel"))
    if not (home / "ready.json").exists():
        raise SystemExit(f"{home}/ready.json is not there. Start Easel with ./run up, or leave --running out.")
    _set_up()
    yield json.loads((home / "ready.json").read_text())["url"]


def _set_up() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "easel.settings"
    import django

    django.setup()
    logging.getLogger("easel.common.broker").setLevel(logging.ERROR)  # no broker is up here, and no bell need be heard


def _wait_until_ready(bind: str) -> None:
    for _ in range(300):
        try:
            connection = HTTPConnection(bind, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"The server at {bind} did not come up.")


def _server_processes(url: str) -> list[psutil.Process]:
    """Return the processes that listen at the address: the web server's workers, which inherit the socket."""
    port = urlsplit(url).port
    found = []
    for process in psutil.process_iter():
        try:
            if any(one.laddr and one.laddr.port == port for one in process.net_connections("tcp") if not one.raddr):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    return float(sum(times.user + times.system for times in (process.cpu_times() for process in processes)))


def _percentile(values: list[float], percent: int) -> float:
    return round(values[min(len(values) - 1, len(values) * percent // 100)], 1)


def _machine() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = psutil.virtual_memory().total >> 30
    load = os.getloadavg()[0]
    return (
        f"{platform.node()}: {os.cpu_count()} x {(models or [platform.processor()])[0]}, {memory} GiB, load {load:.1f}"
    )


def _holds(value: float | None, goal: float, way: str) -> bool:
    return value is None or (value >= goal if way == ">=" else value <= goal)


def _report(figures: dict[str, Any]) -> None:
    print(figures["machine"])
    for name, value in figures.items():
        if name != "machine":
            goal, way = GOALS.get(name, (None, ""))
            note = "" if goal is None else f"  goal {way} {goal}{'' if _holds(value, goal, way) else '  MISSED'}"
            print(f"{name:28} {value!s:>10}{note}")


def _read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--annotators", type=int, default=8, help="who rank at full speed")
    parser.add_argument("--items", type=int, default=800, help="rankings of each round")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=100, help="rankings before the first round")
    parser.add_argument("--think-seconds", type=float, default=15, help="length of the run that latencies are taken in")
    parser.add_argument("--base", type=int, default=10_000, help="items in the tables")
    parser.add_argument("--stock", type=int, default=0, help="take latencies again with so many items, as 1000000")
    parser.add_argument("--plain", action="store_true", help="no overlap, gold or repeats")
    parser.add_argument("--running", action="store_true", help="measure the server that ./run up has started here")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY / "platform"))
    sys.exit(main())
