"""A project moves to another version when it chooses to; what collected answers belong to is never deleted."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from easel.annotation.models import Item
from easel.annotation.template_uses import delete_template, use_template
from easel.common.errors import NotFound
from easel.forms.models import Template, TemplateVersion
from easel.forms.services import publish
from easel.projects.models import Project
from easel.projects.services import create_project
from easel.projects.template_services import make_template
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast

GRID = {"type": "image_grid", "name": "images", "label": "Images", "count": 4}
RANK = {"type": "ranking", "name": "ranking", "label": "Rank", "levels": 5}


def made_template(cast: Cast, project: Project | None = None, count: int = 4) -> TemplateVersion:
    """A published template of a project's own."""
    form: dict[str, object] = {"components": [{**GRID, "count": count}, RANK]}
    template = make_template(project or cast.project, "Icons", form, cast.alice, timezone.now())
    return publish(template, form, timezone.now())


def use(client: APIClient, cast: Cast, version: Any) -> Any:
    """Have alice's project use a version."""
    return client.put(f"{API}/projects/{cast.project.pk}/template/", {"version": str(version)})


def test_a_project_moves_with_the_items_that_nobody_has_begun(cast: Cast, alice: APIClient) -> None:
    items = stage.make_items(cast, 4)
    stage.annotate(cast.project, cast.erin)
    stage.lease(cast.project, cast.bob)
    version = made_template(cast)
    answer = use(alice, cast, version.pk)
    assert answer.json() == {"template_version": str(version.pk), "items_moved": 2, "items_kept": 1}
    cast.project.refresh_from_db()
    assert cast.project.template_version == version
    moved = Item.objects.filter(pk__in=[item.pk for item in items], template_version=version)
    assert {item.assignments.count() for item in moved} == {0}
    (made,) = stage.make_items(cast, 1)
    assert made.template_version == version
    assert use(alice, cast, version.pk).json()["items_moved"] == 0


def test_items_with_another_number_of_images_keep_their_version(cast: Cast, alice: APIClient) -> None:
    stage.make_items(cast, 2)
    answer = use(alice, cast, made_template(cast, count=2).pk)
    assert (answer.json()["items_moved"], answer.json()["items_kept"]) == (0, 2)


def test_what_was_begun_is_answered_under_the_version_that_it_began_with(cast: Cast, alice: APIClient) -> None:
    stage.make_items(cast, 1)
    before = cast.project.template_version
    assignment = stage.lease(cast.project, cast.bob)
    use(alice, cast, made_template(cast).pk)
    annotation, _ = stage.submit(assignment, stage.answers_for(assignment, rationale="clean"))
    assert annotation.item.template_version == before


def test_a_version_of_a_strangers_template_does_not_exist(cast: Cast, alice: APIClient, bob: APIClient) -> None:
    theirs = made_template(cast, cast.foreign)
    assert use(alice, cast, theirs.pk).status_code == 404
    assert use(alice, cast, "nonsense").status_code == 400
    assert use(bob, cast, cast.project.template_version_id).status_code == 403


def test_an_unused_template_is_deleted_with_its_draft_and_versions(cast: Cast, alice: APIClient) -> None:
    template = made_template(cast).template
    assert alice.delete(f"{API}/templates/{template.pk}/").status_code == 204
    assert not Template.objects.filter(pk=template.pk).exists()
    assert not TemplateVersion.objects.filter(template=template.pk).exists()


def test_a_template_in_use_is_kept_and_the_refusal_names_the_projects(cast: Cast, alice: APIClient) -> None:
    version = made_template(cast)
    use(alice, cast, version.pk)
    answer = alice.delete(f"{API}/templates/{version.template_id}/")
    assert (answer.status_code, answer.json()["code"]) == (409, "template_in_use")
    assert answer.json()["detail"] == (
        "Icons is used by “Icons”. Move to another template there first, then delete it."
    )
    assert answer.json()["fields"] == {"projects": [str(cast.project.pk)]}
    Project.objects.filter(pk=cast.foreign.pk).update(template_version=version)
    assert "“Icons” and 1 other project." in alice.delete(f"{API}/templates/{version.template_id}/").json()["detail"]


def test_a_template_whose_items_remain_is_kept_for_their_answers(cast: Cast, alice: APIClient) -> None:
    version = made_template(cast)
    before = cast.project.template_version
    use(alice, cast, version.pk)
    cast.project.refresh_from_db()
    stage.make_items(cast, 1)
    stage.annotate(cast.project, cast.bob)
    use(alice, cast, before.pk)
    answer = alice.delete(f"{API}/templates/{version.template_id}/")
    assert answer.json()["code"] == "template_in_use"
    assert "has items in “Icons”" in answer.json()["detail"]
    assert Template.objects.filter(pk=version.template_id).exists()


@pytest.mark.django_db(transaction=True)
def test_an_item_that_is_leased_at_the_same_moment_keeps_its_version(committed_cast: Cast) -> None:
    stage.make_items(committed_cast, 12)
    version = made_template(committed_cast)
    people = [stage.make_user(f"rater{number}", committed_cast.project) for number in range(5)]

    def act(number: int) -> Any:
        if number == 5:
            return use_template(Project.objects.get(pk=committed_cast.project.pk), version)
        return stage.lease(committed_cast.project, people[number])

    *leased, moved = stage.in_parallel(6, act)
    for assignment in leased:
        shown = assignment.item.template_version_id  # as the annotator's page got it
        assert Item.objects.get(pk=assignment.item_id).template_version_id == shown
    assert moved.items_moved + moved.items_kept == 12


def test_a_version_that_was_deleted_meanwhile_is_not_taken_up(cast: Cast) -> None:
    version = made_template(cast)
    delete_template(version.template, cast.alice)
    with pytest.raises(NotFound):
        use_template(cast.project, version)
    with pytest.raises(NotFound):
        create_project("Late", version, cast.alice, timezone.now())
    cast.project.refresh_from_db()
    assert cast.project.template_version != version
