"""The pages of a project, in a real browser: what people do on them, what axe finds, and pictures to look at."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from django.utils import timezone
from easel.accounts.models import ApiToken, User
from easel.accounts.roles import Role
from easel.accounts.services import create_user
from easel.annotation.gathering import gather
from easel.common.models import Job
from easel.images.services import record_images
from easel.projects.models import Invitation, Membership, Project
from easel.projects.services import create_project, invite
from easel.prompts.models import Prompt
from easel.prompts.services import preview_import
from playwright.sync_api import FilePayload, Page, expect

from tests.browser import scenes
from tests.browser.conftest import ARTIFACTS, Window
from tests.cast import Cast, claim, generate

PASSWORD = "easels stand in the rain"
BAD_CSV = b'prompt,style\na red apple,3d\n,flat\n"a cat, sitting",flat\na red apple,3d\nan owl,flat,extra\n'
SIZES = {"1440": (1440, 900), "390": (390, 844)}

Windows = Callable[..., Window]


@pytest.fixture
def cast(committed_cast: Cast) -> Cast:
    """Everybody, and alice's project without prompts."""
    return scenes.begin(committed_cast)


@pytest.fixture
def busy(committed_cast: Cast) -> Cast:
    """Everybody, and alice's project in the middle of its work."""
    return scenes.busy(committed_cast)


def path_of(project: Project, rest: str = "") -> str:
    """Return the address of one of a project's pages."""
    return f"/projects/{project.pk}/{rest}"


def csv(content: bytes) -> FilePayload:
    """A file to upload."""
    return {"name": "prompts.csv", "mimeType": "text/csv", "buffer": content}


def quiet(window: Window) -> None:
    """The console said nothing of errors, refused styles or scripts."""
    told = [line for line in window.console if not line.startswith(("log:", "info:", "debug:"))]
    assert not told, told


def test_a_file_with_bad_rows_is_previewed_and_only_its_good_rows_are_imported(cast: Cast, window: Windows) -> None:
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project))
    page.get_by_role("link", name="Import prompts").click()
    page.get_by_label("File").set_input_files(csv(BAD_CSV))
    page.get_by_role("button", name="Check the file").click()

    left_out = page.get_by_role("region", name="Rows that are left out").locator("tbody tr")
    expect(left_out).to_have_count(3)
    expect(left_out.nth(0)).to_contain_text("3")
    expect(left_out.nth(0)).to_contain_text("column 'prompt' is empty")
    expect(left_out.nth(1)).to_contain_text("is the same prompt as row 2")
    expect(left_out.nth(2)).to_contain_text("has 3 columns, the header has 2")
    assert Prompt.objects.count() == 0

    page.get_by_role("button", name="Import 2 prompts").click()
    expect(page.get_by_role("status")).to_contain_text("2 prompts are imported.")
    expect(page.get_by_role("region", name="Prompts")).to_contain_text("a cat, sitting")
    assert sorted(Prompt.objects.values_list("text", flat=True)) == ["a cat, sitting", "a red apple"]
    quiet(alice)


def test_a_file_that_cannot_be_read_says_why_beside_the_form(cast: Cast, window: Windows) -> None:
    page = window(cast.alice).open(path_of(cast.project, "prompts/import/"))
    page.get_by_label("File").set_input_files(csv(b"words\nan owl\n"))
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("alert")).to_contain_text("prompts.csv has no column 'prompt'")


def test_pasted_prompts_are_previewed_too(cast: Cast, window: Windows) -> None:
    page = window(cast.alice).open(path_of(cast.project, "prompts/import/"))
    page.get_by_label("Prompts, one on each line").fill("an owl\n\na cat\nan owl")
    page.get_by_role("button", name="Check the prompts").click()
    expect(page.get_by_role("button", name="Import 2 prompts")).to_be_visible()
    expect(page.get_by_text("is the same prompt as row 1")).to_be_visible()


def test_a_column_named_items_does_not_break_the_pages(cast: Cast, window: Windows) -> None:
    page = window(cast.alice).open(path_of(cast.project, "prompts/import/"))
    page.get_by_label("File").set_input_files(csv(b"prompt,items\nan owl,two\n"))
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("items: two").locator("visible=true")).to_be_visible()
    page.get_by_role("button", name="Import 1 prompt").click()
    expect(page.get_by_text("items: two").locator("visible=true")).to_be_visible()


