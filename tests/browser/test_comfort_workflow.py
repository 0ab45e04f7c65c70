"""What annotators are told: was it right, why did it come back, why is there nothing more; and how their days went."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from easel.accounts.models import User
from easel.accounts.profile import change_profile
from easel.accounts.roles import Role
from easel.annotation.gold import making, training
from easel.annotation.models import Annotation, Item
from easel.annotation.review import services as review
from easel.projects.models import Membership
from easel.projects.services import limit_member, pause_member, pause_project, resume_project
from playwright.sync_api import Page, expect

from tests.browser.acting import keys, letters, rows, strip, until
from tests.browser.conftest import ARTIFACTS, Window, rank_path, wait_for_item
from tests.cast import Cast, annotate, make_user

Windows = Callable[..., Window]


def _member(cast: Cast) -> Membership:
    return Membership.objects.get(project=cast.project, user=cast.bob)


@pytest.fixture
def school(make_cast: Callable[..., Cast]) -> Cast:
    """Ten training items, in which the image with the smallest id is best, and two ordinary ones."""
    cast = make_cast(items=12)
    for item in Item.objects.order_by("pk")[:10]:
        images = [str(pk) for pk in item.candidates.order_by("pk").values_list("pk", flat=True)]
        answer = making.answer_of([[images[0]], images[1:]])
        making.make(item, answer, cast.alice, timezone.now(), note="The prompt asks for an apple.", training=True)
    training.require(cast.project, required=True)
    return cast


def test_the_training_says_after_each_item_what_was_expected(school: Cast, window: Windows) -> None:
    page = window(school.bob).open(rank_path(school))
    expect(page.locator("#training-mark")).to_have_text("Training 1 of 10")
    keys(page, *_order(page), "Enter")
    expect(page.locator("#feedback-title")).to_have_text("Right")
    expect(page.locator("#feedback-note")).to_have_text("The prompt asks for an apple.")
    expect(page.locator("#feedback-far")).to_have_text("1 of 10 done.")
    expect(page.locator("#feedback-next")).to_be_focused()
    keys(page, "Enter")
    wait_for_item(page)
    expect(page.locator("#training-mark")).to_have_text("Training 2 of 10")
    best, *_ = order = _order(page)
    keys(page, *reversed(order), "Enter")
    expect(page.locator("#feedback-title")).to_have_text("Not quite")
    expect(page.locator("#feedback-expected li").first).to_have_attribute("aria-label", f"Place 1: {best.upper()}")
    expect(page.locator("#feedback-own li").first).to_have_attribute("aria-label", f"Place 1: {order[-1].upper()}")
    _look(page, "rank-feedback")
    keys(page, "u")
    expect(page.locator("#feedback-title")).to_have_text("Not quite")
    keys(page, "Enter")
    for _ in range(8):
        wait_for_item(page)
        keys(page, *_order(page), "Enter")
        expect(page.locator("#feedback-title")).to_have_text("Right")
        keys(page, "Enter")
    wait_for_item(page)
    expect(page.locator("#training-mark")).to_be_hidden()
    assert Annotation.objects.count() == 10


def test_returned_work_comes_with_the_comment_and_the_former_answers(cast: Cast, window: Windows) -> None:
    cast.project.review_share = 100
    cast.project.save(update_fields=["review_share"])
    page = window(cast.bob).open(rank_path(cast))
    keys(page, "c", "a", "Enter")
    [said] = rows(1)
    rita: User = make_user("rita", cast.project, Role.REVIEWER)
    review.return_(said, rita, timezone.now(), "B shows the apple, too.")
    page.goto(page.url)
    wait_for_item(page)
    banner = page.get_by_role("region", name="Returned by a reviewer")
    expect(banner).to_contain_text("B shows the apple, too.")
    assert strip(page) == ["C", "A", "", ""]
    expect(page.locator("main")).not_to_contain_text("rita")
    _look(page, "rank-returned")
    keys(page, "b", "Enter")
    until(lambda: letters(Annotation.objects.select_related("assignment").get()) == ["C", "A", "B"])
    wait_for_item(page)
    expect(banner).to_be_hidden()


def test_a_pause_is_told_in_its_one_line_and_ends_by_itself(make_cast: Callable[..., Cast], window: Windows) -> None:
    cast = make_cast(items=2)
    pause_project(cast.project, "We are changing the guidelines.", timezone.now())
    mine = window(cast.bob)
    page = mine.context.new_page()
    page.clock.install()
    page.goto(mine.server + rank_path(cast))
    expect(page.locator("#paused-words")).to_contain_text("We are changing the guidelines.")
    _look(page, "rank-paused")
    resume_project(cast.project)
    page.clock.fast_forward(31_000)
    page.wait_for_selector("#state[data-state=item]")


def test_a_pause_of_a_person_and_a_limit_come_after_what_was_submitted(cast: Cast, window: Windows) -> None:
    page = window(cast.bob).open(rank_path(cast))
    page.wait_for_load_state("networkidle")
    limit_member(_member(cast), 1, None)
    keys(page, "a", "Enter")
    wait_for_item(page)
    keys(page, "a", "Enter")  # it was leased before
    rows(2)
    expect(page.locator("#limit-words")).to_be_visible()
    _look(page, "rank-limit")
    limit_member(_member(cast), None, None)
    pause_member(_member(cast), "Have another look at the guidelines.", timezone.now())
    page.reload()
    expect(page.locator("#paused-words")).to_contain_text("Have another look at the guidelines.")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_of_ones_own_are_pictured_and_clean_for_axe(cast: Cast, window: Windows, theme: str) -> None:
    cast.project.sensitive_categories = ["violence", "spiders"]
    cast.project.save(update_fields=["sensitive_categories"])
    Item.objects.update(category="spiders")
    annotate(cast.project, cast.bob, 2)
    change_profile(cast.bob, {"session_goal": 20, "break_after": 50, "declined": ["violence"]})
    for width in (390, 1440):
        mine = window(cast.bob, width=width, height=900, color_scheme=theme)
        for name, path in (("profile", "/account/profile/"), ("me", f"/projects/{cast.project.pk}/me/")):
            page = mine.open(path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            _look(page, f"{name}-{width}-{theme}", whole=True)
        page = mine.open(rank_path(cast))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        _look(page, f"rank-blurred-{width}-{theme}")
        assert not [line for line in mine.console if "error" in line.lower()], mine.console


def _order(page: Page) -> list[str]:
    """The letters of the images by their ids: the first is the best, as the fixture says."""
    ids = page.locator(".tile").evaluate_all("all => all.map((one) => one.dataset.candidate)")
    return [chr(97 + ids.index(one)) for one in sorted(ids)]


def _look(page: Page, name: str, *, whole: bool = False) -> None:
    Path(ARTIFACTS).mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=whole)
    report = Axe().run(page)
    assert not report.response["violations"], report.generate_report()
