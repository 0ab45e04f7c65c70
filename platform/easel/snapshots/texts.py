"""What was said of texts in the formats of TRL's trainers (https://huggingface.co/docs/trl/dataset_formats), as JSON
lines: prompts with completions for supervised fine-tuning, and completions that are good or not for KTO.

Left out are surplus annotations, what was said of held-out prompts, and what is empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from easel.annotation.models import Annotation, Assignment
from easel.common.errors import InvalidInput
from easel.forms.components.base import BaseComponent
from easel.forms.components.rating import Rating
from easel.forms.components.textarea import Textarea
from easel.forms.definition import Definition
from easel.forms.models import form_of
from easel.projects.models import Project
from easel.snapshots.exports import PAGE
from easel.snapshots.tables import versions_used

Messages = list[dict[str, str]]


def writes_completions(part: BaseComponent) -> bool:
    """Whether a component's answer is the ideal completion."""
    return isinstance(part, Textarea) and part.completion


def tells_good(part: BaseComponent) -> bool:
    """Whether a component's answer calls a text good or not."""
    return isinstance(part, Rating) and part.good_from is not None


def sft_lines(project: Project, *, include_simulated: bool = False) -> Iterator[bytes]:
    """Yield `prompt` and `completion`: texts, or lists of messages where any of the prompts is a conversation.

    Raises InvalidInput where no form that was answered has a text area for the completion.
    """
    _refuse_without(
        project,
        writes_completions,
        "trl-sft needs a form with a text area that is the completion, and this project's has none. Turn on "
        "“completion” of the text area with the ideal answer, or export CSV.",
    )
    return _sft(project, include_simulated)


def _sft(project: Project, include_simulated: bool) -> Iterator[bytes]:
    rows = Annotation.objects.exportable(project, include_simulated=include_simulated)
    # One column has one type in a file: where one prompt is a conversation, all are written as such.
    talks = rows.filter(item__prompt__metadata__has_key="messages").exists()
    for row, answer in _answers(project, include_simulated, writes_completions):
        if talks:
            said = row.item.prompt.said
            while said and said[-1]["role"] == "assistant":  # the annotator's answer stands instead of it
                said = said[:-1]
            yield _line({"prompt": said, "completion": [{"role": "assistant", "content": answer}]})
        else:
            yield _line({"prompt": row.item.prompt.text, "completion": answer})


def kto_lines(project: Project, *, include_simulated: bool = False) -> Iterator[bytes]:
    """Yield `prompt`, `completion` and `label`: of each conversation the assistant's last message and what was before.

    The label is whether the rating reaches the component's `good_from`. Raises InvalidInput where no form that was
    answered has such a rating.
    """
    _refuse_without(
        project,
        tells_good,
        "trl-kto needs a form with a rating that says from where on an answer is good, and this project's has none. "
        "Set “good from” of the rating, or export CSV.",
    )
    return _kto(project, include_simulated)


def _kto(project: Project, include_simulated: bool) -> Iterator[bytes]:
    for row, answer in _answers(project, include_simulated, tells_good):
        said = row.item.prompt.said
        last = max((place for place, one in enumerate(said) if one["role"] == "assistant"), default=0)
        if last:  # a text that nobody answered has no completion to call good
            part = _first(form_of(row.item.template_version_id), tells_good)
            assert isinstance(part, Rating)
            label = answer >= part.good_from
            yield _line({"prompt": said[:last], "completion": [said[last]], "label": label})


def _answers(
    project: Project, include_simulated: bool, wanted: Callable[[BaseComponent], bool]
) -> Iterator[tuple[Annotation, Any]]:
    """Yield the annotations that count, with the answer of the first component that is wanted, where it was given."""
    rows = Annotation.objects.exportable(project, include_simulated=include_simulated)
    for row in rows.iterator(chunk_size=PAGE):
        if row.assignment.state != Assignment.State.SUBMITTED or row.item.prompt.held_out:
            continue
        part = _first(form_of(row.item.template_version_id), wanted)
        answer = row.answers.get(part.name) if part else None
        if answer:
            yield row, answer


def offers(project: Project, wanted: Callable[[BaseComponent], bool]) -> bool:
    """Whether a form that a project's annotations were given under has a component that is wanted."""
    return any(_first(form_of(version.pk), wanted) for version in versions_used(project))


def _first(form: Definition, wanted: Callable[[BaseComponent], bool]) -> BaseComponent | None:
    excluded = form.excluded()
    return next((part for part in form.walk() if wanted(part) and part.name not in excluded), None)


def _refuse_without(project: Project, wanted: Callable[[BaseComponent], bool], message: str) -> None:
    if not offers(project, wanted):
        raise InvalidInput(message, fields={"format": [message]})


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
