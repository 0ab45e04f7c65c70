"""The embedded Postgres, run for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from easel.embedded import processes
from easel.embedded.errors import NotStartedError
from easel.embedded.postgres import SOCKET_NAME, Postgres
from easel.env import LONGEST_SOCKET_DIRECTORY, Environment

from tests.easel.embedded.conftest import remove, server_of
from tests.easel.embedded.probes import connect, living

pytestmark = pytest.mark.processes
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")


def test_a_new_home_gets_a_database_whose_role_may_make_others(new_home: Path) -> None:
    server = server_of(new_home)
    assert server.start()
    with connect(server) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == ("easel", "easel")
        connection.execute("CREATE DATABASE for_tests")
    assert server.cluster.data.name == f"data-{server.cluster.version.split('.')[0]}"
    server.stop()


def test_nobody_gets_in_without_the_password_and_the_superuser_not_at_all(postgres: Postgres) -> None:
    postgres.start()
    for user, password in [("easel", "a guess"), ("postgres", ""), ("postgres", "a guess")]:
        with pytest.raises(psycopg.OperationalError):
            connect(postgres, user=user, password=password)


def test_the_server_listens_on_no_port(postgres: Postgres) -> None:
    postgres.start()
    server = postgres.running()
    assert server is not None
    assert server.net_connections("inet") == []


@as_root
def test_the_server_does_not_run_as_root(postgres: Postgres) -> None:
    postgres.start()
    server = postgres.running()
    assert server is not None
    assert server.uids().real != 0


def test_a_second_start_adopts_the_running_server(home: Path, postgres: Postgres) -> None:
    postgres.start()
    before = postgres.running()
    second = server_of(home)
    assert not second.start()
    assert second.running() == before


def test_a_warm_start_keeps_the_rows(postgres: Postgres) -> None:
    postgres.start()
    with connect(postgres) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    postgres.stop()
    assert postgres.running() is None
    postgres.start()
    with connect(postgres) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_after_a_kill_of_the_postmaster_the_next_start_has_every_committed_row(postgres: Postgres) -> None:
    postgres.start()
    with connect(postgres) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
        server = postgres.running()
        assert server is not None
        server.kill()
    assert postgres.process is not None
    postgres.process.wait()
    assert postgres.start()
    with connect(postgres) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)


def test_a_pid_file_whose_pid_a_stranger_now_has_does_not_stop_the_start(postgres: Postgres) -> None:
    postgres.start()
    server = postgres.running()
    assert server is not None
    server.kill()
    assert postgres.process is not None
    postgres.process.wait()
    account = postgres.cluster.account
    user = (
        {"user": account.uid, "group": account.gid} if account else {}
    )  # Postgres takes its own user's pids seriously
    with subprocess.Popen(["sleep", "60"], **user) as stranger:  # type: ignore[call-overload]
        for lock in [postgres.cluster.data / "postmaster.pid", postgres.sockets / f"{SOCKET_NAME}.lock"]:
            lines = lock.read_text().splitlines()
            lock.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert postgres.running() is None
        assert postgres.start()
        assert stranger.poll() is None, "the stranger was harmed"
        stranger.kill()
    connect(postgres).close()


def test_a_home_with_a_long_path_has_its_sockets_in_the_temp_folder(new_home: Path) -> None:
    deep = new_home / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    sockets = Environment(home=deep).sockets
    assert len(os.fsencode(sockets)) <= LONGEST_SOCKET_DIRECTORY
    server = server_of(deep)
    try:
        server.start()
        connect(server).close()
        assert (sockets / SOCKET_NAME).is_socket()
    finally:
        server.stop()
        sockets.rmdir()


@as_root
def test_a_home_that_the_server_s_user_cannot_enter_has_its_data_outside_and_a_link_to_it(new_home: Path) -> None:
    closed = new_home / "closed"
    closed.mkdir(mode=0o700)
    inside = closed / "home"
    inside.mkdir()
    try:
        for _ in range(2):  # the second start finds what the first one made
            server = server_of(inside)
            assert server.start()
            connect(server).close()
            server.stop()
            assert (inside / "postgres").is_symlink()
            assert server.cluster.folder == (inside / "postgres").resolve()
    finally:
        remove(inside)


def test_new_secrets_give_the_role_the_new_password(home: Path, postgres: Postgres) -> None:
    postgres.start()
    renewed = server_of(home, password="another one")
    assert renewed.start(), "a live server with the old password was adopted"
    connect(renewed, password="another one").close()
    with pytest.raises(psycopg.OperationalError):
        connect(renewed)
    renewed.stop()


def test_a_first_start_that_was_cut_off_leaves_nothing_in_the_way_of_the_next(new_home: Path) -> None:
    unfinished = new_home / "postgres" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server = server_of(new_home)
    assert server.start()
    connect(server).close()
    assert not unfinished.exists()
    server.stop()


@as_root
def test_a_data_directory_of_another_user_is_refused_with_both_names(postgres: Postgres) -> None:
    postgres.start()
    postgres.stop()
    os.chown(postgres.cluster.data, 12_345, 12_345)
    with pytest.raises(NotStartedError, match=r"belongs to user 12345, not to (postgres|nobody)\. Start Easel as"):
        postgres.start()


def test_a_server_that_cannot_start_is_refused_with_the_reason_and_the_log(postgres: Postgres) -> None:
    postgres.start()
    postgres.stop()
    (postgres.cluster.data / "global" / "pg_control").unlink()
    with pytest.raises(NotStartedError, match=r"Postgres did not start: .*postgres\.log"):
        postgres.start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
def test_the_server_ends_with_the_process_that_started_it_even_when_that_is_killed(home: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from tests.easel.embedded.conftest import server_of;"
        "server_of(Path(sys.argv[1])).start(); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
        server = server_of(home).running()
        assert server is not None
        starter.send_signal(signal.SIGKILL)
    assert processes.wait_until(lambda: living([server]) == [], patience=5)
