"""Members who are paused, limited, deactivated and let in again; pages, REST and what each of them reads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from easel.accounts.models import User
from easel.accounts.roles import ALLOWED, TELLS, Act, Role, table
from easel.annotation.models import Annotation, Assignment, Record
from easel.env import REPOSITORY
from easel.projects import services
from easel.projects.models import Invitation, Membership, Notice, Project
from easel.projects.notices import notify, put_away
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast, browser_of, client_of


def membership(cast: Cast, user: User) -> Membership:
    """Return somebody's membership of the project."""
    return Membership.objects.get(project=cast.project, user=user)


def address(cast: Cast, user: User, rest: str = "") -> str:
    """Return the REST address of a member."""
    return f"{API}/projects/{cast.project.pk}/members/{membership(cast, user).pk}/{rest}"


def page(cast: Cast, user: User, rest: str = "") -> str:
    """Return the address of a member's page."""
    return f"/projects/{cast.project.pk}/people/{membership(cast, user).pk}/{rest}"


def test_somebody_deactivated_is_a_stranger_and_what_they_did_keeps_their_name(committed_cast: Cast) -> None:
    cast = committed_cast
    alice = client_of(cast.alice)
    stage.make_items(cast, 2)
    stage.annotate(cast.project, cast.bob, 1)
    held = stage.lease(cast.project, cast.bob)
    bob = client_of(cast.bob)

    told = alice.put(address(cast, cast.bob, "deactivation/"))
    assert (told.status_code, told.json()["state"], told.json()["submitted"]) == (200, "deactivated", 1)
    for path in (f"projects/{cast.project.pk}/", f"assignments/{held.pk}/"):
        assert bob.get(f"{API}/{path}").status_code == 404
    assert bob.post(f"{API}/projects/{cast.project.pk}/assignments/").status_code == 404
    assert bob.get(f"{API}/projects/").json()["results"] == []
    assert Annotation.objects.get().annotator == cast.bob
    shown = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/annotations/").content.decode()
    assert "bob" in shown

    alice.delete(address(cast, cast.bob, "deactivation/"))
    assert bob.get(f"{API}/projects/{cast.project.pk}/").json()["role"] == "annotator"


def test_what_a_deactivated_person_held_goes_to_others_at_once(committed_cast: Cast) -> None:
    cast = committed_cast
    (item,) = stage.make_items(cast, 1)
    stage.lease(cast.project, cast.bob)
    erin = client_of(cast.erin)
    ask = f"{API}/projects/{cast.project.pk}/assignments/"
    assert erin.post(ask).status_code == 204
    said = browser_of(cast.alice).post(page(cast, cast.bob, "deactivate/"), follow=True)
    assert "What they had open goes to others." in said.content.decode()
    assert erin.post(ask).json()["item"]["id"] == str(item.pk)


def test_one_who_no_longer_ranks_holds_nothing(cast: Cast, alice: APIClient) -> None:
    stage.make_items(cast, 1)
    held = stage.lease(cast.project, cast.bob)
    assert alice.patch(address(cast, cast.bob), {"role": "viewer"}).json()["role"] == "viewer"
    assert Assignment.objects.get(pk=held.pk).expires_at <= timezone.now()


def test_no_invitation_brings_back_who_was_deactivated(cast: Cast) -> None:
    _, secret = services.invite(cast.project, "annotator", cast.alice, Role.OWNER, timezone.now(), days=1, max_uses=1)
    services.deactivate_member(membership(cast, cast.bob), Role.OWNER, timezone.now())
    bob = browser_of(cast.bob)
    for act in (bob.get, bob.post):
        refused = act(f"/invitations/{secret}/")
        assert refused.status_code == 403
        assert "You were deactivated in Icons" in refused.content.decode()
    assert Invitation.objects.get().uses == 0
    assert membership(cast, cast.bob).state == "deactivated"


def test_the_last_owner_is_neither_removed_nor_demoted_nor_deactivated(cast: Cast, alice: APIClient) -> None:
    mine = address(cast, cast.alice)
    answers = [
        alice.delete(mine),
        alice.patch(mine, {"role": "admin"}),
        alice.put(f"{mine}deactivation/"),
        browser_of(cast.alice).post(page(cast, cast.alice, "deactivate/")),
    ]
    assert {answer.status_code for answer in answers} == {409}
    assert answers[0].json()["detail"] == "This is the project's last owner. Make somebody else an owner first."
    assert membership(cast, cast.alice).state == "active"


