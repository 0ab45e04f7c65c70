"""Everybody is led to the pages that they may open, and to no others."""

from __future__ import annotations

import pytest
from django.urls import reverse
from easel.accounts.roles import Role
from easel.projects.navigation import SECTIONS, sections_for
from easel.urls import urlpatterns

from tests.cast import Cast, browser_of, make_user

NAMES = {getattr(pattern, "name", None) for pattern in urlpatterns}


@pytest.mark.parametrize("role", [role for role in Role if role != Role.OWNER])
def test_each_page_that_a_role_is_led_to_opens(cast: Cast, role: Role) -> None:
    browser = browser_of(make_user(f"a-{role}", cast.project, role))
    entries = [entry for section in sections_for(role, "") for entry in section.entries]
    assert entries
    for entry in entries:
        answer = browser.get(reverse(entry.url, args=[cast.project.pk]))
        assert answer.status_code == 200, entry.url
        if entry.url != "rank":
            assert f'aria-current="page">{entry.label}' in answer.content.decode(), entry.url


def test_every_address_in_the_table_exists_once() -> None:
    entries = [entry for section in SECTIONS for entry in section.entries]
    named = [name for entry in entries for name in (entry.url, *entry.also)]
    assert set(named) <= NAMES
    assert len(named) == len(set(named))


def test_an_annotator_is_led_to_ranking_and_their_own_work_alone() -> None:
    assert [section.label for section in sections_for(Role.ANNOTATOR, "rank")] == ["Rank", "Your work"]


def test_an_owner_finds_a_page_below_its_section() -> None:
    shown = [section for section in sections_for(Role.OWNER, "snapshot") if section.state]
    assert [(section.label, section.state) for section in shown] == [("Models", "true")]
    assert [entry.state for entry in shown[0].entries] == ["true", "", "", ""]
