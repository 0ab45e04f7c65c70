"""The platform's Celery application: the tasks of every app, and the clock that rings when a message was lost."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "easel.settings")
django.setup()

from easel.common.broker import app  # noqa: E402 -- Django must be set up before its apps are imported

app.autodiscover_tasks(
    ["easel.common", "easel.images", "easel.annotation", "easel.snapshots", "easel.training", "easel.evaluation"],
    force=True,
)
app.conf.beat_schedule = {
    "sweep jobs": {"task": "easel.jobs.sweep", "schedule": 15.0},
    "gather items": {"task": "easel.annotation.gather", "schedule": 15.0},
    "advance evaluations": {"task": "easel.evaluation.advance", "schedule": 5.0},
}
