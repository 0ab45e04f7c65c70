"""Templates that people make: drafts, versions, differences, over HTTP; the rows are what counts."""

from __future__ import annotations

from typing import Any

import pytest
from easel.forms.models import Template, TemplateDraft
from easel.projects.models import ProjectTemplate
from rest_framework.test import APIClient

from tests.cast import API, TEMPLATE, Cast, client_of

GRID = {"type": "image_grid", "name": "images", "label": "Images", "count": 4}
RANK = {"type": "ranking", "name": "rank", "label": "Rank", "levels": 5}
FORM = {"schema_version": 1, "components": [GRID, RANK]}


def make(client: APIClient, cast: Cast, **body: Any) -> Any:
    """Make a template in alice's project."""
    answer = client.post(f"{API}/projects/{cast.project.pk}/templates/", {"name": "Icons", **body})
    assert answer.status_code == 201, answer.content
    return answer.json()


def save(client: APIClient, template: Any, definition: Any, version: int) -> Any:
    """Save a draft."""
    return client.put(f"{API}/templates/{template['id']}/draft/", {"definition": definition, "version": version})


def publish(client: APIClient, template: Any, version: int, **body: Any) -> Any:
    """Publish a draft."""
    return client.post(f"{API}/templates/{template['id']}/versions/", {"draft_version": version, **body})


def gallery() -> Template:
    """The gallery's template that the cast uses."""
    return Template.objects.get(key=TEMPLATE)


def test_a_template_begins_empty_with_a_draft_and_no_version(cast: Cast, alice: APIClient) -> None:
    made = make(alice, cast)
    assert made["project"] == str(cast.project.pk)
    assert (made["gallery"], made["published"]) == (False, None)
    assert made["key"].startswith("icons-")
    assert made["draft"]["definition"] == {"schema_version": 1, "components": []}
    assert made["draft"]["version"] == 1
    assert [problem["message"] for problem in made["draft"]["problems"]] == ["is empty; add a component"]
    belonging = ProjectTemplate.objects.get(template=made["id"])
    assert (belonging.project, belonging.created_by) == (cast.project, cast.alice)


def test_use_and_change_copies_the_newest_version_of_another_template(cast: Cast, alice: APIClient) -> None:
    for start in (TEMPLATE, str(gallery().pk)):
        made = make(alice, cast, **{"from": start})
        assert made["draft"]["definition"] == gallery().latest().definition
        assert made["draft"]["problems"] == []
    copy = make(alice, cast, **{"from": made["id"]})  # one without a version: its draft
    assert copy["draft"]["definition"] == made["draft"]["definition"]


def test_a_definition_is_imported_however_wrong_it_still_is(cast: Cast, alice: APIClient) -> None:
    made = make(alice, cast, definition={"components": [GRID, {**RANK, "levels": 99}]})
    (problem,) = made["draft"]["problems"]
    assert (problem["place"], problem["name"]) == ("components.1.levels", "rank")
    answer = publish(alice, made, 1)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_definition")
    assert list(answer.json()["fields"]) == ["components.1.levels"]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"name": " "}, "name", "invalid"),
        ({"name": "x" * 101}, "name", "invalid"),
        ({"definition": []}, "definition", "invalid"),
        ({"definition": {"a": "x" * 300_000}}, "definition", "invalid"),
        ({"definition": {"a": "\x00"}}, "definition", "invalid"),
        ({"definition": {"schema_version": 2}}, "definition", "newer_template"),
        ({"from": "no-such-template"}, "from", "invalid"),
        ({"from": TEMPLATE, "definition": FORM}, "from", "invalid"),
    ],
)
def test_what_cannot_be_a_template_is_refused_by_its_field(
    cast: Cast, alice: APIClient, body: Any, field: str, code: str
) -> None:
    answer = alice.post(f"{API}/projects/{cast.project.pk}/templates/", {"name": "Icons", **body})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert list(answer.json()["fields"]) == [field]
    assert not ProjectTemplate.objects.exists()


def test_a_template_of_a_newer_easel_says_what_to_do(cast: Cast, alice: APIClient) -> None:
    made = make(alice, cast)
    answer = save(alice, made, {"schema_version": 2, "components": []}, 1)
    assert answer.json()["detail"] == (
        "This template was made by a newer Easel (schema 2); this one reads schema 1. "
        "Update Easel, or export it there as schema 1."
    )
    assert TemplateDraft.objects.get(template=made["id"]).version == 1


def test_a_draft_is_saved_and_a_save_that_is_sent_twice_is_once(cast: Cast, alice: APIClient) -> None:
    made = make(alice, cast)
    for _ in range(2):
        answer = save(alice, made, FORM, 1)
        assert (answer.status_code, answer.json()["version"], answer.json()["problems"]) == (200, 2, [])
    draft = alice.get(f"{API}/templates/{made['id']}/draft/").json()
    assert (draft["definition"], draft["version"], draft["changed"]) == (FORM, 2, True)
    assert draft["updated_by"] == "alice"


def test_who_saves_over_a_newer_draft_is_told_and_given_it(cast: Cast, alice: APIClient) -> None:
    made = make(alice, cast)
    erin = client_of(cast.erin)
    assert save(erin, made, FORM, 1).status_code == 200
    answer = save(alice, made, {"components": []}, 1)
    assert (answer.status_code, answer.json()["code"]) == (409, "stale_draft")
    assert answer.json()["draft"]["definition"] == FORM
    assert (answer.json()["draft"]["version"], answer.json()["draft"]["updated_by"]) == (2, "erin")
    assert save(alice, made, {"components": []}, 2).status_code == 200


