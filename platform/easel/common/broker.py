"""The broker is a doorbell: Postgres holds the truth, a message only says that there is something to see."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from celery import Celery
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

app = Celery("easel")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()


def send(task: str, queue: str = "web", **kwargs: Any) -> None:
    """Send a named task now. A broker that is down costs nothing: the sweeper rings again."""
    try:
        app.send_task(task, kwargs=kwargs, queue=queue, ignore_result=True)
    except OperationalError as error:
        logger.warning("the broker is away, %s was not sent; the sweeper will ring again: %s", task, error)


def send_on_commit(task: str, queue: str = "web", **kwargs: Any) -> None:
    """Send a named task once the surrounding transaction is committed; never if it is rolled back."""
    transaction.on_commit(partial(send, task, queue, **kwargs))
