"""A project's settings: sections of the page, REST, and an overlap that the items follow."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from easel.annotation.distribution import recount_all
from easel.annotation.models import Item, Recount
from easel.annotation.settings.services import AGREE, preset_of
from easel.annotation.stopping import Rule
from easel.projects.models import Project
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast, browser_of, client_of

SHARES = {"gold_share": 5, "gold_share_first": 30, "repeat_share": 0}


def page(cast: Cast) -> str:
    """Return the address of the settings page."""
    return f"/projects/{cast.project.pk}/settings/"


def save(cast: Cast, section: str, **body: Any) -> Any:
    """Save a section of the page as its owner; returns the page that follows."""
    sent = {"section": section, **body}
    return browser_of(cast.alice).post(page(cast), sent, format="multipart", follow=True)


def fresh(cast: Cast) -> Project:
    """Return the project as it is stored."""
    return Project.objects.get(pk=cast.project.pk)


def more_annotators(cast: Cast, count: int) -> None:
    """Let more people rank; alice, bob and erin do already."""
    for number in range(count):
        stage.make_user(f"guest{number}", cast.project)


@pytest.mark.parametrize(
    ("section", "body", "stored"),
    [
        (
            "limits",
            {"limit_day": 50, "limit_total": "", "selection": "active"},
            {"limit_day": 50, "selection": "active"},
        ),
        (
            "gold",
            SHARES,
            {**SHARES, "training_required": False},
        ),
        ("review", {"review_share": 15}, {"review_share": 15}),
        ("sensitive", {"others": "war, , surgery ,war"}, {"sensitive_categories": ["war", "surgery"]}),
        ("costs", {"hourly_cost": "21.50"}, {"hourly_cost": Decimal("21.50")}),
        ("about", {"name": "Icons 2", "guidelines": "Be kind."}, {"name": "Icons 2", "live_quota_person": 500}),
    ],
)
def test_a_section_is_saved_by_itself(cast: Cast, section: str, body: dict[str, Any], stored: dict[str, Any]) -> None:
    before = fresh(cast)
    assert "Saved." in save(cast, section, **body).content.decode()
    after = fresh(cast)
    assert {name: getattr(after, name) for name in stored} == stored
    unsaid = {field.attname for field in Project._meta.concrete_fields} - {*stored, *body}
    assert {name: getattr(after, name) for name in unsaid} == {name: getattr(before, name) for name in unsaid}


@pytest.mark.parametrize(
    ("section", "body", "line"),
    [
        ("gold", {"gold_share": 51, "gold_share_first": 25, "repeat_share": 3}, "less than or equal to 50"),
        ("limits", {"limit_day": -1, "selection": "queue"}, "greater than or equal to 0"),
        ("limits", {"selection": "best"}, "not one of the available choices"),
        ("costs", {"hourly_cost": "a lot"}, "Enter a number."),
        ("sensitive", {"others": "x" * 101}, "is longer than 100 characters"),
        ("overlap", {"preset": "exactly"}, "Say how many."),
        ("overlap", {"preset": "own", "start": 3, "lead": 1, "cap": 2}, "less than the first 3; raise it."),
        (
            "gold",
            {"gold_share": 1, "gold_share_first": 1, "repeat_share": 1, "training_required": "on"},
            "training items",
        ),
    ],
)
def test_what_is_wrong_stands_in_its_section_and_changes_nothing(
    cast: Cast, section: str, body: dict[str, Any], line: str
) -> None:
    before = Project.objects.values().get(pk=cast.project.pk)
    shown = save(cast, section, **body)
    text = shown.content.decode()
    start = text.index(f'id="{section}"')
    assert line in text[start : text.index("</form>", start)]
    assert Project.objects.values().get(pk=cast.project.pk) == before


def test_an_unknown_section_is_refused_in_one_line(cast: Cast) -> None:
    refused = save(cast, "colour")
    assert (refused.status_code, "There is no section “colour”" in refused.content.decode()) == (400, True)


def test_an_overlap_above_the_number_of_people_is_refused(cast: Cast, alice: APIClient) -> None:
    shown = save(cast, "overlap", preset="agree").content.decode()
    line = "5 annotators an item are too many: the project has 3 people who rank. Invite more, or ask for less."
    assert line in shown
    refused = alice.put(f"{API}/projects/{cast.project.pk}/overlap/", {"start": 2, "lead": 2, "cap": 5})
    assert (refused.status_code, refused.json()["fields"]) == (400, {"cap": [line]})
    assert fresh(cast).overlap == 1


def test_a_deactivated_or_simulated_annotator_is_nobody_to_reach_an_overlap_with(cast: Cast, alice: APIClient) -> None:
    overlap = f"{API}/projects/{cast.project.pk}/overlap/"
    stage.make_user("robot", cast.project, kind="simulated")
    assert alice.get(overlap).json()["people"] == 3
    members = alice.get(f"{API}/projects/{cast.project.pk}/members/", {"q": "bob"}).json()["results"]
    alice.put(f"{API}/projects/{cast.project.pk}/members/{members[0]['id']}/deactivation/")
    assert alice.get(overlap).json()["people"] == 2
    assert alice.put(overlap, {"start": 3}).status_code == 400


def test_items_follow_a_new_overlap_and_the_page_shows_how_far(cast: Cast, alice: APIClient) -> None:
    stage.make_items(cast, 3)
    stage.annotate(cast.project, cast.bob, 2)
    more_annotators(cast, 2)
    assert Item.objects.filter(state="done").count() == 2
    shown = save(cast, "overlap", preset="agree").content.decode()
    assert "0 of 3" in shown
    said = alice.get(f"{API}/projects/{cast.project.pk}/overlap/").json()
    assert (said["start"], said["lead"], said["cap"], said["people"]) == (2, 2, 5, 5)
    assert (said["recount"]["done"], said["recount"]["total"]) == (0, 3)
    recount_all(timezone.now())
    assert not Recount.objects.exists()
    assert Item.objects.filter(state="ready").count() == 3
    part = browser_of(cast.alice).get(f"{page(cast)}overlap/").content.decode()
    assert "All items follow the new overlap." in part
    assert "hx-get" not in part
    back = alice.put(f"{API}/projects/{cast.project.pk}/overlap/", {"start": 1})
    assert (back.status_code, back.json()["lead"], back.json()["recount"]["total"]) == (202, 0, 3)
    recount_all(timezone.now())
    assert Item.objects.filter(state="done").count() == 2


@pytest.mark.parametrize(
    ("rule", "preset"),
    [(Rule(1), "one"), (AGREE, "agree"), (Rule(3), "exactly"), (Rule(3, 2, 5), "own"), (Rule(1, 1, 2), "own")],
)
def test_the_page_shows_the_overlap_that_is(cast: Cast, rule: Rule, preset: str) -> None:
    Project.objects.update(overlap=rule.start, overlap_lead=rule.lead, overlap_cap=rule.cap or 5)
    assert preset_of(rule) == preset
    shown = browser_of(cast.alice).get(page(cast)).content.decode()
    assert f'value="{preset}" checked' in shown


def test_categories_of_the_projects_items_are_offered(cast: Cast) -> None:
    stage.make_items(cast, 2)
    Item.objects.update(category="surgery")
    assert 'value="surgery"' in browser_of(cast.alice).get(page(cast)).content.decode()
    save(cast, "sensitive", chosen="surgery", others="war")
    assert fresh(cast).sensitive_categories == ["surgery", "war"]
    again = browser_of(cast.alice).get(page(cast)).content.decode()
    assert 'value="surgery" checked' in again
    assert 'value="war"' in again


def test_settings_are_changed_by_rest_all_or_none(cast: Cast, alice: APIClient) -> None:
    settings = f"{API}/projects/{cast.project.pk}/settings/"
    body = {"review_share": 20, "hourly_cost": 18.5, "sensitive_categories": ["war"], "limit_total": 900}
    changed = alice.patch(settings, body)
    assert (changed.status_code, {name: changed.json()[name] for name in body}) == (200, body)
    assert alice.get(settings).json() == changed.json()
    for wrong, field in (
        ({"review_share": 101}, "review_share"),
        ({"review_share": "all"}, "review_share"),
        ({"sensitive_categories": ["x" * 101]}, "sensitive_categories.0"),
        ({"hourly_cost": -1}, "hourly_cost"),
        ({"selection": "best"}, "selection"),
        ({"name": ""}, "name"),
        ({"gold_shares": 3}, "gold_shares"),
        ({"limit_total": 1_000_001}, "limit_total"),
    ):
        refused = alice.patch(settings, {"limit_day": 7, **wrong})
        assert (refused.status_code, list(refused.json()["fields"])) == (400, [field])
    trained = alice.patch(settings, {"limit_day": 7, "training_required": True})
    assert (trained.status_code, trained.json()["code"]) == (409, "too_few_training_items")
    assert fresh(cast).limit_day is None


def test_whoever_ranks_does_not_learn_how_often_they_are_measured(cast: Cast) -> None:
    told = client_of(cast.bob).get(f"{API}/projects/{cast.project.pk}/").json()
    assert not {name for name in told if "gold" in name or "repeat" in name or "review" in name or "cost" in name}
    assert client_of(cast.bob).get(f"{API}/projects/{cast.project.pk}/settings/").status_code == 403
