"""Bodies that no field would ever see: half characters, endless nesting, infinite numbers, bad cursors and headers."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest
from easel.annotation.models import Assignment
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"name": "\\ud800"}', "half a character"),
        ('{"\\udfff": 1}', "half a character"),
        ('{"name": 1e999}', "not finite"),
        ('{"name": NaN}', "JSON parse error"),
        ('{"name": ' + DEEP + "}", "nested"),
        ('{"name": ' + "[" * 50 + "]" * 50 + "}", "nested deeper than 20"),
        ("{", "JSON parse error"),
        ("", "required"),
        ("\xff", "JSON parse error"),
        ("[]", "Expected a dictionary"),
    ],
)
def test_a_body_that_cannot_be_kept_is_refused(alice: APIClient, body: str, message: str) -> None:
    raw: Any = body.encode("latin-1")
    answer = alice.generic("POST", f"{API}/projects/", raw, content_type="application/json")
    assert answer.status_code == 400
    assert set(answer.json()) >= {"code", "detail"}
    assert message in answer.json()["detail"]


def test_another_content_type_is_refused(alice: APIClient) -> None:
    answer = alice.generic("POST", f"{API}/projects/", "a=b", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_media_type"


def test_a_draft_with_a_zero_character_is_refused_and_the_old_one_stays(cast: Cast, bob: APIClient) -> None:
    stage.make_items(cast, 1)
    assignment = stage.lease(cast.project, cast.bob)
    address = f"{API}/assignments/{assignment.pk}/draft/"
    for answers in ({"why": "a\0b"}, {"a\0b": "why"}, {"why": "x" * 70_000}):
        answer = bob.put(address, {"answers": answers, "version": 0})
        assert answer.status_code == 400
        assert answer.json()["code"] == "invalid"
    assert Assignment.objects.get(pk=assignment.pk).draft is None


@pytest.mark.parametrize("position", ["abc", "", "\0", "1", "é"])
def test_a_forged_cursor_is_refused(cast: Cast, alice: APIClient, position: str) -> None:
    cursor = base64.b64encode(f"p={quote(position)}".encode()).decode()
    for address in (f"{API}/projects/{cast.project.pk}/prompts/", f"{API}/models/", f"{API}/projects/"):
        answer = alice.get(address, {"cursor": cursor})
        assert answer.status_code in {200, 404}
    assert alice.get(f"{API}/models/", {"cursor": "abcde"}).status_code == 404


@pytest.mark.parametrize("size", ["0", "-1", "a", "9999999999999999999999", "", "٣"])
def test_a_strange_page_size_is_the_default(alice: APIClient, size: str) -> None:
    assert alice.get(f"{API}/models/", {"page_size": size}).status_code == 200


@pytest.mark.parametrize(
    "header", [b"Token", b"Token a b", b"Token \xff\xfe", b"Token \x00", b"Basic YTpi", b"x" * 9_000]
)
@pytest.mark.django_db
def test_a_strange_authorization_header_is_no_sign_in(header: bytes) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header.decode("latin-1"))
    answer = client.get(f"{API}/me/")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Token"
    assert set(answer.json()) == {"code", "detail"}


def test_an_unknown_address_is_answered_in_json_below_api_and_with_a_page_elsewhere(alice: APIClient) -> None:
    assert alice.get(f"{API}/nothing/").json()["code"] == "not_found"
    assert alice.get(f"{API}/projects/7/").json()["code"] == "not_found"
    page = alice.get("/nothing/")
    assert page.status_code == 404
    assert page["Content-Type"].startswith("text/html")
