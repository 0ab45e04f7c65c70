"""Reliability in the browser: nothing is lost, nothing is stored twice (R4 to R6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from easel.annotation.models import Annotation, Assignment
from playwright.sync_api import Page, Route, expect

from tests.browser.acting import keys, letters, rows, saved, shown_assignment, strip, tile, until
from tests.browser.conftest import Window, add_items, rank_path, wait_for_item
from tests.cast import Cast, annotate

Windows = Callable[..., Window]


def test_a_draft_survives_a_reload(cast: Cast, window: Windows) -> None:
    page = window(cast.bob).open(rank_path(cast))
    prompt = page.locator("[data-prompt]").inner_text()
    keys(page, "b", "Shift+D", "x", "t")
    page.keyboard.type("sharper edges")
    saved(page)
    page.reload()
    wait_for_item(page)
    expect(page.locator("[data-prompt]")).to_have_text(prompt)
    assert strip(page) == ["BD", "", "", ""]
    expect(page.locator("textarea")).to_have_value("sharper edges")
    expect(page.locator(".all-bad input")).to_be_checked()
    keys(page, "Enter")
    [row] = rows(1)
    assert letters(row) == ["BD"]


def test_a_draft_is_on_the_server_within_two_seconds(cast: Cast, window: Windows) -> None:
    page = window(cast.bob).open(rank_path(cast))
    keys(page, "b")
    drafts = until(lambda: [one.draft for one in Assignment.objects.all() if one.draft], timeout=2)
    assert len(drafts[0]["ranking"]) == 1


def test_what_was_typed_while_offline_survives_a_reload(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    page = mine.open(rank_path(cast))
    keys(page, "d")
    saved(page)
    mine.context.set_offline(True)
    keys(page, "a")
    expect(page.locator("#saved")).to_have_text("Kept in this browser", timeout=4_000)
    page.close()
    mine.context.set_offline(False)
    again = mine.open(rank_path(cast))
    assert strip(again) == ["D", "A", "", ""]
    saved(again)


def test_a_stale_tab_is_told_and_overwrites_nothing(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    first = mine.open(rank_path(cast))
    second = mine.open(rank_path(cast))
    assert _shown(first) == _shown(second), "a second tab comes back to the same item"
    keys(second, "c", "b")
    saved(second)
    keys(first, "a")
    expect(first.locator("#stale-dialog")).to_be_visible(timeout=4_000)
    assert _draft_letters(first) == ["C", "B"]
    keys(first, "Enter", "Escape")
    rows(0)
    expect(first.locator("#stale-dialog")).to_be_visible()
    first.locator("#take-newer").click()
    assert strip(first) == ["C", "B", "", ""]
    keys(first, "d")
    saved(first)
    assert _draft_letters(first) == ["C", "B", "D"]


def test_a_stale_tab_can_keep_its_own_draft(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    first = mine.open(rank_path(cast))
    second = mine.open(rank_path(cast))
    keys(second, "c")
    saved(second)
    keys(first, "a")
    expect(first.locator("#stale-dialog")).to_be_visible(timeout=4_000)
    first.locator("#keep-mine").click()
    until(lambda: _draft_letters(first) == ["A"])
    assert strip(first) == ["A", "", "", ""]


def test_enter_twice_and_a_double_click_submit_once(cast: Cast, window: Windows) -> None:
    page = window(cast.bob).open(rank_path(cast))
    puts = _puts(page)
    keys(page, "a", "x", "Enter", "Enter", "Enter")
    rows(1)
    wait_for_item(page)
    keys(page, "b")
    page.locator("#submit").dblclick()
    rows(2)
    assert len(puts) == 2
    expect(page.locator(".ranking .error")).to_be_hidden()


def test_the_back_button_comes_back_to_the_open_item(cast: Cast, window: Windows) -> None:
    page = window(cast.bob).open(rank_path(cast))
    keys(page, "a", "b", "c", "d", "Enter")
    rows(1)
    wait_for_item(page)
    second = _shown(page)
    page.goto(page.url.split("/projects")[0] + "/account/")
    page.go_back()
    wait_for_item(page)
    assert _shown(page) == second, "not the submitted item"
    keys(page, "a", "Enter")
    assert len({row.item_id for row in rows(2)}) == 2


def test_two_tabs_on_one_item_store_one_annotation(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    first = mine.open(rank_path(cast))
    second = mine.open(rank_path(cast))
    item = _shown(first)
    keys(first, "a", "b")
    saved(first)
    keys(first, "Enter")
    rows(1)
    keys(second, "d")  # its draft is refused: the item is finished
    expect(second.locator(".rank-notices")).to_contain_text("submitted")
    until(lambda: _shown(second) != item)
    [row] = rows(1)
    assert letters(row) == ["A", "B"]


def test_two_tabs_that_submit_different_answers_store_the_first(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    first = mine.open(rank_path(cast))
    second = mine.open(rank_path(cast))
    keys(second, "d")
    keys(first, "a", "Enter")
    keys(second, "Enter")
    [row] = rows(1)
    assert letters(row) in (["A"], ["D"])
    notices = second.locator(".rank-notices .notice"), first.locator(".rank-notices .notice")
    until(lambda: notices[0].count() + notices[1].count())


def test_answers_given_offline_are_sent_once_when_the_connection_is_back(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    page = mine.open(rank_path(cast))
    until(lambda: Assignment.objects.count() == 2)
    page.wait_for_load_state("networkidle")
    mine.context.set_offline(True)
    keys(page, "a", "b", "c", "d", "Enter")
    expect(page.locator("#sending")).to_have_text("Offline, 1 waiting to send")
    wait_for_item(page)  # the next one was here already
    keys(page, "d", "c", "Enter")
    expect(page.locator("#sending")).to_have_text("Offline, 2 waiting to send")
    expect(page.locator(".for-offline")).to_be_visible()
    page.wait_for_timeout(2_500)
    assert Annotation.objects.count() == 0
    mine.context.set_offline(False)
    found = rows(2)
    assert [letters(row) for row in found] == [["A", "B", "C", "D"], ["D", "C"]]
    expect(page.locator("#sending")).to_be_hidden()
    wait_for_item(page)
    expect(page.locator("#day")).to_contain_text("2 today")


def test_answers_given_offline_outlive_the_page(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    page = mine.open(rank_path(cast))
    item = _shown(page)
    mine.context.set_offline(True)
    keys(page, "b", "Enter")
    expect(page.locator("#sending")).to_contain_text("1 waiting to send")
    page.close()
    mine.context.set_offline(False)
    again = mine.open(rank_path(cast))
    [row] = rows(1)
    assert letters(row) == ["B"]
    assert _shown(again) != item


def test_an_answer_whose_response_is_lost_is_stored_once(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    page = mine.open(rank_path(cast))
    tries = []

    def lose_the_first_response(route: Route) -> None:
        tries.append(route.request.post_data)
        if len(tries) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/annotation/", lose_the_first_response)
    keys(page, "c", "Enter")
    expect(page.locator("#sending")).to_have_text("Offline, 1 waiting to send")
    expect(page.locator("#sending")).to_be_hidden(timeout=8_000)
    assert len(tries) == 2
    [row] = rows(1)
    assert letters(row) == ["C"]
    expect(page.locator(".rank-notices .notice")).to_have_count(0)


def test_a_server_that_fails_is_asked_again(cast: Cast, window: Windows) -> None:
    page = window(cast.bob).open(rank_path(cast))
    tries: list[Route] = []

    def fail_twice(route: Route) -> None:
        tries.append(route)
        if len(tries) <= 2:
            route.fulfill(status=503, body="<h1>Bad gateway</h1>")
        else:
            route.continue_()

    page.route("**/annotation/", fail_twice)
    keys(page, "c", "Enter")
    expect(page.locator("#sending")).to_have_text("The server does not answer, 1 waiting to send")
    expect(page.locator("#sending")).to_be_hidden(timeout=12_000)
    rows(1)


def test_an_answer_waits_for_a_new_sign_in(cast: Cast, window: Windows) -> None:
    mine = window(cast.bob)
    page = mine.open(rank_path(cast))
    Session.objects.all().delete()
    keys(page, "c", "Enter")
    expect(page.locator("#sending")).to_contain_text("You are signed out, 1 waiting to send")
    assert Annotation.objects.count() == 0
    client = Client()
    client.force_login(cast.bob, backend="django.contrib.auth.backends.ModelBackend")
    mine.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": mine.server}])
    [row] = rows(1, timeout=12)
    assert letters(row) == ["C"]


def test_a_refused_answer_comes_back_with_what_is_wrong(cast: Cast, window: Windows) -> None:
    page = window(cast.bob).open(rank_path(cast))
    prompt = page.locator("[data-prompt]").inner_text()
    tries: list[Route] = []

    def refuse_once(route: Route) -> None:
        tries.append(route)
        if len(tries) == 1:
            body = {
                "code": "invalid_answers",
                "detail": "rationale is required.",
                "fields": {"rationale": ["is required"]},
            }
            route.fulfill(status=400, json=body)
        else:
            route.continue_()

    page.route("**/annotation/", refuse_once)
    keys(page, "c", "a", "Enter")
    expect(page.locator(".text .error")).to_have_text("“Why is the best the best?” is required.")
    expect(page.locator("[data-prompt]")).to_have_text(prompt)
    assert strip(page) == ["C", "A", "", ""]
    page.wait_for_timeout(400)
    keys(page, "t")
    page.keyboard.type("fine")
    keys(page, "Control+Enter")
    [row] = rows(1)
    assert letters(row) == ["C", "A"]
    assert row.answers["rationale"] == "fine"


def test_a_lost_lease_is_told_and_the_answer_is_kept_as_surplus(
    make_cast: Callable[..., Cast], window: Windows
) -> None:
    cast = make_cast(items=1)
    mine = window(cast.bob)
    page = mine.context.new_page()
    page.clock.install()
    page.goto(mine.server + rank_path(cast))
    wait_for_item(page)
    Assignment.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    annotate(cast.project, cast.alice)
    page.clock.fast_forward(61_000)
    expect(page.locator(".rank-notices")).to_contain_text("went to somebody else")
    keys(page, "d", "Enter")
    found = rows(2)
    assert letters(found[1]) == ["D"]
    assert found[1].assignment.state == Assignment.State.SURPLUS


def test_an_empty_page_fills_by_itself(make_cast: Callable[..., Cast], window: Windows) -> None:
    cast = make_cast(items=0)
    mine = window(cast.bob)
    page = mine.context.new_page()
    page.clock.install()
    page.goto(mine.server + rank_path(cast))
    expect(page.locator(".for-nothing")).to_contain_text("No images to rank right now")
    add_items(cast, 1)
    page.clock.fast_forward(10_500)
    wait_for_item(page)
    keys(page, "a", "Enter")
    rows(1)
    expect(page.locator(".for-nothing")).to_be_visible()


def test_a_draft_of_one_person_is_not_shown_to_the_next_on_the_same_computer(
    make_cast: Callable[..., Cast], window: Windows
) -> None:
    cast = make_cast(items=3)
    mine = window(cast.bob)
    page = mine.open(rank_path(cast))
    mine.context.set_offline(True)
    keys(page, "b", "Enter")
    expect(page.locator("#sending")).to_contain_text("1 waiting")
    page.close()
    mine.context.set_offline(False)
    client = Client()
    client.force_login(cast.erin, backend="django.contrib.auth.backends.ModelBackend")
    mine.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": mine.server}])
    theirs = mine.open(rank_path(cast))
    expect(theirs.locator("#sending")).to_be_hidden()
    rows(0)


def test_only_active_time_counts(make_cast: Callable[..., Cast], window: Windows) -> None:
    cast = make_cast(items=1)
    mine = window(cast.bob)
    page = mine.context.new_page()
    page.clock.install()
    page.goto(mine.server + rank_path(cast))
    wait_for_item(page)
    page.clock.fast_forward(20_000)
    keys(page, "a")  # 20 s of looking
    page.clock.fast_forward(300_000)
    keys(page, "b")  # of 5 minutes away, 30 s
    page.clock.fast_forward(5_000)
    keys(page, "Enter")
    [row] = rows(1)
    assert 54_000 < row.active_ms < 62_000


def _shown(page: Page) -> Any:
    return shown_assignment(page).item_id


def _draft_letters(page: Page) -> list[str]:
    assignment = shown_assignment(page)
    names = {str(pk): chr(65 + index) for index, pk in enumerate(assignment.shown_order)}
    return ["".join(names[one] for one in group) for group in (assignment.draft or {}).get("ranking", [])]


def _puts(page: Page) -> list[str]:
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url) if request.url.endswith("/annotation/") else None)
    return seen


def test_the_focus_is_on_the_first_image_of_the_next_item(cast: Cast, window: Windows) -> None:
    page = window(cast.bob).open(rank_path(cast))
    keys(page, "d", "t", "Control+Enter")
    rows(1)
    expect(tile(page, "A")).to_be_focused()