def test_publishing_makes_a_version_once_for_what_the_draft_says(cast: Cast, alice: APIClient) -> None:
    made = make(alice, cast, definition=FORM)
    first = publish(alice, made, 1, note="The first")
    assert first.status_code == 201
    assert (first.json()["number"], first.json()["note"], first.json()["published_by"]) == (1, "The first", "alice")
    again = publish(alice, made, 1)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert alice.get(f"{API}/templates/{made['id']}/draft/").json()["changed"] is False
    save(alice, made, {"components": [GRID, {**RANK, "levels": 3}]}, 1)
    assert publish(alice, made, 1).json()["code"] == "stale_draft"
    assert publish(alice, made, 2).json()["number"] == 2
    assert alice.get(f"{API}/templates/{made['id']}/").json()["published"] == 2
    versions = alice.get(f"{API}/templates/{made['id']}/versions/").json()["results"]
    assert [version["number"] for version in versions] == [1, 2]
    one = alice.get(f"{API}/templates/{made['id']}/versions/1/").json()
    assert one["definition"]["components"][1]["levels"] == 5
    assert alice.get(f"{API}/templates/{made['id']}/versions/{10**12}/").status_code == 404


def test_differences_are_told_between_any_two_states(cast: Cast, alice: APIClient) -> None:
    made = make(alice, cast, definition=FORM)
    address = f"{API}/templates/{made['id']}/differences/"
    first = alice.get(address).json()
    assert (first["from"], first["to"]) == (0, "draft")
    assert [change["kind"] for change in first["changes"]] == ["added", "added"]
    publish(alice, made, 1)
    save(alice, made, {"components": [GRID, {**RANK, "levels": 3}]}, 1)
    told = alice.get(address).json()
    assert (told["from"], told["to"]) == (1, "draft")
    assert [change["words"] for change in told["changes"]] == ["Ranking “Rank”: at most 5 places → at most 3 places"]
    assert [row["kind"] for row in told["rows"]] == ["same", "changed"]
    assert alice.get(address + "?from=0&to=1").json()["changes"][0]["kind"] == "added"
    assert alice.get(address + "?from=1&to=1").json()["changes"] == []
    for query, status in (("?from=7", 404), ("?to=x", 400), ("?from=draft", 400), ("?from=-1", 400), ("?to=0", 400)):
        assert alice.get(address + query).status_code == status, query
    save(alice, made, {"components": [{"type": "hologram"}]}, 2)
    assert alice.get(address).json()["code"] == "invalid_definition"


def test_the_gallerys_templates_are_everybodys_to_read_and_nobodys_to_change(
    cast: Cast, alice: APIClient, charlie: APIClient
) -> None:
    address = f"{API}/templates/{gallery().pk}/"
    assert charlie.get(address).json()["gallery"] is True
    assert charlie.get(address + "versions/").status_code == 200
    assert charlie.get(address + "differences/").json()["from"] == gallery().latest().number - 1
    assert charlie.get(address + "draft/").status_code == 404
    for refused in (
        alice.patch(address, {"name": "Mine"}),
        alice.delete(address),
        alice.put(address + "draft/", {"definition": FORM, "version": 1}),
        alice.post(address + "versions/", {"draft_version": 1}),
    ):
        assert refused.status_code == 403
        assert "Use and change it" in refused.json()["detail"]
    assert gallery().name != "Mine"


def test_a_projects_templates_are_met_by_its_people_alone(
    cast: Cast, alice: APIClient, bob: APIClient, charlie: APIClient
) -> None:
    made = make(alice, cast, definition=FORM)
    dave = client_of(cast.dave)

    def listed(client: APIClient) -> set[str]:
        return {row["id"] for row in client.get(f"{API}/templates/?page_size=100").json()["results"]}

    assert made["id"] in listed(alice) & listed(dave)
    assert made["id"] not in listed(bob) | listed(charlie)
    assert str(gallery().pk) in listed(bob) & listed(charlie)
    address = f"{API}/templates/{made['id']}/"
    assert [client.get(address).status_code for client in (alice, dave, bob, charlie)] == [200, 200, 403, 404]
    assert [save(client, made, FORM, 1).status_code for client in (charlie, bob, dave)] == [404, 403, 403]
    theirs = {"name": "Copied", "from": made["id"]}
    assert charlie.post(f"{API}/projects/{cast.foreign.pk}/templates/", theirs).json()["fields"].keys() == {"from"}


def test_a_new_project_uses_a_template_that_its_maker_may_read_and_that_has_a_version(
    cast: Cast, alice: APIClient, charlie: APIClient
) -> None:
    made = make(alice, cast, definition=FORM)
    wanted = {"name": "Mine", "template": made["id"]}
    early = alice.post(f"{API}/projects/", wanted)
    assert early.status_code == 400
    assert early.json()["detail"] == "Icons has no published version yet. Publish its draft first."
    publish(alice, made, 1)
    assert charlie.post(f"{API}/projects/", wanted).json()["fields"].keys() == {"template"}
    assert alice.post(f"{API}/projects/", wanted).status_code == 201


def test_a_template_gets_another_name(cast: Cast, alice: APIClient) -> None:
    made = make(alice, cast, description="Four images.")
    changed = alice.patch(f"{API}/templates/{made['id']}/", {"name": "Icons, better"}).json()
    assert (changed["name"], changed["description"]) == ("Icons, better", "Four images.")
    assert changed["key"] == made["key"]
    assert alice.patch(f"{API}/templates/{made['id']}/", {"name": ""}).status_code == 400


def test_the_schema_of_definitions_names_every_component(alice: APIClient) -> None:
    schema = alice.get(f"{API}/templates/schema/").json()
    assert {"ImageGrid", "Ranking"} <= set(schema["$defs"])
