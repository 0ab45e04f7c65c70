"""The pages of reviewers, in a browser and by keys alone; and pictures of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone
from easel.accounts.models import User
from easel.accounts.roles import Role
from easel.annotation.models import Adjudication, Annotation, Assignment, Comment, Item, Review
from easel.annotation.review.services import return_
from easel.forms.services import publish
from easel.projects.models import Project
from playwright.sync_api import Page, expect

from tests import cast as stage
from tests.browser import scenes
from tests.browser.acting import keys, letters, until
from tests.browser.conftest import ARTIFACTS, Window
from tests.browser.test_project_pages import faults, path_of, quiet
from tests.cast import Cast

SIZES = {"1440": (1440, 900), "390": (390, 844)}
Windows = Callable[..., Window]


def say(cast: Cast, who: User, order: str, **others: object) -> Annotation:
    """Have somebody rank the next item: "1(23)4" in the order of the images' ids."""
    lease = stage.lease(cast.project, who)
    ids = sorted(str(pk) for pk in lease.shown_order)
    groups: list[list[str]] = []
    tied = False
    for mark in order:
        if mark in "()":
            tied = mark == "("
            groups += [[]] if tied else []
        elif tied:
            groups[-1].append(ids[int(mark) - 1])
        else:
            groups.append([ids[int(mark) - 1]])
    made, _ = stage.submit(lease, {"ranking": groups, **others})
    Annotation.objects.filter(pk=made.pk).update(active_ms=12_400)
    return made


@pytest.fixture
def cast(committed_cast: Cast) -> Cast:
    """alice's project, of which every annotation is reviewed; bob and erin have ranked three items."""
    cast = scenes.with_items(scenes.begin(committed_cast), 4)
    Project.objects.update(review_share=100, overlap=2)
    cast.project.refresh_from_db()
    say(cast, cast.bob, "1234", rationale="The edge is clean.")
    say(cast, cast.erin, "4321", rationale="The colour is right in the last one.")
    say(cast, cast.bob, "1(23)4")
    say(cast, cast.erin, "1234")
    say(cast, cast.bob, "2143", all_bad=True)
    return cast


@pytest.fixture
def rita(cast: Cast) -> User:
    """A reviewer."""
    return stage.make_user("rita", cast.project, Role.REVIEWER)


def verdicts() -> list[tuple[str, str]]:
    """What was decided, oldest first: whose, and what."""
    return [(one.annotation.annotator.username, one.verdict) for one in Review.objects.order_by("id")]


