"""Projects, their people, and the invitations that let people in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import transaction
from django.utils import timezone
from easel.accounts.models import User
from easel.accounts.roles import Role
from easel.accounts.services import create_user
from easel.common.errors import Conflict, Forbidden, InvalidInput, Refusal
from easel.projects import services
from easel.projects.models import Invitation, Membership, Project
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, TEMPLATE, Cast, browser_of


def member(cast: Cast, user: User) -> Membership:
    """Return somebody's membership of the project."""
    return Membership.objects.get(project=cast.project, user=user)


def invite(cast: Cast, role: str = Role.ANNOTATOR, **options: Any) -> str:
    """Make an invitation link and return its path."""
    chosen = {"days": 7, "max_uses": 1, **options}
    _, secret = services.invite(cast.project, role, cast.alice, Role.OWNER, timezone.now(), **chosen)
    return f"/invitations/{secret}/"


def test_whoever_makes_a_project_owns_it(cast: Cast, bob: APIClient) -> None:
    made = bob.post(f"{API}/projects/", {"name": "Mine", "template": TEMPLATE, "overlap": 3, "guidelines": "Be kind."})
    assert made.status_code == 201
    assert (made.json()["role"], made.json()["overlap"], made.json()["guidelines"]) == ("owner", 3, "Be kind.")
    assert bob.get(f"{API}/projects/{made.json()['id']}/").json() == made.json()
    assert [row["name"] for row in bob.get(f"{API}/projects/").json()["results"]] == ["Mine", "Icons"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"template": TEMPLATE}, "name"),
        ({"name": "", "template": TEMPLATE}, "name"),
        ({"name": "x" * 101, "template": TEMPLATE}, "name"),
        ({"name": "a\0b", "template": TEMPLATE}, "name"),
        ({"name": "Mine", "template": "nothing"}, "template"),
        ({"name": "Mine", "template": "a\0b"}, "template"),
        ({"name": "Mine", "template": TEMPLATE, "overlap": 0}, "overlap"),
        ({"name": "Mine", "template": TEMPLATE, "overlap": 51}, "overlap"),
        ({"name": "Mine", "template": TEMPLATE, "guidelines": "x" * 20_001}, "guidelines"),
    ],
)
def test_a_wrong_project_is_refused_by_field(cast: Cast, bob: APIClient, body: dict[str, Any], field: str) -> None:
    refused = bob.post(f"{API}/projects/", body)
    assert (refused.status_code, list(refused.json()["fields"])) == (400, [field])
    assert Project.objects.count() == 2


def test_an_invitation_lets_its_bearer_in_with_its_role_once(cast: Cast) -> None:
    link = invite(cast, Role.ENGINEER)
    charlie = browser_of(cast.charlie)
    assert charlie.get(link).status_code == 200
    assert charlie.post(link).status_code == 302
    assert member(cast, cast.charlie).role == "engineer"
    frank = browser_of(create_user("frank", None))
    used = frank.post(link)
    assert used.status_code == 400
    assert "used already" in used.content.decode()
    assert Membership.objects.filter(project=cast.project).count() == 5


def test_an_invitation_for_several_is_used_up_by_as_many(cast: Cast) -> None:
    link = invite(cast, max_uses=2)
    for number in range(3):
        browser_of(create_user(f"guest{number}", None)).post(link)
    assert Membership.objects.filter(project=cast.project, user__username__startswith="guest").count() == 2


def test_an_expired_or_unknown_or_withdrawn_invitation_lets_nobody_in(cast: Cast) -> None:
    charlie = browser_of(cast.charlie)
    expired = invite(cast)
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for act in (charlie.get, charlie.post):
        refused = act(expired)
        assert refused.status_code == 400
        assert "expired" in refused.content.decode()
    assert charlie.post("/invitations/guessed/").status_code == 404
    withdrawn = invite(cast)
    newest = Invitation.objects.latest("created_at")
    browser_of(cast.alice).post(f"/projects/{cast.project.pk}/invitations/{newest.pk}/withdraw/")
    refused = charlie.post(withdrawn)
    assert refused.status_code == 400
    assert "was withdrawn" in refused.content.decode()
    assert not Membership.objects.filter(project=cast.project, user=cast.charlie).exists()


def test_a_member_keeps_the_role_and_the_invitation_its_use(cast: Cast) -> None:
    link = invite(cast, Role.ENGINEER)
    assert browser_of(cast.bob).post(link).status_code == 302
    assert member(cast, cast.bob).role == "annotator"
    assert Invitation.objects.get().uses == 0


def test_a_newcomer_makes_an_account_with_the_invitation(cast: Cast) -> None:
    link = invite(cast)
    newcomer = APIClient()
    weak = newcomer.post(link, {"username": "gina", "password": "12345"}, format="multipart")
    assert "too short" in weak.content.decode()
    taken = newcomer.post(link, {"username": "bob", "password": "a fine long secret"}, format="multipart")
    assert "already exists" in taken.content.decode()
    assert not User.objects.filter(username="gina").exists()

    joined = newcomer.post(link, {"username": "gina", "password": "a fine long secret"}, format="multipart")
    assert joined.status_code == 302
    assert member(cast, User.objects.get(username="gina")).role == "annotator"
    assert newcomer.get("/").status_code == 200


def test_only_the_hash_of_an_invitations_secret_is_kept(cast: Cast) -> None:
    link = invite(cast)
    secret = link.removeprefix("/invitations/").strip("/")
    row = Invitation.objects.values().get()
    assert all(secret not in str(value) for value in row.values())