def test_a_long_list_of_prompts_loads_as_one_scrolls(cast: Cast, window: Windows) -> None:
    scenes.prompts_of(cast, 250)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "prompts/"))
    box = page.get_by_role("region", name="Prompts")
    rows = box.locator("tbody tr:not(.more-rows)")
    expect(rows).to_have_count(100)
    for count in (200, 250):
        box.locator(".more-rows").scroll_into_view_if_needed()
        expect(rows).to_have_count(count)
    expect(box.locator(".more-rows")).to_have_count(0)
    quiet(alice)


def test_an_invited_newcomer_makes_an_account_and_lands_on_ranking(cast: Cast, window: Windows) -> None:
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "people/"))
    page.get_by_label("Number of people").fill("2")
    page.get_by_role("button", name="Create invitation link").click()
    link = page.locator("#invitation-link").inner_text()
    page = alice.open(path_of(cast.project, "people/"))
    expect(page.get_by_text("0 of 2 places taken")).to_be_visible()
    assert link not in page.content(), "the link is shown once"

    newcomer = window(None)
    page = newcomer.open(link.removeprefix(newcomer.server))
    expect(page.get_by_role("heading", name="Join Icons, round 2")).to_be_visible()
    page.get_by_label("User name").fill("frida")
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Create account and join").click()
    expect(page.locator("#id_password_error")).to_contain_text("too short")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account and join").click()
    page.wait_for_url(f"**{path_of(cast.project, 'rank/')}")
    assert Membership.objects.get(user__username="frida").role == Role.ANNOTATOR
    assert Invitation.objects.get().uses == 1


def test_a_signed_in_user_joins_with_one_click(cast: Cast, window: Windows) -> None:
    _, secret = invite(cast.project, Role.ENGINEER, cast.alice, Role.OWNER, timezone.now(), days=1, max_uses=1)
    page = window(cast.charlie).open(f"/invitations/{secret}/")
    page.get_by_role("button", name="Join as charlie").click()
    page.wait_for_url(f"**{path_of(cast.project)}")
    assert Membership.objects.get(user=cast.charlie, project=cast.project).role == Role.ENGINEER


def test_somebody_with_an_account_signs_in_from_the_invitation_and_comes_back(cast: Cast, window: Windows) -> None:
    create_user("frida", PASSWORD)
    _, secret = invite(cast.project, Role.ANNOTATOR, cast.alice, Role.OWNER, timezone.now(), days=1, max_uses=1)
    page = window(None).open(f"/invitations/{secret}/")
    page.get_by_role("link", name="Sign in first").click()
    page.get_by_label("User name").fill("frida")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Join as frida")).to_be_visible()


def test_a_withdrawn_invitation_lets_nobody_in(cast: Cast, window: Windows) -> None:
    _, secret = invite(cast.project, Role.ANNOTATOR, cast.alice, Role.OWNER, timezone.now(), days=1, max_uses=1)
    page = window(cast.alice).open(path_of(cast.project, "people/"))
    page.get_by_role("button", name="Withdraw the invitation").click()
    page.get_by_role("dialog").get_by_role("button", name="Withdraw invitation").click()
    expect(page.get_by_role("status")).to_contain_text("The invitation is withdrawn")
    page.goto(page.url.split("/projects/")[0] + f"/invitations/{secret}/")
    expect(page.get_by_text("This invitation was withdrawn. Ask for a new one.")).to_be_visible()


def test_images_are_asked_for_once_however_often_the_button_is_clicked(cast: Cast, window: Windows) -> None:
    scenes.prompts_of(cast, 3)
    page = window(cast.alice).open(path_of(cast.project, "generations/"))
    expect(page.get_by_text("3 prompts × 4 images = 12 images")).to_be_visible()
    page.get_by_role("button", name="Generate images").dblclick()
    expect(page.get_by_role("status").first).to_contain_text("The images are being made.")
    expect(page.get_by_text("waiting for a worker")).to_be_visible()
    assert cast.project.generation_requests.count() == 1


