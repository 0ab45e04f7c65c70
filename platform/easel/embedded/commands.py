"""The command lines of Easel's processes: one place for `./run up` and docker/compose.yaml (a test compares them)."""

from __future__ import annotations

CONTAINER_BIND = "0.0.0.0:8000"


def web(bind: str) -> tuple[str, ...]:
    """The web server. Threads, because requests wait for Postgres: under keep-alive 2.5 times the sync worker."""
    return (
        "gunicorn",
        "easel.wsgi:application",
        f"--bind={bind}",
        "--preload",  # imports Django once, not once per worker: half the start, and a killed worker is back at once
        "--worker-class=gthread",
        "--workers=2",
        "--threads=4",
        "--keep-alive=5",
        "--timeout=60",
        "--graceful-timeout=2",
        "--no-control-socket",  # its default place is one per user: two installations would meet there
    )


# Its tasks wait for Postgres and the storage, so threads serve; and a killed worker leaves no pool behind.
WEB_WORKER = (
    "celery",
    "--app=easel.celery",
    "worker",
    "--queues=web",
    "--pool=threads",
    "--concurrency=4",
    "--hostname=web@%h",
    "--loglevel=INFO",
    "--without-gossip",
    "--without-mingle",
)

# One image at a time is what a GPU (and torch's own threads) want. It knows no Django and no database password.
RENDER_WORKER = (
    "celery",
    "--app=generation.worker",
    "worker",
    "--queues=live,batch",
    "--pool=solo",
    "--hostname=render@%h",
    "--loglevel=INFO",
    "--without-gossip",
    "--without-mingle",
)

# Each run has a process of its own, so a worker at rest is small. It knows no Django and no database password.
TRAIN_WORKER = (
    "celery",
    "--app=finetune.worker",
    "worker",
    "--queues=train",
    "--pool=solo",
    "--hostname=train@%h",
    "--loglevel=INFO",
    "--without-gossip",
    "--without-mingle",
)


def beat(schedule: str) -> tuple[str, ...]:
    """The clock: its own process, never a part of a worker, so that there is one of it."""
    return ("celery", "--app=easel.celery", "beat", f"--schedule={schedule}", "--pidfile=", "--loglevel=INFO")
