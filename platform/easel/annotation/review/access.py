"""The only way a request gets an annotation to review, an item to look at, or what was said of either."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.models import Annotation, Comment, Item, Review
from easel.common.errors import NotFound
from easel.projects.access import row_for
from easel.projects.models import Project


def annotation_for(user: User | AnonymousUser, pk: UUID, act: Act, project: Project | None = None) -> Annotation:
    """Return a collected annotation, of that project where one is named, to a member whose role allows the act."""
    rows = Annotation.objects.filter(purpose=Item.Purpose.RANK).select_related(
        "annotator", "assignment", "item__prompt", "project"
    )
    found = row_for(rows, user, pk, act, "annotation")
    if project is not None and found.project_id != project.pk:
        raise NotFound("annotation")
    return found


def item_for(user: User | AnonymousUser, pk: UUID, act: Act, project: Project | None = None) -> Item:
    """Return an item, of that project where one is named, to a member whose role allows the act."""
    rows = Item.objects.select_related("project", "prompt__conditioning", "template_version__template", "request")
    found = row_for(rows, user, pk, act, "item")
    if project is not None and found.project_id != project.pk:
        raise NotFound("item")
    return found


def review_for(user: User | AnonymousUser, pk: UUID, act: Act) -> Review:
    """Return a verdict to a member whose role allows the act."""
    return row_for(Review.objects.select_related("annotation"), user, pk, act, "review", project="annotation__project")


def comment_for(user: User | AnonymousUser, pk: UUID, act: Act) -> Comment:
    """Return a comment to a member whose role allows the act."""
    return row_for(Comment.objects.select_related("item"), user, pk, act, "comment", project="item__project")