def test_failed_parts_name_their_reason_and_are_retried(cast: Cast, window: Windows) -> None:
    generate(cast, scenes.prompts_of(cast, 2))
    scenes.fail_next()
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "generations/"))
    expect(page.get_by_text("8 images are missing:")).to_be_visible()
    expect(page.get_by_text(scenes.OUT_OF_MEMORY)).to_be_visible()
    page.get_by_role("button", name="Retry failed parts").click()
    expect(page.get_by_text("1 failed part is tried again.")).to_be_visible()
    assert Job.objects.get().state == Job.State.QUEUED
    quiet(alice)


def test_progress_moves_by_itself_and_stops_asking_when_all_is_done(cast: Cast, window: Windows) -> None:
    generate(cast, scenes.prompts_of(cast, 2))
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project))
    expect(page.get_by_text("0 of 8 images")).to_be_visible()
    whole = scenes.drawn(claim())
    record_images(whole.model_copy(update={"images": whole.images[:4]}), timezone.now())
    gather(timezone.now(), cast.project)
    expect(page.get_by_text("4 of 8 images")).to_be_visible()
    expect(page.get_by_role("heading", name="1 item waits to be ranked")).to_be_visible()
    record_images(whole, timezone.now())
    gather(timezone.now(), cast.project)
    expect(page.get_by_role("heading", name="2 items wait to be ranked")).to_be_visible()
    expect(page.locator("#loop")).not_to_have_attribute("hx-get", re.compile("."))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert not asked
    quiet(alice)


def test_a_session_that_ended_leads_from_the_progress_to_sign_in(cast: Cast, window: Windows) -> None:
    generate(cast, scenes.prompts_of(cast, 2))
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "generations/"))
    alice.context.clear_cookies()
    page.wait_for_url(re.compile("/sign-in/"))


def test_the_back_button_shows_the_whole_page_again_and_not_its_polled_part(cast: Cast, window: Windows) -> None:
    generate(cast, scenes.prompts_of(cast, 2))
    page = window(cast.alice).open(path_of(cast.project, "generations/"))
    with page.expect_response(lambda answer: "hx-request" in answer.request.headers):
        pass
    page.get_by_role("link", name="Settings").click()
    page.go_back()
    expect(page.get_by_role("heading", name="Generate images")).to_be_visible()


