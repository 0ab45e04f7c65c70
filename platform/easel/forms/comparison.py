"""Two states of a template beside each other: versions by their number, the draft, or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass

from easel.common.errors import InvalidInput, NotFound
from easel.forms.definition import Definition
from easel.forms.differences import Change, Row, differences, side_by_side
from easel.forms.models import Template
from easel.forms.reading import parse_definition

DRAFT = "draft"


@dataclass(frozen=True)
class Comparison:
    """What changed from one state to the other."""

    old: int
    """A version's number; 0: nothing, as before the first version."""
    new: int | str
    """A version's number, or "draft"."""
    changes: list[Change]
    rows: list[Row]


def form_at(template: Template, state: int | str) -> Definition | None:
    """Return the form of a version, of the draft, or nothing for 0. Raises NotFound, or InvalidDefinition."""
    if state == DRAFT:
        if not hasattr(template, "draft"):
            raise NotFound("draft of this template")
        return parse_definition(template.draft.definition)
    return template.version_numbered(int(state)).form if state else None


def compare(template: Template, old: str = "", new: str = "") -> Comparison:
    """Compare two states of a template, as `?from=` and `?to=` name them.

    Left out: the draft with the newest version; a version with the one before it.
    """
    latest = template.versions.order_by("-number").values_list("number", flat=True).first() or 0
    to: int | str = _state(new, "to") if new else (DRAFT if hasattr(template, "draft") else latest)
    base = _state(old, "from") if old else (latest if to == DRAFT else max(int(to) - 1, 0))
    if base == DRAFT:
        raise InvalidInput("Compare from a version, not from the draft.", fields={"from": ["must be a number"]})
    after = form_at(template, to)
    if after is None:
        raise InvalidInput("There is no version to compare with yet.", fields={"to": ["must be a version's number"]})
    before = form_at(template, base)
    return Comparison(int(base), to, differences(before, after), side_by_side(before, after))


def _state(value: str, field: str) -> int | str:
    if value == DRAFT:
        return DRAFT
    if value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    problem = "must be a version's number, or draft" if field == "to" else "must be a version's number; 0 for none"
    raise InvalidInput(f"{field} {problem}.", fields={field: [problem]})


def outline(form: Definition) -> list[Row]:
    """Return what a form holds, as one side of a comparison."""
    return side_by_side(form, form)
