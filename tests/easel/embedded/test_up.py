"""`./run up` and `./run down` themselves, on the true Easel."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from easel.embedded import processes
from easel.embedded.accounts import Account, may_enter
from easel.env import REPOSITORY, environment

from tests.easel.embedded.conftest import make_home, remove
from tests.easel.embedded.probes import called, environment_of, family, has, living

pytestmark = pytest.mark.processes
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user or mount a small disk")
PATIENCE = 180  # seconds; machines of two cores run other tests beside this one


def easel(command: str, home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `./run COMMAND` without its installing."""
    return subprocess.run(
        [sys.executable, "-m", f"easel.embedded.{command}", *arguments],
        env=environment_of(home, **variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str, path: str) -> int | None:
    """The status with which the web server answers, or None."""
    line = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        line.request("GET", path)
        return line.getresponse().status
    except OSError:
        return None
    finally:
        line.close()


@pytest.fixture(scope="module")
def up() -> Iterator[Path]:
    """The home of an Easel that is up, for the tests of this file that leave it up."""
    home = make_home()
    done = easel("up", home, "--detach", "--port", str(free_port()))
    assert done.returncode == 0, done.stdout + done.stderr
    yield home
    easel("down", home)
    remove(home)


def ready(home: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((home / "ready.json").read_text())
    return found


def supervisor_of(home: Path) -> psutil.Process:
    return psutil.Process(json.loads((home / "up.json").read_text())["supervisor"]["pid"])


def test_the_ready_file_names_the_address_and_the_sign_in_and_is_its_owner_s_alone(up: Path) -> None:
    found = ready(up)
    assert set(found) == {"url", "admin", "demo_project"}
    admin = found["admin"]
    assert isinstance(admin, dict)
    assert set(admin) == {"username", "password", "token"}
    assert (up / "ready.json").stat().st_mode & 0o777 == 0o600
    assert answers(str(found["url"]), "/readyz") == 200


def test_a_second_start_says_where_easel_is_and_succeeds(up: Path) -> None:
    done = easel("up", up, "--port", str(free_port()))
    assert (done.returncode, done.stdout) == (0, f"Easel is already up at {ready(up)['url']}\n")


def test_a_taken_port_is_refused_with_its_number_its_holder_and_the_remedy(new_home: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = easel("up", new_home, "--port", str(port))
    assert done.returncode == 1
    who = f"Port {port} is in use by {psutil.Process().name()} (process {os.getpid()}). "
    assert done.stdout == who + f"Stop that, or choose another: ./run up --port {port + 1}\n"


@pytest.mark.parametrize("app", ["--app=generation.worker", "--app=finetune.worker"])
def test_a_worker_of_models_has_neither_the_database_nor_the_secret_key(up: Path, app: str) -> None:
    worker = called(family(supervisor_of(up).pid), app).environ()
    assert not {"DATABASE_URL", "EASEL_SECRET_KEY"} & worker.keys()
    assert {"BROKER_URL", "STORAGE_URL", "EASEL_HOME"} <= worker.keys()


@pytest.mark.parametrize(
    "word",
    ["easel.wsgi:application", "--app=easel.celery", "--app=generation.worker", "--app=finetune.worker", "beat", "-D"],
)
def test_each_process_that_is_killed_comes_back(up: Path, word: str) -> None:
    supervisor = supervisor_of(up)
    first = next(child for child in supervisor.children() if has(child, word))
    first.kill()
    assert processes.wait_until(
        lambda: any(has(child, word) for child in supervisor.children() if child != first), patience=20
    )
    assert processes.wait_until(lambda: answers(str(ready(up)["url"]), "/readyz") == 200, patience=PATIENCE)


def test_down_stops_every_process_and_takes_the_ready_file_away(new_home: Path) -> None:
    assert easel("up", new_home, "--detach", "--port", str(free_port())).returncode == 0
    everything = family(supervisor_of(new_home).pid)
    done = easel("down", new_home)
    assert (done.returncode, done.stdout) == (0, "Easel has stopped.\n")
    assert living(everything) == []
    assert not (new_home / "ready.json").exists()
    assert easel("down", new_home).stdout == "Easel is not up.\n"


def test_ctrl_c_while_it_starts_leaves_no_process(new_home: Path) -> None:
    command = [sys.executable, "-m", "easel.embedded.up", "--port", str(free_port())]
    with subprocess.Popen(command, env=environment_of(new_home), stdout=subprocess.DEVNULL) as starting:
        assert processes.wait_until((new_home / "logs" / "prepare.log").exists, patience=PATIENCE)
        everything = family(starting.pid)
        began = time.monotonic()
        starting.send_signal(signal.SIGINT)
        assert starting.wait(timeout=10) == 0
    assert time.monotonic() - began < 5
    assert living(everything) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://easel:hush-hush@127.0.0.1:9/easel", "Cannot connect to the database 127.0.0.1:9/easel: "),
        ("mysql://easel:hush-hush@127.0.0.1/easel", "DATABASE_URL: must look like postgresql://"),
    ],
)
def test_a_wrong_database_is_refused_in_one_line_without_its_password(new_home: Path, url: str, says: str) -> None:
    done = easel("up", new_home, "--port", str(free_port()), DATABASE_URL=url)
    assert done.returncode != 0
    last = (done.stdout + done.stderr).strip().splitlines()[-1]
    assert last.startswith(says)
    assert "hush-hush" not in done.stdout + done.stderr


def test_a_wrong_broker_is_refused_in_one_line_without_its_password(new_home: Path) -> None:
    url = "redis://:hush-hush@127.0.0.1:9/0"
    done = easel("up", new_home, "--port", str(free_port()), BROKER_URL=url)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("Cannot connect to the broker redis://127.0.0.1:9: ")
    assert "hush-hush" not in done.stdout + done.stderr


def test_services_that_the_environment_names_are_used_and_none_is_started(new_home: Path) -> None:
    named = {"DATABASE_URL": environment.database, "BROKER_URL": f"{environment.broker}?virtual_host=63"}
    done = easel("up", new_home, "--detach", "--port", str(free_port()), **named)
    assert done.returncode == 0, done.stdout + done.stderr
    programs = {child.name() for child in living(family(supervisor_of(new_home).pid))}
    assert not programs & {"postgres", "valkey-server"}
    assert answers(str(ready(new_home)["url"]), "/readyz") == 200
    assert easel("down", new_home).returncode == 0
    with psycopg.connect(environment.database) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,), "down stopped a service that it had not started"