def test_an_owner_who_is_deactivated_is_none_that_counts(cast: Cast, alice: APIClient) -> None:
    alice.patch(address(cast, cast.bob), {"role": "owner"})
    assert alice.put(address(cast, cast.bob, "deactivation/")).status_code == 200
    assert alice.put(address(cast, cast.alice, "deactivation/")).status_code == 409
    erin = client_of(cast.erin)  # an admin
    assert erin.delete(address(cast, cast.bob, "deactivation/")).status_code == 403
    assert erin.delete(address(cast, cast.bob)).status_code == 403


def test_who_is_paused_keeps_the_first_moment_and_the_last_reason(cast: Cast, alice: APIClient) -> None:
    first = alice.put(address(cast, cast.bob, "pause/"), {"reason": "  Look at\n your gold. "}).json()
    again = alice.put(address(cast, cast.bob, "pause/"), {"reason": "Wait."}).json()
    assert (first["state"], first["pause_reason"], again["pause_reason"]) == ("paused", "Look at your gold.", "Wait.")
    assert first["paused_at"] == again["paused_at"]
    resumed = alice.delete(address(cast, cast.bob, "pause/")).json()
    assert (resumed["state"], resumed["paused_at"], resumed["pause_reason"]) == ("active", None, "")


@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 301, None])
def test_a_pause_has_a_reason_of_one_line(cast: Cast, alice: APIClient, reason: str | None) -> None:
    for path in (address(cast, cast.bob, "pause/"), f"{API}/projects/{cast.project.pk}/pause/"):
        refused = alice.put(path, {} if reason is None else {"reason": reason})
        assert (refused.status_code, list(refused.json()["fields"])) == (400, ["reason"])
    sent = {"reason": reason or ""}
    assert browser_of(cast.alice).post(page(cast, cast.bob, "pause/"), sent, format="multipart").status_code == 400
    assert membership(cast, cast.bob).state == "active"


def test_a_pause_takes_effect_at_the_next_lease_and_its_reason_is_read(committed_cast: Cast) -> None:
    cast = committed_cast
    alice = client_of(cast.alice)
    stage.make_items(cast, 2)
    bob = client_of(cast.bob)
    ask = f"{API}/projects/{cast.project.pk}/assignments/"
    held = bob.post(ask).json()
    for path in (address(cast, cast.bob, "pause/"), f"{API}/projects/{cast.project.pk}/pause/"):
        alice.put(path, {"reason": "The guidelines change."})
        refused = bob.post(ask, {"holding": [held["id"]]})
        assert (refused.status_code, refused.json()["code"]) == (403, "paused")
        assert "The guidelines change." in refused.json()["detail"]
        alice.delete(path)
    assert bob.post(ask, {"holding": [held["id"]]}).status_code == 201


def test_who_failed_the_training_is_not_resumed_past_it(cast: Cast, alice: APIClient) -> None:
    Project.objects.update(training_required=True)
    services.pause_member(membership(cast, cast.bob), "You answered 5 of 10 as expected.", timezone.now())
    Record.objects.create(project=cast.project, annotator=cast.bob, training=10, training_passed=5)
    refused = alice.delete(address(cast, cast.bob, "pause/"))
    assert (refused.status_code, "Let them pass, or give them another round" in refused.json()["detail"]) == (409, True)
    Record.objects.update(trained_at=timezone.now())
    assert alice.delete(address(cast, cast.bob, "pause/")).json()["state"] == "active"


def test_an_own_limit_goes_before_the_projects(committed_cast: Cast) -> None:
    cast = committed_cast
    alice = client_of(cast.alice)
    stage.make_items(cast, 3)
    Project.objects.update(limit_day=1)
    stage.annotate(cast.project, cast.bob, 1)
    bob = client_of(cast.bob)
    ask = f"{API}/projects/{cast.project.pk}/assignments/"
    assert bob.post(ask).json()["code"] == "limit_reached"
    alice.patch(address(cast, cast.bob), {"limit_day": 2})
    assert bob.post(ask).status_code == 201
    shown = alice.get(address(cast, cast.bob)).json()
    assert (shown["limit_day"], shown["limit_total"], shown["role"]) == (2, None, "annotator")
    alice.patch(address(cast, cast.bob), {"limit_day": None})
    assert membership(cast, cast.bob).limit_day is None