def test_a_reviewer_works_by_keys_alone(cast: Cast, rita: User, window: Windows) -> None:
    mine = window(rita)
    page = mine.open(path_of(cast.project, "review/"))
    expect(page.get_by_role("status")).to_contain_text("5 waiting")
    keys(page, "a")
    expect(page.get_by_role("status")).to_contain_text("4 waiting")
    expect(page.get_by_text("The colour is right in the last one.")).to_be_visible()
    keys(page, "r")
    expect(page.locator("#comment")).to_be_focused()
    page.keyboard.type("Look at the edges again.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("status").first).to_contain_text("3 waiting")
    assert verdicts() == [("bob", "accepted"), ("erin", "returned")]
    keys(page, "u")
    expect(page.get_by_text("Taken back.")).to_be_visible()
    expect(page.get_by_text("The colour is right in the last one.")).to_be_visible()
    assert verdicts() == [("bob", "accepted")]
    assert not Assignment.objects.filter(state="returned").exists()
    here = page.url
    keys(page, "j")
    page.wait_for_url(lambda url: url != here)
    there = page.url
    keys(page, "ArrowLeft")
    page.wait_for_url(lambda url: url != there)
    expect(page.get_by_text("The colour is right in the last one.")).to_be_visible()
    quiet(mine)


def test_returning_without_a_word_is_told_at_the_comment(cast: Cast, rita: User, window: Windows) -> None:
    page = window(rita).open(path_of(cast.project, "review/"))
    page.get_by_role("button", name="Return").click()
    assert page.locator("#comment").evaluate("(field) => field.validationMessage") != ""
    assert verdicts() == []


def test_a_reviewer_fixes_in_the_annotators_form(cast: Cast, rita: User, window: Windows) -> None:
    mine = window(rita)
    page = mine.open(path_of(cast.project, "review/"))
    said = Annotation.objects.earliest("id")
    before = letters(said)
    keys(page, "f")
    page.wait_for_selector(".tile[data-state=ready]")
    expect(page.locator(".fixing")).to_have_text("You fix what bob answered; the original is kept.")
    assert ["".join(slot.locator(".chip b").all_text_contents()) for slot in page.locator(".slot").all()] == before
    for letter in before:  # out of the ranking, then in the other order
        keys(page, letter.lower())
    for letter in reversed(before):
        keys(page, letter.lower())
    page.locator("#fix-comment").fill("Upside down.")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(lambda url: "/review/?" in url and "/fix/" not in url and "fixed=" not in url)
    said.refresh_from_db()
    assert (letters(said), said.review_state) == (before[::-1], "fixed")
    assert said.answers["rationale"] == "The edge is clean.", "what was not touched stays"
    assert Review.objects.get().comment == "Upside down."
    keys(page, "u")
    expect(page.get_by_text("Taken back.")).to_be_visible()
    said.refresh_from_db()
    assert letters(said) == before
    quiet(mine)


def test_the_second_of_two_reviewers_is_told(cast: Cast, rita: User, window: Windows) -> None:
    page = window(rita).open(path_of(cast.project, "review/"))
    other = window(cast.alice).open(path_of(cast.project, "review/"))
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("status")).to_contain_text("4 waiting")
    other.locator("#comment").fill("Not good.")
    other.get_by_role("button", name="Return").click()
    expect(other.get_by_role("alert")).to_contain_text("rita has accepted this in the meantime. Look at it again.")
    assert verdicts() == [("bob", "accepted")]


def test_many_are_accepted_and_all_of_it_is_taken_back(cast: Cast, rita: User, window: Windows) -> None:
    mine = window(rita)
    page = mine.open(path_of(cast.project, "review/list/"))
    page.locator("[data-page]").check()
    expect(page.get_by_text("5 chosen")).to_be_visible()
    page.locator("#rows input").first.uncheck()
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("4 accepted.")).to_be_visible()
    assert len(verdicts()) == 4
    page.get_by_role("button", name="Undo what I did last").click()
    expect(page.get_by_text("4 verdicts taken back.")).to_be_visible()
    assert verdicts() == []
    page.get_by_label("All 5 of this filter").check()
    page.get_by_label("Comment to the annotators").fill("Read the guidelines.")
    page.get_by_role("button", name="Return").click()
    expect(page.get_by_text("5 returned.")).to_be_visible()
    assert Assignment.objects.filter(state="returned").count() == 5
    quiet(mine)


def test_a_disagreement_is_decided_without_names_and_withdrawn(cast: Cast, rita: User, window: Windows) -> None:
    mine = window(rita)
    page = mine.open(path_of(cast.project, "disagreements/"))
    dispute = page.locator(".dispute")
    expect(dispute).to_have_count(1)
    expect(dispute).to_contain_text("100 % disagreement")
    expect(dispute).not_to_contain_text("bob")
    expect(dispute).not_to_contain_text("erin")
    dispute.get_by_role("button", name="Answer 2 is right").click()
    expect(page.get_by_text("answer counts alone")).to_be_visible()
    assert Adjudication.objects.count() == 1
    page.get_by_role("link", name="Decided").click()
    expect(page.locator(".dispute")).to_contain_text("erin")
    page.get_by_role("button", name="Withdraw the decision").click()
    expect(page.get_by_text("Withdrawn: what the annotators said")).to_be_visible()
    page.get_by_role("link", name="To decide").click()
    page.get_by_role("link", name="None of these: rank anew").click()
    page.wait_for_selector(".tile[data-state=ready]")
    keys(page, "c", "a", "b", "d")
    keys(page, "Enter")
    page.wait_for_url("**/disagreements/")
    made = until(Adjudication.objects.first)
    assert made is not None
    assert (made.chosen, len(made.ranking)) == (None, 4)
    quiet(mine)


