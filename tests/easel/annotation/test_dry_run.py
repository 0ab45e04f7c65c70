"""A dry run tells which of the collected answers a definition would still accept, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from easel.annotation import dry_run as module
from easel.annotation.models import Annotation
from easel.forms.models import Template
from easel.projects.template_services import make_template
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast


@pytest.fixture
def ranked(cast: Cast) -> Cast:
    """Four annotations of alice's project: two with a rationale, of 5 and of 12 characters."""
    stage.make_items(cast, 4)
    stage.annotate(cast.project, cast.bob, 2)
    stage.annotate(cast.project, cast.bob, 1, rationale="clean")
    stage.annotate(cast.project, cast.bob, 1, rationale="clean and red")
    return cast


def changed(cast: Cast, **changes: Any) -> Template:
    """A copy of the template in use, with properties of its components changed by name; None removes one."""
    definition = cast.project.template_version.definition
    parts = [
        {**part, **changes.get(part["name"], {})}
        for part in definition["components"]
        if changes.get(part["name"], {}) is not None
    ]
    return make_template(cast.project, "Next", {**definition, "components": parts}, cast.alice, timezone.now())


def try_out(client: APIClient, template: Template, **body: Any) -> Any:
    """Ask for a dry run."""
    answer = client.post(f"{API}/templates/{template.pk}/dry-run/", body)
    return answer.json() if answer.status_code == 200 else (answer.status_code, answer.json()["code"])


def test_a_definition_that_asks_no_more_accepts_all(ranked: Cast, alice: APIClient) -> None:
    found = try_out(alice, changed(ranked, ranking={"label": "Put in order"}))
    assert found == {"total": 4, "looked_at": 4, "limit": 5_000, "accepted": 4, "refused": 0, "reasons": []}


def test_refusals_are_counted_by_component_and_reason_with_examples(ranked: Cast, alice: APIClient) -> None:
    found = try_out(alice, changed(ranked, rationale={"max_length": 4}, ranking={"levels": 3}))
    assert (found["accepted"], found["refused"]) == (0, 4)
    ranking, rationale = found["reasons"]
    assert (ranking["name"], ranking["count"], len(ranking["examples"])) == ("ranking", 4, 4)
    assert ranking["reason"] == "has 4 places; at most 3 are taken"
    assert (rationale["label"], rationale["count"]) == ("Why is the best the best?", 2)
    newest = Annotation.objects.order_by("-id").first()
    assert newest is not None
    assert rationale["examples"][0] == str(newest.pk)
    assert rationale["reason"] == "has 13 characters; at most 4 are taken"


def test_a_component_that_is_gone_or_newly_required_refuses(ranked: Cast, alice: APIClient) -> None:
    found = try_out(alice, changed(ranked, rationale=None))
    assert [(one["reason"], one["count"]) for one in found["reasons"]] == [("is no component of this template", 2)]
    found = try_out(alice, changed(ranked, rationale={"required": True}))
    assert [(one["reason"], one["count"]) for one in found["reasons"]] == [("is required", 2)]


def test_a_renamed_component_reads_what_was_answered_under_its_old_name(ranked: Cast, alice: APIClient) -> None:
    kept = changed(ranked, rationale={"name": "why", "formerly": ["rationale"], "max_length": 10})
    found = try_out(alice, kept)
    assert [(one["name"], one["count"]) for one in found["reasons"]] == [("why", 1)]
    lost = changed(ranked, rationale={"name": "why"})
    assert try_out(alice, lost)["refused"] == 2


def test_only_the_newest_answers_are_looked_at_and_it_says_so(
    ranked: Cast, alice: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 3)
    found = try_out(alice, changed(ranked))
    assert (found["total"], found["looked_at"], found["accepted"]) == (4, 3, 3)


def test_a_template_without_answers_has_nothing_to_try(cast: Cast, alice: APIClient) -> None:
    assert try_out(alice, changed(cast))["total"] == 0


def test_others_answers_are_not_told(ranked: Cast, charlie: APIClient, alice: APIClient) -> None:
    """The gallery's template is in use in both projects; each owner is told of their own."""
    template = ranked.project.template_version.template
    number = ranked.project.template_version.number
    assert try_out(alice, template, version=number)["total"] == 4
    assert try_out(charlie, template, version=number)["total"] == 0


def test_a_draft_that_is_wrong_cannot_be_tried(cast: Cast, alice: APIClient, bob: APIClient) -> None:
    template = make_template(cast.project, "Next", {"components": []}, cast.alice, timezone.now())
    assert try_out(alice, template) == (400, "invalid_definition")
    assert try_out(alice, template, version=3) == (404, "not_found")
    assert try_out(bob, template) == (403, "forbidden")
