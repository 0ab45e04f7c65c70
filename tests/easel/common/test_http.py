"""What a page answers where there is nothing to show."""

from __future__ import annotations

from tests.cast import Cast, browser_of, client_of


def test_an_address_that_only_forms_send_to_says_so_to_who_opens_it(cast: Cast) -> None:
    opened = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/gold/waiting/")
    assert (opened.status_code, opened.headers["Allow"]) == (405, "POST")
    assert "only a form sends to it" in opened.content.decode()
    assert browser_of(cast.alice).put(f"/projects/{cast.project.pk}/gold/waiting/").content == b""
    asked = client_of(cast.alice).get(f"/api/v1/projects/{cast.project.pk}/gold/waiting/")
    assert asked.json()["code"] == "method_not_allowed"
