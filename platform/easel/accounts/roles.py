"""Who may do what in a project: one table."""

from __future__ import annotations

from enum import StrEnum

from django.db import models


class Role(models.TextChoices):
    """A member's role in one project."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    ENGINEER = "engineer", "Engineer"
    REVIEWER = "reviewer", "Reviewer"
    ANNOTATOR = "annotator", "Annotator"
    VIEWER = "viewer", "Viewer"


class Act(StrEnum):
    """Something that a member may be allowed to do."""

    SEE = "see the project"
    RANK = "rank images"
    REVIEW = "review annotations"
    INSPECT = "see prompts, images, annotations and numbers"
    EXPORT = "export annotations"
    GENERATE = "generate images"
    TRAIN = "fine-tune and compare models"
    BUILD = "build templates"
    MANAGE = "change the project, its prompts and its people"


ALLOWED: dict[str, frozenset[Act]] = {
    Role.OWNER: frozenset(Act),
    Role.ADMIN: frozenset(Act),
    Role.ENGINEER: frozenset({Act.SEE, Act.INSPECT, Act.EXPORT, Act.GENERATE, Act.TRAIN}),
    Role.REVIEWER: frozenset({Act.SEE, Act.RANK, Act.INSPECT, Act.REVIEW}),
    Role.ANNOTATOR: frozenset({Act.SEE, Act.RANK}),
    Role.VIEWER: frozenset({Act.SEE, Act.INSPECT}),
}


TELLS: dict[str, str] = {
    Role.OWNER: "everything, and who else owns the project",
    Role.ADMIN: "everything, apart from owners",
    Role.ENGINEER: "generates, exports, fine-tunes; ranks nothing",
    Role.REVIEWER: "ranks, and looks at what others answered",
    Role.ANNOTATOR: "ranks, and sees nobody else's answers or names",
    Role.VIEWER: "looks at all, changes nothing",
}
"""What each role is for, in a few words; ALLOWED is what holds."""


def table() -> list[tuple[str, list[bool]]]:
    """What each role may do, an act a row, in the order of Role."""
    return [(act.value, [act in ALLOWED[role] for role in Role.values]) for act in Act]
