"""The embedded Valkey, run for real."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import redis
from easel.embedded.valkey import Valkey

pytestmark = pytest.mark.processes


def client(server: Valkey) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(server.socket))


def kill(server: Valkey) -> None:
    running = server.running()
    assert running is not None
    assert server.process is not None
    running.kill()
    server.process.wait()


def test_it_answers_at_a_socket_of_its_owner_s_and_at_no_port(valkey: Valkey) -> None:
    assert valkey.start()
    assert client(valkey).ping()
    assert valkey.socket.stat().st_mode & 0o777 == 0o700
    running = valkey.running()
    assert running is not None
    assert running.net_connections("inet") == []


def test_a_second_start_adopts_the_running_server(home: Path, valkey: Valkey) -> None:
    valkey.start()
    second = Valkey(home, home / "sockets")
    assert not second.start()
    assert second.running() == valkey.running()


def test_messages_older_than_a_second_outlive_a_kill(valkey: Valkey) -> None:
    valkey.start()
    client(valkey).lpush("web", "a message")
    time.sleep(1.2)
    kill(valkey)
    assert valkey.start()
    assert client(valkey).rpop("web") == b"a message"


def test_a_torn_file_is_put_aside_because_postgres_holds_the_truth(home: Path, valkey: Valkey) -> None:
    valkey.start()
    client(valkey).lpush("web", "a message")
    kill(valkey)
    (journal,) = (home / "valkey" / "appendonlydir").glob("*.incr.aof")
    journal.write_bytes(b"no journal at all\n" * 10)
    assert valkey.start()
    assert client(valkey).llen("web") == 0
    assert (home / "valkey.unreadable").is_dir()
