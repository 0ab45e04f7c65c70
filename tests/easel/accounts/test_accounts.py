"""Sign-in, tokens, and what a dump of the database gives away."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from easel.accounts.models import ApiToken, User
from easel.accounts.services import create_token, create_user
from easel.common.errors import InvalidInput
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from tests.cast import API, Cast, browser_of, in_parallel

PASSWORD = "a fine long secret"


def me(key: str) -> APIClient:
    """Return a client with that token."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    return client


def status_of(key: str) -> int:
    """Ask who a token is."""
    return int(me(key).get(f"{API}/me/").status_code)


def test_a_token_signs_in_with_one_statement(cast: Cast, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    _, key = create_token(cast.bob, "script")
    assert key.startswith("easel_")
    client = me(key)
    with django_assert_num_queries(1):
        answer = client.get(f"{API}/me/")
    assert answer.json() == {"id": str(cast.bob.pk), "username": "bob", "kind": "human"}


def test_a_dump_of_the_database_cannot_sign_in(cast: Cast) -> None:
    token, key = create_token(cast.bob, "script")
    row = ApiToken.objects.values().get(pk=token.pk)
    assert all(key not in str(value) for value in row.values())
    for stored in (row["digest"], row["token_key"], f"easel_{row['digest']}"):
        assert status_of(stored) == 401


def test_an_expired_or_deleted_token_is_refused_and_the_others_stay(cast: Cast) -> None:
    _, stays = create_token(cast.bob, "stays")
    expired, expired_key = create_token(cast.bob, "expired")
    deleted, deleted_key = create_token(cast.bob, "deleted")
    ApiToken.objects.filter(pk=expired.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    browser = browser_of(cast.bob)
    assert browser.post(f"/account/tokens/{deleted.token_key}/delete/").status_code == 302
    assert [status_of(key) for key in (stays, expired_key, deleted_key)] == [200, 401, 401]


def test_a_token_without_an_end_works_and_an_inactive_account_does_not(cast: Cast) -> None:
    _, key = create_token(cast.bob, "for ever", lifetime=None)
    assert status_of(key) == 200
    User.objects.filter(pk=cast.bob.pk).update(is_active=False)
    assert status_of(key) == 401


def test_a_token_is_made_and_shown_once_on_the_account_page(cast: Cast) -> None:
    browser = browser_of(cast.bob)
    shown = browser.post("/account/", {"name": "laptop"}, format="multipart")
    key = shown.context["key"]
    assert key in shown.content.decode()
    assert status_of(key) == 200
    page = browser.get("/account/").content.decode()
    assert "laptop" in page
    assert key not in page


def test_nobody_deletes_another_ones_token(cast: Cast) -> None:
    token, key = create_token(cast.bob, "script")
    for address in (f"/account/tokens/{token.token_key}/delete/", "/account/tokens/%00/delete/"):
        assert browser_of(cast.alice).post(address).status_code == 404
    assert status_of(key) == 200


def test_a_session_needs_the_csrf_token_and_a_token_does_not(cast: Cast) -> None:
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(cast.bob)
    assert browser.get(f"{API}/me/").status_code == 200
    refused = browser.post(f"{API}/projects/", {"name": "Mine", "template": "x"})
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")


def test_signing_in_leads_on_and_never_elsewhere(cast: Cast) -> None:
    create_user("gina", PASSWORD)
    for target, place in (("/account/", "/account/"), ("https://evil.example/", "/")):
        body = {"username": "gina", "password": PASSWORD, "next": target}
        answer = APIClient().post("/sign-in/", body, format="multipart")
        assert (answer.status_code, answer["Location"]) == (302, place)
    asked = APIClient().get(f"/projects/{cast.project.pk}/")
    assert asked["Location"] == f"/sign-in/?next=/projects/{cast.project.pk}/"


def test_ten_wrong_guesses_lock_that_name_for_that_address_and_nobody_else(cast: Cast) -> None:
    create_user("gina", PASSWORD)
    guesser = APIClient(REMOTE_ADDR="10.0.0.1")
    for _ in range(10):
        last = guesser.post("/sign-in/", {"username": "gina", "password": "guess"}, format="multipart")
    assert last.status_code == 429
    right = {"username": "gina", "password": PASSWORD}
    assert guesser.post("/sign-in/", right, format="multipart").status_code == 429
    assert APIClient(REMOTE_ADDR="10.0.0.2").post("/sign-in/", right, format="multipart").status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("username", "password", "field"),
    [
        ("", PASSWORD, "username"),
        ("a b", PASSWORD, "username"),
        ("a\0b", PASSWORD, "username"),
        ("x" * 151, PASSWORD, "username"),
        ("gina", "short", "password"),
        ("gina", "1234567890", "password"),
        ("gina-the-great", "gina-the-great", "password"),
    ],
)
def test_a_wrong_account_is_refused_by_field(username: str, password: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        create_user(username, password)
    assert list(caught.value.fields) == [field]
    assert not User.objects.exists()


def test_of_two_who_take_a_name_at_once_one_is_told_that_it_is_taken(transactional_db: None) -> None:
    def take(_: int) -> list[str]:
        try:
            create_user("gina", None)
        except InvalidInput as refusal:
            return list(refusal.fields)
        return []

    assert sorted(in_parallel(4, take)) == [[], ["username"], ["username"], ["username"]]
    assert User.objects.count() == 1


def test_an_account_without_a_password_cannot_sign_in_on_the_page(cast: Cast) -> None:
    for password in ("", "!", cast.bob.password):
        answer = APIClient().post("/sign-in/", {"username": "bob", "password": password}, format="multipart")
        assert answer.status_code == 200
        assert "_auth_user_id" not in answer.wsgi_request.session