@pytest.mark.parametrize(
    ("body", "field"),
    [({"role": "boss"}, "role"), ({"limit_day": -1}, "limit_day"), ({"limit_total": 1_000_001}, "limit_total")],
)
def test_a_wrong_change_of_a_member_is_refused_by_field(
    cast: Cast, alice: APIClient, body: dict[str, Any], field: str
) -> None:
    refused = alice.patch(address(cast, cast.bob), {"role": "engineer", **body})
    assert (refused.status_code, list(refused.json()["fields"])) == (400, [field])
    assert membership(cast, cast.bob).role == "annotator"


def test_the_page_of_a_member_changes_role_and_limits_and_keeps_what_is_wrong(cast: Cast) -> None:
    alice = browser_of(cast.alice)
    wrong = alice.post(page(cast, cast.bob), {"role": "reviewer", "limit_day": "many"}, format="multipart")
    assert "Enter a whole number." in wrong.content.decode()
    saved = alice.post(page(cast, cast.bob), {"role": "reviewer", "limit_day": 40}, format="multipart", follow=True)
    assert "of 40" in saved.content.decode()
    bob = membership(cast, cast.bob)
    assert (bob.role, bob.limit_day, bob.limit_total) == ("reviewer", 40, None)
    erin = browser_of(cast.erin)
    assert erin.post(page(cast, cast.bob), {"role": "owner"}, format="multipart").status_code == 200
    assert membership(cast, cast.bob).role == "reviewer"
    assert "Only an owner changes owners" in erin.get(page(cast, cast.alice)).content.decode()


def test_people_are_listed_with_state_work_and_found_by_name(cast: Cast, alice: APIClient) -> None:
    stage.make_items(cast, 1)
    stage.annotate(cast.project, cast.bob, 1)
    services.pause_member(membership(cast, cast.dave), "Holiday.", timezone.now())
    listed = f"{API}/projects/{cast.project.pk}/members/"
    rows = {row["user"]["username"]: row for row in alice.get(listed).json()["results"]}
    assert list(rows) == ["alice", "bob", "dave", "erin"]
    assert (rows["bob"]["submitted"], rows["dave"]["state"]) == (1, "paused")
    assert rows["bob"]["last_active"] is not None
    assert [row["user"]["username"] for row in alice.get(listed, {"state": "paused"}).json()["results"]] == ["dave"]
    assert [row["user"]["username"] for row in alice.get(listed, {"q": "RI"}).json()["results"]] == ["erin"]
    browser = browser_of(cast.alice)
    people = f"/projects/{cast.project.pk}/people/"
    assert "Holiday." in browser.get(people).content.decode()
    assert 'role="search"' not in browser.get(people).content.decode()
    for number in range(17):
        stage.make_user(f"guest{number}", cast.project)
    assert 'role="search"' in browser.get(people).content.decode()
    found = browser.get(people, {"q": "guest1"}).content.decode()
    assert ("guest16" in found, "guest2<" in found) == (True, False)
    assert "Nobody found" in browser.get(people, {"q": "zoe"}).content.decode()


def test_more_people_than_a_page_holds_are_on_the_next(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easel.annotation.people.views.ROWS", 3)
    browser = browser_of(cast.alice)
    first = browser.get(f"/projects/{cast.project.pk}/people/")
    rest = browser.get(f"/projects/{cast.project.pk}/people/", {"after": first.context["after"]})
    assert [[member.user.username for member, _ in one.context["rows"]] for one in (first, rest)] == [
        ["alice", "bob", "dave"],
        ["erin"],
    ]


def test_invitations_by_rest_tell_their_link_once_and_their_state(cast: Cast, alice: APIClient) -> None:
    invitations = f"{API}/projects/{cast.project.pk}/invitations/"
    made = alice.post(invitations, {"role": "reviewer", "days": 2, "max_uses": 1})
    assert (made.status_code, made.json()["state"], made.json()["role"]) == (201, "open", "reviewer")
    path = made.json()["link"].removeprefix("http://testserver")
    assert browser_of(cast.charlie).post(path).status_code == 302
    assert membership(cast, cast.charlie).role == "reviewer"
    expired = alice.post(invitations, {"role": "viewer"}).json()
    Invitation.objects.filter(pk=expired["id"]).update(expires_at=timezone.now() - timedelta(seconds=1))
    withdrawn = alice.post(invitations, {"role": "viewer"}).json()
    assert alice.delete(f"{invitations}{withdrawn['id']}/").status_code == 204
    listed = alice.get(invitations)
    assert [row["state"] for row in listed.json()["results"]] == ["withdrawn", "expired", "used"]
    assert "link" not in listed.content.decode()
    frank = APIClient()
    lines = {path: "used already", expired["link"]: "expired on", withdrawn["link"]: "was withdrawn"}
    for link, line in lines.items():
        refused = frank.get(link.removeprefix("http://testserver"))
        assert (refused.status_code, line in refused.content.decode()) == (400, True)


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "role"), ({"role": "annotator", "days": 91}, "days"), ({"role": "annotator", "max_uses": 0}, "max_uses")],
)
def test_a_wrong_invitation_is_refused_by_field(cast: Cast, alice: APIClient, body: dict[str, Any], field: str) -> None:
    refused = alice.post(f"{API}/projects/{cast.project.pk}/invitations/", body)
    assert (refused.status_code, list(refused.json()["fields"])) == (400, [field])
    owner = client_of(cast.erin).post(f"{API}/projects/{cast.project.pk}/invitations/", {"role": "owner"})
    assert owner.status_code == 403


