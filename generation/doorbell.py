"""The Celery app of a worker of any kind: it hears bells, and sends what the worker says to the platform."""

from __future__ import annotations

from celery import Celery

from generation.env import WorkerEnvironment


def app_of(name: str, environment: WorkerEnvironment, *, queue: str) -> Celery:
    """Return the app of a kind of worker. queue: where its bells are rung if nothing else is said."""
    app = Celery(name, broker=environment.broker_url, backend=environment.replies)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_default_queue=queue,
        task_acks_late=False,  # bells are disposable: the platform rings again
        worker_prefetch_multiplier=1,  # a busy worker must not sit on bells that a free one could hear
        broker_heartbeat=0,  # a solo worker is deaf while it works; RabbitMQ would take it for dead
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        result_backend_transport_options={
            "retry_policy": {"max_retries": 2, "interval_start": 0, "interval_step": 0.5}
        },
        result_expires=300,  # seconds; replies to claims are read at once
    )
    return app