def test_people_talk_about_an_item(cast: Cast, rita: User, window: Windows) -> None:
    victor = stage.make_user("victor", cast.project, Role.VIEWER)
    item = Item.objects.order_by("id").first()
    assert item
    mine = window(victor)
    page = mine.open(path_of(cast.project, f"items/{item.pk}/"))
    page.get_by_label("Your comment on the item").fill("Which of the two is red?")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator(".comment")).to_contain_text("Which of the two is red?")
    assert Comment.objects.get().author == victor
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".comment")).to_have_count(0)
    expect(page.get_by_role("link", name="Review it")).to_have_count(0)
    quiet(mine)


@pytest.mark.parametrize("path", ["review/", "review/list/", "disagreements/?share=0.99", "items/{item}/"])
def test_what_may_upset_stays_blurred_until_a_reviewer_asks_for_it(
    cast: Cast, rita: User, window: Windows, path: str
) -> None:
    first = Annotation.objects.earliest("id").item
    Item.objects.filter(pk=first.pk).update(flagged_at=timezone.now())
    address = path_of(cast.project, path.format(item=first.pk))
    page = window(rita).open(address)
    picture = page.locator(".veil img").first
    expect(picture).to_have_css("filter", "blur(24px)")
    page.locator(".veil-off").first.focus()
    page.keyboard.press("Space")
    expect(picture).to_have_css("filter", "none")
    if path == "review/":
        page.keyboard.press("a")
        until(lambda: Review.objects.filter(verdict="accepted").count() == 1)
        address = path_of(cast.project, f"items/{first.pk}/")
    User.objects.filter(pk=rita.pk).update(blur=False)
    expect(window(rita).open(address).locator(".veil")).to_have_count(0)


def test_returned_work_opens_in_the_form_that_it_was_made_for_and_says_so(
    cast: Cast, rita: User, window: Windows
) -> None:
    said = Annotation.objects.earliest("id")
    version = cast.project.template_version
    note = {"type": "input", "name": "note_of_tests", "label": "Note", "required": True}
    definition = {**version.definition, "components": [*version.definition["components"], note]}
    Project.objects.update(template_version=publish(version.template, definition, timezone.now()))
    return_(said, rita, timezone.now(), "Look at the edges again.")
    page = window(cast.bob).open(path_of(cast.project, "rank/"))
    told = page.get_by_role("region", name="Returned by a reviewer")
    expect(told).to_contain_text("Look at the edges again.")
    expect(told).to_contain_text("this item keeps the one that it was made for")
    expect(told).not_to_contain_text("rita")
    expect(page.get_by_label("Note")).to_have_count(0)
    expect(page.locator(".chip")).to_have_count(4)
    keys(page, "Enter")
    until(lambda: Annotation.objects.get(pk=said.pk).revision == 1)
    assert Annotation.objects.get(pk=said.pk).review_state == "waiting"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_pages_of_reviewers_are_looked_at(cast: Cast, rita: User, window: Windows, size: str, theme: str) -> None:
    width, height = SIZES[size]
    first = Annotation.objects.earliest("id")
    return_(first, rita, timezone.now(), "Look at the edges again: the second one is cleaner.")
    stage.submit(first.assignment, {**first.answers, "ranking": first.ranking[::-1]})
    Item.objects.filter(pk=first.item_id).update(lead=0)
    Comment.objects.create(item=first.item, author=cast.alice, text="What about the shadow?", created_at=timezone.now())
    options = {"has_touch": size == "390", "is_mobile": size == "390", "color_scheme": theme}
    mine = window(rita, width=width, height=height, **options)
    problems: list[str] = []

    def look(page: Page, name: str) -> None:
        page.wait_for_load_state("networkidle")
        problems.extend(f"{name}: {line}" for line in faults(page, width))
        page.screenshot(path=ARTIFACTS / f"review-{name}-{size}-{theme}.png", full_page=True)

    pages = {
        "queue": "review/",
        "empty": "review/?state=fixed",
        "list": "review/list/",
        "disagreements": "disagreements/?share=0.99",
        "item": f"items/{first.item_id}/",
        "fix": f"review/{first.pk}/fix/",
        "decide": f"items/{first.item_id}/decide/",
    }
    for name, path in pages.items():
        look(mine.open(path_of(cast.project, path)), name)
    quiet(mine)
    assert not problems, "\n".join(problems)