def test_the_invitation_page_shows_the_link_once(cast: Cast) -> None:
    alice = browser_of(cast.alice)
    address = f"/projects/{cast.project.pk}/people/"
    shown = alice.post(address, {"role": "annotator", "days": 7, "max_uses": 1}, format="multipart")
    link = urlsplit(shown.context["link"]).path
    assert link in shown.content.decode()
    assert link not in alice.get(address).content.decode()
    assert browser_of(cast.charlie).get(link).status_code == 200


def test_two_who_accept_the_same_invitation_at_once_are_one_member(committed_cast: Cast) -> None:
    secret = invite(committed_cast).split("/")[2]
    guests = [create_user(f"guest{number}", None) for number in range(6)]

    def accept(number: int) -> bool:
        try:
            services.accept_invitation(secret, guests[number], timezone.now())
        except InvalidInput:
            return False
        return True

    assert sum(stage.in_parallel(6, accept)) == 1
    assert Membership.objects.filter(user__in=guests).count() == 1
    assert Invitation.objects.get().uses == 1


def test_of_two_newcomers_at_once_only_one_gets_in_and_the_other_has_no_account(committed_cast: Cast) -> None:
    link = invite(committed_cast)

    def join(number: int) -> int:
        body = {"username": f"guest{number}", "password": "a fine long secret"}
        return int(APIClient().post(link, body, format="multipart").status_code)

    assert sorted(stage.in_parallel(4, join)) == [302, 400, 400, 400]
    assert User.objects.filter(username__startswith="guest").count() == 1


def test_an_invitation_that_was_used_up_in_the_meantime_leaves_no_account(cast: Cast) -> None:
    link = invite(cast)
    Invitation.objects.update(uses=1)
    refused = APIClient().post(link, {"username": "gina", "password": "a fine long secret"}, format="multipart")
    assert refused.status_code == 400
    assert not User.objects.filter(username="gina").exists()


def test_the_last_owner_cannot_leave_or_step_down(cast: Cast) -> None:
    alice = browser_of(cast.alice)
    row = member(cast, cast.alice)
    remove = alice.post(f"/projects/{cast.project.pk}/people/{row.pk}/remove/")
    demote = alice.post(f"/projects/{cast.project.pk}/people/{row.pk}/", {"role": "admin"}, format="multipart")
    assert (remove.status_code, demote.status_code) == (409, 409)
    assert "last owner" in remove.content.decode()
    assert member(cast, cast.alice).role == "owner"


def test_an_admin_touches_no_owner_and_makes_none(cast: Cast) -> None:
    alices, bobs = member(cast, cast.alice), member(cast, cast.bob)
    services.add_member(cast.project, cast.dave, Role.OWNER, timezone.now())
    acts: list[Callable[[], object]] = [
        lambda: services.remove_member(alices, Role.ADMIN),
        lambda: services.change_role(alices, Role.ANNOTATOR, Role.ADMIN),
        lambda: services.change_role(bobs, Role.OWNER, Role.ADMIN),
        lambda: services.invite(cast.project, Role.OWNER, cast.erin, Role.ADMIN, timezone.now(), days=1, max_uses=1),
    ]
    for act in acts:
        with pytest.raises(Forbidden), transaction.atomic():
            act()
    services.change_role(bobs, Role.ENGINEER, Role.ADMIN)
    assert member(cast, cast.bob).role == "engineer"


def test_two_owners_who_remove_each_other_at_once_do_not_both_succeed(committed_cast: Cast) -> None:
    cast = committed_cast
    services.add_member(cast.project, cast.bob, Role.OWNER, timezone.now())
    for _ in range(5):
        both = [member(cast, cast.alice), member(cast, cast.bob)]

        def remove(number: int, both: list[Membership] = both) -> bool:
            try:
                services.remove_member(both[number], Role.OWNER)
            except Conflict:
                return False
            return True

        assert sorted(stage.in_parallel(2, remove)) == [False, True]
        assert Membership.objects.owners(cast.project).count() == 1
        for owner in (cast.alice, cast.bob):
            services.add_member(cast.project, owner, Role.OWNER, timezone.now())


def test_making_somebody_a_member_again_never_leaves_a_project_without_an_owner(cast: Cast) -> None:
    with pytest.raises(Refusal), transaction.atomic():
        services.add_member(cast.project, cast.alice, Role.ANNOTATOR, timezone.now())
    assert member(cast, cast.alice).role == "owner"


def test_the_settings_page_changes_name_and_guidelines(cast: Cast) -> None:
    address = f"/projects/{cast.project.pk}/settings/"
    body = {"name": "Icons 2", "guidelines": "# Be *kind*"}
    assert browser_of(cast.erin).post(address, body, format="multipart").status_code == 302
    project = Project.objects.get(pk=cast.project.pk)
    assert (project.name, project.guidelines) == ("Icons 2", "# Be *kind*")


def test_guidelines_cannot_run_anything() -> None:
    from easel.projects.text import to_html

    html = to_html(
        "# Hi\n<script>alert(1)</script>\n\n[a](javascript:alert(1)) [b](https://x.y) ![c](x onerror=alert(1))\n\n"
        '<img src=x onerror="alert(1)">\n\n<a href="data:text/html,x">d</a>'
    )
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert '<a href="data' not in html
    assert '<a href="https://x.y"' in html
