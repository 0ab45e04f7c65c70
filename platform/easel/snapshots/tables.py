"""Annotations as a table: one row an annotation, the columns that the form's components have, as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from easel.annotation.models import Annotation, Assignment
from easel.common import tables
from easel.forms.definition import Definition
from easel.forms.models import TemplateVersion, form_of
from easel.projects.models import Project
from easel.snapshots.exports import PAGE, pseudonym

BASE = (
    "id", "item", "annotator", "annotator_kind", "created_at", "active_ms", "surplus", "held_out", "template",
    "template_version", "prompt", "negative", "shown_order",
)  # fmt: skip
ANSWERS = "answers."
"""What stands before a component's column that is named as one of the base ones."""


def versions_used(project: Project) -> list[TemplateVersion]:
    """The versions that a project's annotations were given under, oldest first; the project's own where there is none.

    Versions of one template follow each other.
    """
    used = Annotation.objects.collected(project).order_by().values("item__template_version").distinct()
    found = TemplateVersion.objects.filter(pk__in=used).select_related("template").order_by("template", "number")
    return list(found) or [project.template_version]


class Columns:
    """The answers' columns of several versions, under the names that components have now."""

    def __init__(self, versions: list[TemplateVersion]) -> None:
        self._renamed: dict[Any, dict[str, str]] = {}
        for version in versions:
            for part in form_of(version.pk).walk():
                names = self._renamed.setdefault(version.template_id, {})
                names.update(dict.fromkeys(part.formerly, part.name))
        self._names: dict[Any, dict[str, str]] = {}
        self.names: list[str] = []
        for version in reversed(versions):  # the newest version says the order; what it no longer asks comes after
            for name in self._names_of(version).values():
                if name not in self.names:
                    self.names.append(name)

    def _names_of(self, version: TemplateVersion) -> dict[str, str]:
        """What each column of a version is called now.

        A component may have taken the name of one that is gone: where that gives one name to two columns of a version,
        the one that was called otherwise then keeps its old name.
        """
        if version.pk not in self._names:
            found = {column: self._now(version, column) for column in form_of(version.pk).columns()}
            while True:
                names = list(found.values())
                doubled = [column for column, name in found.items() if names.count(name) > 1 and name != _apart(column)]
                if not doubled:
                    break
                found[doubled[-1]] = _apart(doubled[-1])
            self._names[version.pk] = found
        return self._names[version.pk]

    def _now(self, version: TemplateVersion, column: str) -> str:
        """What a column of a version is called now."""
        component, dot, rest = column.partition(".")
        names, met = self._renamed.get(version.template_id, {}), {component}
        while (newer := names.get(component)) is not None and newer not in met:
            met.add(newer)
            component = newer
        return _apart(f"{component}{dot}{rest}")

    def cells(self, version: TemplateVersion, form: Definition, answers: Mapping[str, Any]) -> list[object]:
        """An annotation's answers, in the order of the columns."""
        names = self._names_of(version)
        said = {names[column]: cell for column, cell in form.cells(answers).items()}
        return [said.get(name) for name in self.names]


def _apart(name: str) -> str:
    """A component's column under a name that no base column has."""
    return ANSWERS + name if name in BASE else name


def csv_lines(project: Project, *, include_simulated: bool = False) -> Iterator[bytes]:
    """Yield the table as CSV: a line of names, and one for each annotation, oldest first."""
    columns = Columns(versions_used(project))
    rows = Annotation.objects.exportable(project, include_simulated=include_simulated)

    def cells() -> Iterator[Iterable[object]]:
        for row in rows.iterator(chunk_size=PAGE):
            version = row.item.template_version
            yield [*_base(row), *columns.cells(version, form_of(version.pk), row.answers)]

    yield from tables.csv_lines([*BASE, *columns.names], cells())


def _base(row: Annotation) -> tuple[object, ...]:
    version, prompt = row.item.template_version, row.item.prompt
    return (
        row.pk,
        row.item_id,
        pseudonym(row.annotator_id),
        row.annotator.kind,
        row.created_at.isoformat(),
        row.active_ms,
        row.assignment.state == Assignment.State.SURPLUS,
        prompt.held_out,
        version.template.key,
        version.number,
        prompt.text,
        prompt.negative,
        "; ".join(map(str, row.assignment.shown_order)),
    )
