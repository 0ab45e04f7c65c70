"""The platform's Celery application: the tasks of every app, and the clock that rings when a message was lost."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "easel.settings")
django.setup()

from easel.common.broker import app  # noqa: E402 -- Django must be set up before its apps are imported

app.autodiscover_tasks(
    [
        "easel.common",
        "easel.images",
        "easel.annotation",
        "easel.preferences",
        "easel.snapshots",
        "easel.training",
        "easel.evaluation",
    ],
    force=True,
)
app.conf.beat_schedule = {
    "sweep jobs": {"task": "easel.jobs.sweep", "schedule": 15.0},
    "gather items": {"task": "easel.annotation.gather", "schedule": 15.0},
    "go on with acts on many items": {"task": "easel.annotation.bulk_acts", "schedule": 15.0},
    "hash images": {"task": "easel.images.liken", "schedule": 15.0},
    "compare images": {"task": "easel.annotation.compare_images", "schedule": 60.0},
    "recount items": {"task": "easel.annotation.recount", "schedule": 15.0},
    "measure quality": {"task": "easel.preferences.measure", "schedule": 30.0},
    "make gold": {"task": "easel.annotation.make_gold", "schedule": 15.0},
    "advance evaluations": {"task": "easel.evaluation.advance", "schedule": 5.0},
    "select comparisons": {"task": "easel.evaluation.select", "schedule": 15.0},
}