def test_the_gallery_loads_more_as_one_scrolls_and_shows_an_image_large(cast: Cast, window: Windows) -> None:
    scenes.with_items(cast, 40)
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "images/"))
    tiles = page.locator("a[data-image]")
    expect(tiles).to_have_count(60)
    for count in (120, 160):
        page.mouse.wheel(0, 40_000)
        expect(tiles).to_have_count(count)
    expect(page.locator(".more-rows")).to_have_count(0)
    assert page.evaluate("getComputedStyle(document.querySelector('a[data-image] img')).imageRendering") == "pixelated"

    tiles.first.click()
    shown = page.get_by_role("dialog")
    expect(shown).to_contain_text("64 × 64 pixels")
    first = shown.locator("img").get_attribute("src") or ""
    page.keyboard.press("ArrowRight")
    expect(shown.locator("img")).not_to_have_attribute("src", first)
    page.keyboard.press("ArrowLeft")
    expect(shown.locator("img")).to_have_attribute("src", first)
    expect(shown.get_by_role("button", name="Previous image")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(shown).to_be_hidden()
    assert page.evaluate("document.activeElement.matches('a[data-image]')"), "the focus is where it was"
    quiet(alice)


def test_an_annotation_is_shown_as_its_images_in_order_with_ties_together(cast: Cast, window: Windows) -> None:
    scenes.with_items(cast, 3)
    scenes.rank(cast, cast.bob, "3(12)4", "The edge is clean.", seconds=12.4)
    annotation = scenes.rank(cast, cast.bob, "!21")
    page = window(cast.alice).open(path_of(cast.project, "annotations/"))
    newest, oldest = page.locator(".ranked").nth(0), page.locator(".ranked").nth(1)
    expect(oldest.locator(".place-group")).to_have_count(3)
    expect(oldest.locator(".place-group").nth(1).locator("img")).to_have_count(2)
    expect(oldest).to_contain_text("12.4 s active")
    expect(oldest).to_contain_text("The edge is clean.")
    expect(newest).to_contain_text("none is acceptable")
    expect(newest.locator(".is-unranked img")).to_have_count(2)
    places = newest.locator(".place-group:not(.is-unranked) a").evaluate_all("links => links.map(a => a.pathname)")
    assert places == [f"/images/{group[0]}/" for group in annotation.ranking]


def test_an_export_is_downloaded(cast: Cast, window: Windows) -> None:
    scenes.with_items(cast, 3)
    scenes.rank(cast, cast.bob, "1234")
    alice = window(cast.alice)
    page = alice.open(path_of(cast.project, "export/"))
    with page.expect_download() as waiting:
        page.get_by_role("button", name=re.compile("Download Easel JSONL")).click()
    file = waiting.value
    assert file.suggested_filename == "icons-round-2-annotations.jsonl"
    (row,) = Path(file.path()).read_text().splitlines()
    assert json.loads(row)["active_ms"] == 9400
    with page.expect_download() as waiting:
        page.get_by_role("button", name=re.compile("Download TRL preferences")).click()
    assert Path(waiting.value.path()).read_bytes()[:4] == b"PAR1"
    quiet(alice)


def test_a_token_is_shown_once_and_deleted(cast: Cast, window: Windows) -> None:
    alice = window(cast.alice, permissions=["clipboard-read", "clipboard-write"])
    page = alice.open("/account/")
    page.get_by_label("What is it for?").fill("my script")
    page.get_by_role("button", name="Create token").click()
    key = page.locator("#token-key").inner_text()
    expect(page.locator("#token-try")).to_contain_text(f"Authorization: Token {key}")
    page.get_by_role("button", name="Copy token").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.goto(alice.server + "/account/")
    assert key not in page.content()
    page.get_by_role("button", name="Delete the token my script").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete token").click()
    expect(page.get_by_role("status")).to_contain_text("The token is deleted.")
    assert not ApiToken.tokens.of(cast.alice).exists()


def test_new_guidelines_are_saved_and_shown_as_annotators_read_them(cast: Cast, window: Windows) -> None:
    page = window(cast.alice).open(path_of(cast.project, "settings/"))
    page.get_by_label("Guidelines").fill("# Look twice\n\n<script>alert(1)</script> **Sharp** edges first.")
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    expect(page.locator(".prose h1")).to_have_text("Look twice")
    expect(page.locator(".prose strong")).to_have_text("Sharp")
    assert page.locator(".prose script").count() == 0


def test_a_new_project_is_made_and_asks_for_its_prompts(cast: Cast, window: Windows) -> None:
    page = window(create_user("frida", None)).open("/")
    expect(page.get_by_role("heading", name="No projects yet")).to_be_visible()
    page.get_by_role("link", name="New project").click()
    page.get_by_role("textbox", name="Name").fill("Logos")
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_role("status")).to_contain_text("Add its prompts next.")
    expect(page.get_by_role("main").get_by_role("link", name="Import prompts")).to_be_visible()


def test_an_annotator_is_offered_ranking_only(busy: Cast, window: Windows) -> None:
    bob = window(busy.bob)
    page = bob.open("/")
    expect(page.get_by_role("link", name="Rank images of Icons, round 2")).to_be_visible()
    expect(page.get_by_role("link", name="Open Icons, round 2")).to_have_count(0)
    assert bob.context.request.get(bob.server + path_of(busy.project, "people/")).status == 403
    page = bob.open(path_of(busy.project))
    assert page.url.endswith("/rank/")


def test_an_engineer_sees_the_project_but_is_not_offered_to_change_it(busy: Cast, window: Windows) -> None:
    page = window(busy.dave).open(path_of(busy.project))
    tabs = page.get_by_role("navigation", name="This project").get_by_role("link")
    assert tabs.all_inner_texts() == ["Overview", "Prepare", "Rankings", "Models"]
    tabs.get_by_text("Prepare").click()
    assert tabs.all_inner_texts()[4:] == ["Templates", "Prompts", "Generate", "Images"]
    tabs.get_by_text("Models").click()
    assert tabs.all_inner_texts()[4:] == ["Snapshots", "Fine-tune", "Evaluate", "Export"]
    page.go_back()
    page.go_back()
    expect(page.get_by_role("link", name="Rank images")).to_have_count(0)


