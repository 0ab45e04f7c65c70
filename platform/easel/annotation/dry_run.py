"""A dry run: which of the collected answers would a definition still accept?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import F, Q, Value

from easel.accounts.models import User
from easel.annotation.models import Annotation, Item
from easel.forms.definition import Definition, InvalidAnswers
from easel.forms.models import Template
from easel.projects.access import inspected_by

LIMIT = 5_000
"""Annotations that are looked at, the newest first: enough to tell, and done while somebody waits."""
EXAMPLES = 5
REASONS = 50
"""Different reasons that are told apart."""
PAGE = 500
_OWN = re.compile(r"'[^']*'|\d+")
"""What one answer's refusal says of it alone."""


@dataclass
class Reason:
    """Why some answers to a component would be refused."""

    name: str
    label: str
    reason: str
    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DryRun:
    """What a dry run found."""

    total: int
    """Annotations that were collected."""
    looked_at: int
    accepted: int
    reasons: list[Reason]
    limit: int = LIMIT

    @property
    def refused(self) -> int:
        """Annotations that would not be accepted."""
        return self.looked_at - self.accepted


def dry_run(template: Template, definition: Definition, by: User) -> DryRun:
    """Check the answers that were collected with a template against a definition of it.

    Looked at are those of the projects that `by` may inspect: whatever was collected with any version of this template,
    and in the project that it was made in what was collected with the template in use there now, which a copy may be
    meant to replace. A component that was renamed reads what was answered under its former names.
    """
    # In one statement the planner would look through every annotation there is: find the projects first.
    projects = list(inspected_by(by).values_list("pk", "template_version__template_id"))
    templates = {template.pk} | {used for project, used in projects if project == template.home}
    rows = Annotation.objects.filter(
        Q(item__template_version__template=template)
        | Q(project=template.home, item__template_version__template__in=templates),
        project__in=[project for project, _ in projects],
        purpose=Item.Purpose.RANK,
    )
    labels = {component.name: component.label for component in definition.walk()}
    reasons: dict[tuple[str, str], Reason] = {}
    looked_at = accepted = 0
    text_of = F("item__prompt__text") if definition.needs_text else Value("")
    values = rows.order_by("-id").values_list("id", "answers", "assignment__shown_order", text_of)
    for pk, answers, shown, text in values[:LIMIT].iterator(chunk_size=PAGE):
        looked_at += 1
        problems = _problems(definition, definition.translated(answers), shown, text)
        accepted += not problems
        for name, reason in problems:
            _note(reasons, name, labels.get(name, ""), reason, str(pk))
    total = looked_at if looked_at < LIMIT else rows.count()
    return DryRun(total, looked_at, accepted, sorted(reasons.values(), key=lambda one: (-one.count, one.name)))


def _problems(
    definition: Definition, answers: Mapping[str, Any], shown: list[UUID], text: str
) -> list[tuple[str, str]]:
    try:
        definition.check_answers(answers, (str(pk) for pk in shown), text=text)
    except InvalidAnswers as refusal:
        return [(name, messages[0]) for name, messages in refusal.fields.items()] or [("", refusal.detail)]
    return []


def _note(reasons: dict[tuple[str, str], Reason], name: str, label: str, reason: str, pk: str) -> None:
    """Count a reason; those that differ only in numbers and quoted words are one, told by the first."""
    key = (name, _OWN.sub("…", reason))
    if key not in reasons and len(reasons) >= REASONS:
        key, name, label, reason = ("", ""), "", "", "other reasons"
    noted = reasons.setdefault(key, Reason(name, label, reason))
    noted.count += 1
    if len(noted.examples) < EXAMPLES:
        noted.examples.append(pk)
