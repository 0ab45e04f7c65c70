"""Snapshots that wait are frozen."""

from __future__ import annotations

import socket

from celery import shared_task

from easel.snapshots import services


@shared_task(name="easel.snapshots.freeze")
def freeze() -> None:
    """Freeze what waits: rung when a snapshot is taken, and by the sweeper."""
    while services.freeze_next(f"web@{socket.gethostname()}"):
        pass
