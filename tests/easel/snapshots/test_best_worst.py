"""A best-worst choice gives the pairs that it says: the images between were not compared with each other."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.models import Annotation
from easel.forms.models import Template
from easel.projects.models import Project
from easel.snapshots.exports import judgements

from tests import cast as stage
from tests.cast import Cast
from tests.easel.snapshots.test_snapshots import rows, take

THINGS = ("apple", "boat", "crow")


def test_a_snapshot_holds_the_pairs_that_were_said_and_no_ties_between_the_others(cast: Cast, tmp_path: Path) -> None:
    version = Template.objects.get(key="best-worst").latest()
    Project.objects.filter(pk=cast.project.pk).update(template_version=version)
    project = Project.objects.get(pk=cast.project.pk)
    prompts = stage.make_prompts(project, *(f"a {thing} on a table" for thing in THINGS))
    stage.generate(cast, prompts, 6, project)
    stage.work_off()
    gather(timezone.now(), project)
    for _ in prompts:
        assignment = stage.lease(project, cast.bob)
        best, worst, *_ = map(str, assignment.shown_order)
        stage.submit(assignment, {"choice": {"best": best, "worst": worst}})
    stored = Annotation.objects.all()
    assert {(row.ties_are_equal, len(row.ranking)) for row in stored} == {(False, 3)}

    found = rows(take(cast), tmp_path)
    assert len(found) == 3
    for row in found:
        (judgement,) = row.judgements
        (best_at,), between, (worst_at,) = judgement.groups
        said = {(a, b) for a, b, _ in row.pairs}
        assert len(said) == 9
        assert said.isdisjoint(combinations(sorted(between), 2))
        assert all({best_at, worst_at} & {a, b} for a, b in said)
        assert not judgement.ties_are_equal
    assert {row["ties_are_equal"] for row in judgements(project)} == {False}


def test_a_ranking_whose_images_share_a_place_says_that_they_are_equal(cast: Cast) -> None:
    stage.make_items(cast, 1)
    assignment = stage.lease(cast.project, cast.bob)
    stage.submit(assignment, {"ranking": [list(map(str, assignment.shown_order))]})
    assert Annotation.objects.get().ties_are_equal is True
