"""`python -m tests.faults.nursery`: forks renderers that have torch loaded already.

Each line of the input starts one: JSON with failpoint, model folders and batch; its process id is the answer. They are
the real worker, started with the arguments that `./run up` gives it. The end of the input kills them all.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from easel.embedded.commands import RENDER_WORKER

from generation import engine, failpoints, worker
from generation.storage import MODEL_PATH_VARIABLE

ARGUMENTS = [argument for argument in RENDER_WORKER if argument != "celery" and not argument.startswith("--app")]


def main() -> None:
    """Start renderers until the input ends."""
    assert engine.VERSIONS["torch"]  # loaded once, here
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who dies is gone at once
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    children = []
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
            wanted = json.loads(line)
            failpoints.chosen = wanted["failpoint"]
            os.environ[MODEL_PATH_VARIABLE] = wanted["models"]
            worker.environment = worker.environment.model_copy(update={"render_batch": wanted["batch"]})
            worker.app.worker_main(ARGUMENTS)
            os._exit(0)
        children.append(pid)
        answers.write(f"{pid}\n")
        answers.flush()
    for pid in children:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it died as it should


if __name__ == "__main__":
    main()
