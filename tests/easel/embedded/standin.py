"""A supervisor of the real services and of small stand-ins for Easel's processes, as the tests' quick `./run up`.

    python -m tests.easel.embedded.standin [stubborn] [parent]

`stubborn` adds a process that ignores SIGTERM, `parent` one with a child in a session of its own (as a trainer may be).
"""

from __future__ import annotations

import os
import sys

from easel.embedded.lock import Lock
from easel.embedded.postgres import Postgres
from easel.embedded.supervisor import Child, Supervisor
from easel.embedded.up import StopRequested, _ignore_signals, _stop_on_signals
from easel.embedded.valkey import Valkey
from easel.env import REPOSITORY, environment

from tests.easel.embedded.conftest import PASSWORD

PROGRAMS = {
    "obedient": "import time; time.sleep(600)",
    "stubborn": "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    "parent": (
        "import subprocess, sys, time;"
        "sleeper = [sys.executable, '-c', 'import time; time.sleep(600)', 'grandchild'];"
        "subprocess.Popen(sleeper, start_new_session=True);"
        "time.sleep(600)"
    ),
}


def main() -> int:
    """Start, say so, and stay."""
    with Lock(environment.home) as lock:
        assert lock.take(), "another process has this home"
        _stop_on_signals()
        supervisor = Supervisor(environment.home, REPOSITORY, lambda line: print(line, flush=True))
        try:
            supervisor.recover()
            supervisor.note()
            supervisor.start_service(Postgres(environment.home, environment.sockets, PASSWORD))
            supervisor.start_service(Valkey(environment.home, environment.sockets))
            for name in ["obedient", *sys.argv[1:]]:
                command = (sys.executable, "-c", PROGRAMS[name], name)
                supervisor.start_child(Child(name, command, os.environ, environment.home / "logs" / f"{name}.log"))
            print("ready", flush=True)
            supervisor.run()
        except StopRequested:
            return 0
        finally:
            _ignore_signals()
            supervisor.stop()


if __name__ == "__main__":
    sys.exit(main())
