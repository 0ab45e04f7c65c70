"""The part of a form that says which images are better than which: what an adjudicator answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from easel.forms.components import BaseComponent
from easel.forms.definition import Definition

_SHOWN = {"prompt", "reference_image", "image_grid", "image", "all_bad"}


def judging_part(form: Definition) -> Definition:
    """Return a form with no more than its prompt, its images, what orders them, and that all are bad.

    Whatever they depended on is not asked, so they are always there.
    """
    kept = [part for part in form.walk() if part.orders or part.type in _SHOWN]
    alone = {"visible_if": None, "required_if": None}
    return form.model_copy(update={"components": tuple(part.model_copy(update=alone) for part in kept)})


def answering_part(form: Definition) -> Definition:
    """Return a form without what asks for images to be generated: those of the item are there."""
    return form.model_copy(update={"components": _without_asking(form.components)})


def _without_asking(components: Iterable[BaseComponent]) -> tuple[Any, ...]:
    kept = []
    for part in components:
        if part.asks or part.type == "generate":
            continue
        inside = _without_asking(part.children)
        kept.append(part.model_copy(update={"components": inside}) if part.children else part)
    return tuple(kept)