def test_a_guesser_is_told_to_wait(cast: Cast, window: Windows) -> None:
    create_user("frida", PASSWORD)
    for _ in range(9):
        Client().post("/sign-in/", {"username": "frida", "password": "a guess"})
    page = window(None, width=390, height=844).open("/sign-in/")
    page.get_by_label("User name").fill("frida")
    page.get_by_label("Password").fill("another guess")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("it is locked for this address for 15 min")).to_be_visible()
    assert not faults(page, 390)


def pages_of(cast: Cast) -> dict[str, tuple[User | None, str]]:
    """Every page: who looks at it, and its address."""
    project = cast.project
    _, secret = invite(project, Role.ANNOTATOR, cast.alice, Role.OWNER, timezone.now(), days=3, max_uses=20)
    preview = preview_import(project, "prompts.csv", BAD_CSV, cast.alice, timezone.now())
    empty = create_project("Logos", project.template_version, cast.alice, timezone.now())
    inside = {
        "overview": "", "prompts": "prompts/", "import": "prompts/import/", "preview": f"prompts/imports/{preview.pk}/",
        "generations": "generations/", "gallery": "images/", "annotations": "annotations/", "export": "export/",
        "people": "people/", "settings": "settings/",
    }  # fmt: skip
    found: dict[str, tuple[User | None, str]] = {
        "projects": (cast.alice, "/"),
        "projects-none": (create_user("frida", None), "/"),
        "new-project": (cast.alice, "/projects/new/"),
        "account": (cast.alice, "/account/"),
        "invitation-newcomer": (None, f"/invitations/{secret}/"),
        "invitation-signed-in": (cast.charlie, f"/invitations/{secret}/"),
        "invitation-unknown": (None, "/invitations/nothing/"),
    }
    found |= {name: (cast.alice, path_of(project, rest)) for name, rest in inside.items()}
    bare = ("overview", "prompts", "generations", "gallery", "annotations", "export")
    return found | {f"{name}-empty": (cast.alice, path_of(empty, inside[name])) for name in bare}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page_is_clean_for_axe_and_the_console_and_fits_its_width(
    busy: Cast, window: Windows, size: str, theme: str
) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    scenes.with_requests(busy)
    width, height = SIZES[size]
    phone = width < 600
    windows: dict[Any, Window] = {}
    problems: list[str] = []

    def look(page: Page, name: str, *, whole: bool = True) -> None:
        problems.extend(f"{name}: {line}" for line in faults(page, width))
        if name in {"gallery", "annotations"}:  # their images are fetched as they come into view
            page.wait_for_load_state("networkidle")
        page.screenshot(path=ARTIFACTS / f"page-{name}-{size}-{theme}.png", full_page=whole)

    for name, (user, path) in pages_of(busy).items():
        if user not in windows:
            options = {"has_touch": phone, "is_mobile": phone, "color_scheme": theme}
            windows[user] = window(user, width=width, height=height, **options)
        page = windows[user].open(path)
        look(page, name)
        if name == "gallery":
            page.locator("a[data-image]").first.click()
            look(page, "large-image", whole=False)
        elif name == "export":
            page.get_by_text("The same from a script").last.click()
            look(page, "export-open")
        elif name == "people":
            page.get_by_role("button", name="Create invitation link").click()
            look(page, "invited")
        elif name == "account":
            page.get_by_label("What is it for?").fill("notebook")
            page.get_by_role("button", name="Create token").click()
            look(page, "token")
        page.close()
    problems += [line for one in windows.values() for line in one.console if "404 (Not Found)" not in line]
    assert not problems, "\n".join(problems)


def faults(page: Page, width: int) -> list[str]:
    """What axe finds on a page, and whether it is wider than the window."""
    page.wait_for_function("[...document.images].every((image) => image.complete || image.loading === 'lazy')")
    violations = Axe().run(page).response["violations"]
    found = [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in violations for node in one["nodes"]]
    if page.evaluate("document.documentElement.scrollWidth") > width:
        found.append("the page is wider than the window")
    return found
