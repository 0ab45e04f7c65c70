"""The clock's round of measuring."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from easel.preferences import services


@shared_task(name="easel.preferences.measure")
def measure() -> None:
    """Measure every project in which something is new."""
    services.measure_due(timezone.now())
