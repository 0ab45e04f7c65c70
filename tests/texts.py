"""A project of texts: a gallery form without images, and prompts or conversations as its items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.models import Item
from easel.forms.models import Template
from easel.projects.models import Project
from easel.prompts.parsing import check_rows
from easel.prompts.records import row_of
from easel.prompts.services import add_prompts

from tests import cast as stage
from tests.cast import Cast

PAIRS, CHATS = "supervised-fine-tuning-pairs", "chat-rating"
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why is the sky blue?"},
    {"role": "assistant", "content": "Blue light scatters most."},
]
QUESTION = [{"role": "user", "content": "And at dusk?"}]


def write_texts(project: Project, key: str = CHATS) -> Project:
    """Give a project a text form of the gallery; returns the project."""
    version = Template.objects.get(key=key).latest()
    Project.objects.filter(pk=project.pk).update(template_version=version)
    project.template_version = version
    return project


def add_texts(project: Project, records: Sequence[Any]) -> None:
    """Import records as a file of JSON lines holds them."""
    rows = [row_of(number, record) for number, record in enumerate(records, start=1)]
    _, rejected = add_prompts(project, check_rows("texts", rows), timezone.now())
    assert not rejected


def make_texts(cast: Cast, records: Sequence[Any], key: str = CHATS) -> list[Item]:
    """Make items of texts in the cast's project."""
    project = write_texts(cast.project, key)
    add_texts(project, records)
    gather(timezone.now(), project)
    return list(Item.objects.filter(project=project, request=None).order_by("id"))


def answer(cast: Cast, annotator: Any = None, **answers: Any) -> None:
    """Have somebody answer the next item: bob, unless somebody else is named."""
    assignment = stage.lease(cast.project, annotator or cast.bob)
    stage.submit(assignment, answers)