def test_a_notice_is_told_once_until_somebody_puts_it_away(cast: Cast, alice: APIClient) -> None:
    at = timezone.now()
    for _ in range(2):
        notify(cast.project, "gold_failed", "bob missed 4 of 10.", at, about=cast.bob)
        notify(cast.project, "recounted", "The overlap has changed.", at)
    notify(cast.project, "gold_failed", "dave missed 5 of 10.", at, about=cast.dave)
    notices = f"{API}/projects/{cast.project.pk}/notices/"
    rows = alice.get(notices).json()["results"]
    assert [row["text"] for row in rows] == ["dave missed 5 of 10.", "The overlap has changed.", "bob missed 4 of 10."]
    for path in ("", "people/"):
        assert (
            "bob missed 4 of 10." in browser_of(cast.alice).get(f"/projects/{cast.project.pk}/{path}").content.decode()
        )
    assert "bob missed" not in browser_of(cast.dave).get(f"/projects/{cast.project.pk}/").content.decode()

    seen = alice.post(f"{API}/notices/{rows[2]['id']}/seen/").json()
    assert seen["seen_by"]["username"] == "alice"
    put_away(Notice.objects.get(pk=rows[2]["id"]), cast.erin, at)
    assert Notice.objects.get(pk=rows[2]["id"]).seen_by == cast.alice
    assert len(alice.get(notices).json()["results"]) == 2
    assert len(alice.get(notices, {"seen": "true"}).json()["results"]) == 3
    notify(cast.project, "gold_failed", "bob missed 5 of 10.", at, about=cast.bob)
    assert len(alice.get(notices).json()["results"]) == 3
    for row in list(Notice.objects.unseen(cast.project)):
        sent = browser_of(cast.erin).post(f"/notices/{row.pk}/seen/", {"back": "overview"}, format="multipart")
        assert sent.headers["Location"] == f"/projects/{cast.project.pk}/"
    assert not Notice.objects.unseen(cast.project).exists()


def test_a_notice_that_many_notice_at_once_is_one(committed_cast: Cast) -> None:
    cast = committed_cast
    stage.in_parallel(6, lambda _: notify(cast.project, "gold_failed", "Look.", timezone.now(), about=cast.bob))
    stage.in_parallel(6, lambda _: notify(cast.project, "recounted", "Look.", timezone.now()))
    assert Notice.objects.count() == 2


def test_a_paused_project_says_so_to_its_members(cast: Cast, alice: APIClient) -> None:
    browser = browser_of(cast.alice)
    sent = browser.post(
        f"/projects/{cast.project.pk}/pause/", {"reason": "Back on Monday."}, format="multipart", follow=True
    )
    assert "Back on Monday." in sent.content.decode()
    assert "Back on Monday." in browser.get(f"/projects/{cast.project.pk}/").content.decode()
    told = client_of(cast.bob).get(f"{API}/projects/{cast.project.pk}/").json()
    assert (told["pause_reason"], told["paused_at"] is None) == ("Back on Monday.", False)
    browser.post(f"/projects/{cast.project.pk}/resume/")
    assert Project.objects.get(pk=cast.project.pk).paused_at is None


def test_every_role_is_told_in_words_and_the_table_says_what_holds() -> None:
    assert set(TELLS) == set(Role.values) == set(ALLOWED)
    rows = dict(table())
    assert rows[Act.REVIEW.value] == [Act.REVIEW in ALLOWED[role] for role in Role.values]
    assert len(rows) == len(Act)


def test_the_documentation_says_what_each_role_may_do() -> None:
    text = (REPOSITORY / "docs" / "howto" / "people.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    told = {row[0]: [cell == "yes" for cell in row[1:]] for row in rows if len(row) == len(Role.values) + 1 and row[0]}
    assert told == dict(table())
