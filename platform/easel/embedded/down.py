"""`python -m easel.embedded.down`, behind `./run down`: stop the Easel of this home."""

from __future__ import annotations

import json
import signal
import sys

import psutil

from easel.embedded import processes
from easel.embedded.lock import Lock
from easel.embedded.processes import Identity
from easel.env import environment


def main() -> int:
    """Ask the supervisor to stop, and wait until it has; return the exit code."""
    home = environment.home
    with Lock(home) as lock:
        if not home.exists() or lock.take():
            print("Easel is not up.")
            return 0
        try:
            supervisor = Identity.from_record(json.loads((home / "up.json").read_text())["supervisor"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            print(f"Something holds {home / 'up.lock'} but has left no record; try again in a moment.")
            return 1
        if supervisor.is_alive():
            psutil.Process(supervisor.pid).send_signal(signal.SIGTERM)
        stopped = processes.wait_until(lock.take, patience=15.0, step=0.05)
        if stopped and processes.wait_until(lambda: not supervisor.is_alive(), patience=5.0):
            print("Easel has stopped.")
            return 0
    print(f"Easel does not stop: process {supervisor.pid}. End it with kill -9; the next start tidies up.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