@as_root
def test_a_full_disk_is_refused_in_one_line(new_home: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", new_home], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        done = easel("up", new_home, "--port", str(free_port()))
    finally:
        subprocess.run(["umount", "--lazy", new_home], check=True)
    assert done.returncode == 1
    assert done.stdout == f"The disk is full: 20 MB are free at {new_home}, and Easel needs 300 MB.\n"


@contextmanager
def python_for(account: Account) -> Iterator[Path]:
    """Our Python where another user can run it: where it lies in root's own folder, it is shown at another place."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if may_enter(Path(sys.base_prefix), account):
        yield Path(sys.base_prefix, "bin", name)
        return
    shown = make_home()
    mounted = subprocess.run(["mount", "--bind", sys.base_prefix, shown], capture_output=True, check=False)
    try:
        if mounted.returncode:
            pytest.skip(f"the user {account.name} can run no Python here: {sys.base_prefix} is closed")
        yield shown / "bin" / name
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", "--lazy", shown], check=True)
        shown.rmdir()


@as_root
def test_an_ordinary_user_starts_and_stops_it_all_the_same(new_home: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    account = Account("nobody", nobody.pw_uid, nobody.pw_gid)
    packages = Path(sysconfig.get_path("purelib"))
    if not may_enter(packages, account):
        pytest.skip(f"the user nobody cannot read {packages}")
    closed = [path for path in (REPOSITORY / "generation").rglob("*") if not path.stat().st_mode & stat.S_IROTH]
    if closed:
        pytest.skip(f"the user nobody cannot read {closed[0]} in this checkout")
    os.chown(new_home, account.uid, account.gid)
    paths = os.pathsep.join(map(str, [REPOSITORY / "platform", REPOSITORY, packages]))
    variables = environment_of(new_home, HOME=str(new_home)) | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}

    def run(python: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-m", f"easel.embedded.{command}", *arguments],
            env={**variables, "LD_LIBRARY_PATH": str(python.parents[1] / "lib")},  # for a Python shown elsewhere
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    with python_for(account) as python:
        done = run(python, "up", "--detach", "--port", str(free_port()))
        assert done.returncode == 0, done.stdout + done.stderr
        everything = family(supervisor_of(new_home).pid)
        assert {process.uids().real for process in living(everything)} == {account.uid}
        assert answers(str(ready(new_home)["url"]), "/readyz") == 200
        assert run(python, "down").stdout == "Easel has stopped.\n"
        assert living(everything) == []
