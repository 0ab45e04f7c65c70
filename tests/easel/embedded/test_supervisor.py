"""The supervisor, as a process of its own with the real services and small stand-ins."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from easel.embedded import processes
from easel.embedded.processes import Identity
from easel.embedded.supervisor import Attempts, Supervisor, cut
from easel.env import REPOSITORY

from tests.easel.embedded.conftest import server_of
from tests.easel.embedded.probes import called, connect, family, has, living, start_standin

with_processes = pytest.mark.processes
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")


@with_processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_polite_signal_stops_everything_within_five_seconds(home: Path, number: signal.Signals) -> None:
    supervisor = start_standin(home, "stubborn", "parent")
    everything = family(supervisor.pid)
    assert len(everything) > 7  # Postgres with its own processes, Valkey, three children
    began = time.monotonic()
    supervisor.send_signal(number)
    assert supervisor.wait(timeout=10) == 0
    assert time.monotonic() - began < 5
    assert living(everything) == []
    assert not (home / "up.json").exists()


@with_processes
@on_linux
def test_a_killed_supervisor_takes_its_children_with_it_and_the_next_start_ends_the_rest(home: Path) -> None:
    supervisor = start_standin(home, "stubborn", "parent")
    assert processes.wait_until(lambda: any(has(each, "grandchild") for each in family(supervisor.pid)), 10)
    everything = family(supervisor.pid)
    grandchild = called(everything, "grandchild")
    supervisor.kill()
    supervisor.wait()
    assert processes.wait_until(lambda: living(everything) == [grandchild], patience=5)

    second = start_standin(home)
    assert living([grandchild]) == []
    connect(server_of(home)).close()
    second.terminate()
    assert second.wait(timeout=10) == 0


@with_processes
def test_a_killed_child_is_started_again_at_once(home: Path) -> None:
    supervisor = start_standin(home)
    first = called(family(supervisor.pid), "obedient")
    first.kill()
    assert processes.wait_until(
        lambda: any(has(process, "obedient") for process in family(supervisor.pid) if process != first),
        patience=3,
    )
    assert supervisor.stdout is not None
    assert supervisor.stdout.readline().startswith("obedient ended (signal SIGKILL); starting it again now.")
    supervisor.terminate()
    assert supervisor.wait(timeout=10) == 0


@with_processes
def test_killed_services_are_started_again(home: Path) -> None:
    supervisor = start_standin(home)
    assert supervisor.stdout is not None
    for name, word in [("Postgres", "-D"), ("Valkey", "--unixsocket")]:
        called(family(supervisor.pid), word).kill()
        assert supervisor.stdout.readline() == f"{name} had ended and was started again.\n"
    connect(server_of(home)).close()
    supervisor.terminate()
    assert supervisor.wait(timeout=10) == 0


@with_processes
def test_recovery_leaves_a_stranger_with_a_recorded_pid_alone(home: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        found = Identity.of(stranger.pid)
        assert found is not None
        for imposter in [
            Identity(found.pid, "another start", found.command),
            Identity(found.pid, found.started, ("gunicorn",)),
        ]:
            (home / "up.json").write_text(json.dumps({"mark": "0" * 32, "children": [imposter.record()]}))
            assert Supervisor(home, REPOSITORY, print).recover() == 0
            assert stranger.poll() is None
        (home / "up.json").write_text(json.dumps({"mark": "0" * 32, "children": [found.record()]}))
        assert Supervisor(home, REPOSITORY, print).recover() == 1
        assert Identity.of(stranger.pid) is None


@pytest.mark.parametrize("record", ["", "{", "[]", '{"children": 3}', '{"mark": "x", "children": [{"pid": "y"}]}'])
def test_a_damaged_record_is_no_reason_to_kill_or_to_stop(tmp_path: Path, record: str) -> None:
    (tmp_path / "up.json").write_text(record)
    assert Supervisor(tmp_path, REPOSITORY, print).recover() == 0


def test_what_keeps_ending_is_started_again_less_and_less_often() -> None:
    attempts = Attempts()
    attempts.note_start()
    assert [attempts.note_death() for _ in range(9)] == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_log_that_has_grown_too_long_moves_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * (11 * 2**20))
        cut(log)
        writer.write(b"and on\n")
    assert log.read_bytes() == b"and on\n"
    assert (tmp_path / "web.log.1").stat().st_size == 11 * 2**20
