"""The people of a project and its settings, in a real browser: what admins do there, and pictures to look at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from easel.accounts.models import User
from easel.annotation.distribution import recount_all
from easel.annotation.models import Item
from easel.projects.models import Membership, Project
from easel.projects.notices import notify
from easel.projects.services import deactivate_member, invite, pause_member, pause_project
from playwright.sync_api import Page, expect

from tests import cast as stage
from tests.browser.conftest import ARTIFACTS, Window
from tests.cast import Cast, make_user

SIZES = {"1440": (1440, 900), "390": (390, 844)}
Windows = Callable[..., Window]


@pytest.fixture
def cast(make_cast: Callable[..., Cast]) -> Cast:
    """The cast, and two small items."""
    return make_cast(items=2)


def path_of(project: Project, rest: str = "") -> str:
    """Return the address of one of a project's pages."""
    return f"/projects/{project.pk}/{rest}"


def membership(cast: Cast, user: User) -> Membership:
    """Return somebody's membership of the project."""
    return Membership.objects.get(project=cast.project, user=user)


def quiet(window: Window) -> None:
    """The console said nothing of errors, refused styles or scripts."""
    told = [line for line in window.console if not line.startswith(("log:", "info:", "debug:"))]
    assert not told, told


def test_an_owner_changes_a_role_pauses_and_removes_a_member(cast: Cast, window: Windows) -> None:
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "people/"))
    page.get_by_role("link", name="bob").click()
    page.get_by_role("radio", name="Reviewer").check()
    page.get_by_label("Items a day").fill("40")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    assert (membership(cast, cast.bob).role, membership(cast, cast.bob).limit_day) == ("reviewer", 40)

    page.get_by_label("Reason").fill("Let us talk about ties.")
    page.get_by_role("button", name="Pause bob").click()
    expect(page.get_by_role("region", name="Paused")).to_contain_text("bob reads: “Let us talk about ties.”")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_contain_text("bob gets items again.")

    page.get_by_role("button", name="Remove bob").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    assert Membership.objects.filter(project=cast.project, user=cast.bob).exists()
    page.get_by_role("button", name="Remove bob").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove bob").click()
    expect(page.get_by_role("status")).to_contain_text("bob is no longer in the project")
    assert not Membership.objects.filter(project=cast.project, user=cast.bob).exists()
    quiet(alice)


def test_somebody_deactivated_is_out_at_once_and_let_in_again(cast: Cast, window: Windows) -> None:
    bob = window(cast.bob)
    ranking = bob.open(path_of(cast.project, "rank/"))
    page = window(cast.alice).open(path_of(cast.project, f"people/{membership(cast, cast.bob).pk}/"))
    page.get_by_role("button", name="Deactivate bob").click()
    page.get_by_role("dialog").get_by_role("button", name="Deactivate bob").click()
    expect(page.get_by_role("status")).to_contain_text("bob is deactivated and is let in no more. What they did stays.")
    ranking.reload()
    expect(ranking.get_by_text("There is no project here, or you have no access to it.")).to_be_visible()
    page.get_by_role("button", name="Let in again").click()
    expect(page.get_by_role("status")).to_contain_text("bob is let in again, as annotator.")
    ranking.reload()
    ranking.wait_for_selector("#state[data-state=item]")


def test_the_last_owner_cannot_give_the_project_away(cast: Cast, window: Windows) -> None:
    page = window(cast.alice).open(path_of(cast.project, f"people/{membership(cast, cast.alice).pk}/"))
    page.get_by_role("radio", name="Annotator").check()
    page.get_by_role("button", name="Save", exact=True).click()
    line = "This is the project's last owner. Make somebody else an owner first."
    expect(page.get_by_role("alert")).to_have_text(line)
    page.get_by_role("button", name="Deactivate alice").click()
    page.get_by_role("dialog").get_by_role("button", name="Deactivate alice").click()
    expect(page.get_by_text(line)).to_be_visible()
    assert membership(cast, cast.alice).state == "active"


def test_an_admin_is_not_offered_what_only_owners_may_do(cast: Cast, window: Windows) -> None:
    erin = window(cast.erin)
    page = erin.open(path_of(cast.project, "people/"))
    expect(page.get_by_role("option", name="Owner")).to_have_count(0)
    page.get_by_role("link", name="alice").click()
    expect(page.get_by_text("Only an owner changes owners.")).to_be_visible()
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    page = erin.open(path_of(cast.project, f"people/{membership(cast, cast.bob).pk}/"))
    expect(page.locator("input[name=role]")).to_have_count(5)


def test_a_project_is_paused_by_keys_alone_and_annotators_read_why(cast: Cast, window: Windows) -> None:
    page = window(cast.alice).open(path_of(cast.project, "people/"))
    page.get_by_role("button", name="Pause the project").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.name") != "reason":
        page.keyboard.press("Tab")
    page.keyboard.type("Back on Monday.")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="The project is paused")).to_contain_text("“Back on Monday.”")
    ranking = window(cast.bob).open(path_of(cast.project, "rank/"), wait=False)
    expect(ranking.get_by_text("Back on Monday.").first).to_be_visible()
    page.get_by_role("button", name="Resume the project").click()
    expect(page.get_by_role("status")).to_contain_text("Resumed.")
    ranking.reload()
    ranking.wait_for_selector("#state[data-state=item]")


