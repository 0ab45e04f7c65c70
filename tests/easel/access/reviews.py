"""Reviews, items with what was said of them, comments, and the last word where annotators disagree."""

from __future__ import annotations

from typing import Any

from easel.annotation.models import Annotation, Comment
from easel.annotation.review.services import remark

from tests.easel.access.callers import INSPECTORS, REVIEWERS, Row, act, api, page
from tests.easel.access.world import World

ROWS: dict[str, Row] = {
    "api:reviews": {"GET": api(REVIEWERS)},
    "api:reviews_bulk": {"POST": api(REVIEWERS)},
    "api:annotation_reviews": {"POST": api(REVIEWERS, 201)},
    "api:review": {"DELETE": dict(api(REVIEWERS, 204), admin=403)},  # it is the reviewer's
    "api:item": {"GET": api(INSPECTORS)},
    "api:item_comments": {"GET": api(INSPECTORS), "POST": api(INSPECTORS, 201)},
    "api:comment": {"DELETE": dict(api(("reviewer",), 204))},  # its author's
    "api:item_adjudication": {"PUT": api(REVIEWERS), "DELETE": api(REVIEWERS, 404)},
    "review": {"GET": page(REVIEWERS), "POST": act(REVIEWERS)},
    "review_list": {"GET": page(REVIEWERS), "POST": act(REVIEWERS)},
    "fix_annotation": {"GET": page(REVIEWERS)},
    "adjudication": {"GET": page(REVIEWERS), "POST": act(REVIEWERS)},
    "rank_anew": {"GET": page(REVIEWERS)},
    "item": {"GET": page(INSPECTORS)},
    "item_comments": {"POST": act(INSPECTORS)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    said, project = _said(world), world.cast.project.pk
    return {
        "api:annotation_reviews": [said.pk],
        "api:review": [world.review.pk],
        "api:item": [said.item_id],
        "api:item_comments": [said.item_id],
        "api:comment": [_comment(world).pk],
        "api:item_adjudication": [said.item_id],
        "fix_annotation": [project, said.pk],
        "rank_anew": [project, said.item_id],
        "item": [project, said.item_id],
        "item_comments": [project, said.item_id],
    }


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    said = _said(world)
    return {
        "api:reviews_bulk": {"annotations": [str(said.pk)], "verdict": "accepted"},
        "api:annotation_reviews": {"verdict": "accepted"},
        "api:item_comments": {"text": "Look at the edges."},
        "api:item_adjudication": {"annotation": str(said.pk)},
        "review": {"annotation": str(said.pk), "verdict": "accepted", "review_state": "", "revision": "0"},
        "review_list": {"annotation": str(said.pk), "verdict": "accepted"},
        "adjudication": {"item": str(said.item_id), "annotation": str(said.pk)},
        "item_comments": {"text": "Look at the edges."},
    }


def _said(world: World) -> Annotation:
    """What the owner, who is none of the callers, has ranked."""
    return Annotation.objects.get(annotator=world.cast.alice)


def _comment(world: World) -> Comment:
    reviewer, said = world.review.reviewer, _said(world)
    made = Comment.objects.on(said.item).first()
    return made or remark(said.item, reviewer, "See the second one.", said.created_at)
