"""Who ranked how much, read off the last measurement: counting a million annotations at every look takes seconds."""

from __future__ import annotations

from easel.annotation.progress import Person
from easel.preferences.models import AnnotatorQuality, ProjectQuality
from easel.projects.models import Project

MEASURED_FROM = 20_000
"""Annotations from which the last measurement is read; fewer are counted in a moment, and to the last one."""


def measured_people(project: Project) -> list[Person] | None:
    """Return who ranked how much, most first, as of the last measurement; None where few are there to count."""
    quality = ProjectQuality.objects.filter(project=project, measured_at__isnull=False).first()
    if quality is None or quality.found.annotations < MEASURED_FROM:
        return None
    rows = [(one.annotator, one.found) for one in AnnotatorQuality.objects.of_project(project)]
    people = [
        Person(user.display_name, user.kind, found.annotations, found.median_ms, found.last)
        for user, found in rows
        if found.annotations and found.last
    ]
    return sorted(people, key=lambda one: -one.annotations)