def test_a_notice_is_seen_in_the_tabs_and_put_away(cast: Cast, window: Windows) -> None:
    notify(cast.project, "gold_failed", "bob missed 4 of the last 10 gold items.", timezone.now(), about=cast.bob)
    page = window(cast.alice).open(path_of(cast.project))
    tabs = page.get_by_role("navigation", name="This project")
    expect(tabs.get_by_text("1 notice")).to_have_count(1)
    page.get_by_role("link", name="See bob").click()
    expect(page.get_by_role("region", name="Members").locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Put away").click()
    expect(page.get_by_text("bob missed 4")).to_have_count(0)
    expect(tabs.get_by_text("1 notice")).to_have_count(0)


def test_an_overlap_is_chosen_and_its_progress_shown_until_items_follow(cast: Cast, window: Windows) -> None:
    for number in range(2):
        make_user(f"guest{number}", cast.project)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "settings/"))
    section = page.locator("#overlap")
    expect(section.get_by_label("Start with", exact=True)).to_be_hidden()
    section.get_by_role("radio", name="An own rule").check()
    section.get_by_label("Start with", exact=True).fill("2")
    section.get_by_label("Stop at a lead of", exact=True).fill("2")
    section.get_by_label("At most", exact=True).fill("9")
    section.get_by_role("button", name="Save overlap").click()
    expect(section.get_by_role("alert")).to_contain_text("the project has 5 people who rank")
    expect(section.get_by_label("At most", exact=True)).to_have_value("9")
    section.get_by_role("radio", name="Until annotators agree").check()
    section.get_by_role("button", name="Save overlap").click()
    expect(section.get_by_text("0 of 2")).to_be_visible()
    recount_all(timezone.now())
    expect(section.get_by_text("All items follow the new overlap.")).to_be_visible()
    project = Project.objects.get(pk=cast.project.pk)
    assert (project.overlap, project.overlap_lead, project.overlap_cap) == (2, 2, 5)
    quiet(alice)


def faults(page: Page, width: int) -> list[str]:
    """What axe finds on a page, and whether it is wider than the window."""
    violations = Axe().run(page).response["violations"]
    found = [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in violations for node in one["nodes"]]
    if page.evaluate("document.documentElement.scrollWidth") > width:
        found.append("the page is wider than the window")
    return found


def full(cast: Cast) -> None:
    """People in every state, notices, a paused project and open invitations."""
    at = timezone.now()
    stage.annotate(cast.project, cast.bob, 2)
    make_user("rita", cast.project, "reviewer")
    make_user("robot", cast.project, kind="simulated")
    for number in range(18):
        make_user(f"guest{number}", cast.project)
    pause_member(membership(cast, cast.bob), "Some of your last answers differ from ones that are known.", at)
    gone = make_user("georgina", cast.project)
    deactivate_member(membership(cast, gone), "owner", at - timedelta(days=2))
    Membership.objects.filter(user=cast.erin).update(limit_day=40, limit_total=900)
    invite(cast.project, "annotator", cast.alice, "owner", at, days=7, max_uses=20)
    text = "bob answered 6 of the last 10 gold items as expected (7 are needed) and is paused."
    notify(cast.project, "gold_failed", text, at, about=cast.bob)
    pause_project(cast.project, "The guidelines change: back on Monday.", at)
    Item.objects.filter(pk=Item.objects.values("pk")[:1]).update(category="surgery")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_pages_of_people_are_clean_for_axe_and_fit_their_width(
    cast: Cast, window: Windows, size: str, theme: str
) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    full(cast)
    width, height = SIZES[size]
    phone = width < 600
    options: dict[str, Any] = {"has_touch": phone, "is_mobile": phone, "color_scheme": theme}
    alice = window(cast.alice, width=width, height=height, **options)
    problems: list[str] = []
    for name, path in {
        "people": "people/",
        "people-nobody": "people/?q=zoe",
        "member-paused": f"people/{membership(cast, cast.bob).pk}/",
        "member-active": f"people/{membership(cast, cast.erin).pk}/",
        "member-deactivated": f"people/{Membership.objects.get(user__username='georgina').pk}/",
        "settings": "settings/",
    }.items():
        page = alice.open(path_of(cast.project, path))
        page.screenshot(path=ARTIFACTS / f"people-{name}-{size}-{theme}.png", full_page=True)
        problems += [f"{name}: {line}" for line in faults(page, width)]
        if name == "member-active":
            page.get_by_role("button", name="Deactivate erin").click()
            page.screenshot(path=ARTIFACTS / f"people-deactivate-{size}-{theme}.png")
            problems += [f"{name}: {line}" for line in faults(page, width)]
        page.close()
    assert not problems, "\n".join(problems)
    quiet(alice)
