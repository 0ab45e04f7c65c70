"""A browser, a project with images to rank, and people who are signed in."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from easel.accounts.models import User
from easel.annotation.gathering import gather
from easel.forms.services import publish
from easel.images.services import claim_render, record_images
from easel.projects.models import Project
from easel.projects.services import change_project
from easel.prompts.models import Prompt
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from generation.storage import Storage
from generation.types import RenderedImage, RenderedImages
from tests.cast import CLAIM, Cast, generate, make_prompts, manifest

# Playwright's synchronous API runs an event loop in this thread; the tests' own queries meet nothing concurrent.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ARTIFACTS = Path(__file__).resolve().parents[1] / "artifacts"
GUIDELINES = (
    "# What counts\n\n1. The image shows **what the prompt says**.\n2. It is well made.\n\nEqual images share a place."
)
PROMPTS = [
    "a 3d icon of a red apple on a yellow background",
    "a flat icon of a cat",
    "a pixel art icon of a rocket in front of a night sky",
    "a watercolour of a green heart",
    "a line drawing of an owl",
    "a sticker of a slice of pizza on a blue background",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder as a browser test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, one for all tests; each test has contexts (profiles) of its own."""
    path = os.environ.get("EASEL_CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.fail("No browser: set EASEL_CHROMIUM to a Chromium or Chrome.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def make_cast(committed_cast: Cast) -> Callable[..., Cast]:
    """Bring the cast on stage, with items of alice's project to rank; `definition` is the form, for once."""

    def make(*, items: int = 5, definition: dict[str, Any] | None = None, **images: Any) -> Cast:
        at = timezone.now()
        project = committed_cast.project
        if definition:
            publish(project.template_version.template, definition, at)
            Project.objects.filter(pk=project.pk).update(template_version=project.template_version.template.latest())
            project.refresh_from_db()
        change_project(project, name="Icons, round 2", guidelines=GUIDELINES)
        if items:
            add_items(committed_cast, items, **images)
        return committed_cast

    return make


@pytest.fixture
def cast(make_cast: Callable[..., Cast]) -> Cast:
    """The cast, and five items of four images."""
    return make_cast()


def rank_path(cast: Cast) -> str:
    """The address of the ranking page."""
    return f"/projects/{cast.project.pk}/rank/"


def add_items(
    cast: Cast,
    items: int,
    *,
    count: int = 4,
    picture: Callable[[int, int], bytes] | None = None,
    prompts: list[str] | None = None,
) -> None:
    """Add prompts, ask for images, draw them where a worker would render them, and gather them into items."""
    first = cast.project.prompts.count()
    texts = prompts or [text_of(number) for number in range(first, first + items)]
    numbers = {prompt.pk: number for number, prompt in enumerate(make_prompts(cast.project, *texts), start=first)}
    generate(cast, list(Prompt.objects.filter(pk__in=numbers).order_by("pk")), count)
    while request := claim_render(CLAIM, timezone.now()):
        made = []
        for prompt in request.prompts:
            for slot in prompt.slots:
                content = (picture or drawn)(numbers[prompt.id], slot.position)
                with Image.open(BytesIO(content)) as opened:
                    width, height = opened.size
                made.append(
                    RenderedImage(
                        prompt=prompt.id,
                        position=slot.position,
                        key=Storage(request.storage_url).put(content, "png"),
                        sha256=sha256(content).hexdigest(),
                        bytes=len(content),
                        width=width,
                        height=height,
                        manifest=manifest(request, slot.seed),
                    )
                )
        record_images(RenderedImages(lease=request.lease, images=tuple(made)), timezone.now())
    gather(timezone.now(), cast.project)


def text_of(number: int) -> str:
    """Return a prompt that no other item has."""
    return PROMPTS[number % len(PROMPTS)] + (f", number {number}" if number >= len(PROMPTS) else "")


def drawn(item: int, position: int, size: int = 256) -> bytes:
    """Draw a picture that differs for every item and position."""
    wide = size * 2
    image = Image.new("RGB", (wide, wide), ("#e8e4da", "#28374c", "#f4d35e", "#dbe7e4")[position % 4])
    inset = wide // 8 + position * wide // 24
    colour = ("#c8553d", "#588b8b", "#6a4c93", "#2f6690", "#b5651d", "#3a7d44")[item % 6]
    box = (inset, inset, wide - inset, wide - inset)
    ImageDraw.Draw(image).regular_polygon(
        (wide // 2, wide // 2, wide // 2 - inset), 3 + (item + position) % 5, rotation=7 * position, fill=colour
    )
    ImageDraw.Draw(image).ellipse(box, outline=colour, width=wide // 40)
    out = BytesIO()
    image.resize((size, size), Image.Resampling.LANCZOS).save(out, "PNG")
    return out.getvalue()


@dataclass
class Window:
    """A browser profile of one signed-in person, with what its console said."""

    context: BrowserContext
    server: str
    console: list[str] = field(default_factory=list)

    def open(self, path: str, *, wait: bool = True) -> Page:
        """Open a page; the ranking page is awaited until its images are there."""
        page = self.context.new_page()
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"pageerror: {error}"))
        page.goto(self.server + path)
        if wait and path.endswith("/rank/"):
            wait_for_item(page)
        return page


def wait_for_item(page: Page) -> None:
    """Wait until an item is shown with all its images, and the guard against double clicks has passed."""
    page.wait_for_selector("#state[data-state=item]")
    page.wait_for_selector(".tile:not([hidden])")
    page.wait_for_selector(".tile:not([hidden]):not([data-state=ready])", state="detached")
    page.wait_for_timeout(400)


@pytest.fixture
def window(browser: Browser, live_server: Any) -> Iterator[Callable[..., Window]]:
    """Open a browser profile: `window(bob)`, with Playwright's options of a context."""
    contexts = []

    def make(user: User | None, *, width: int = 1440, height: int = 900, **options: Any) -> Window:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        if user:
            client = Client()
            client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
            context.add_cookies(
                [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
            )
        return Window(context, live_server.url)

    yield make
    for context in contexts:
        context.close()
    _wait_for_the_last_requests()


def _wait_for_the_last_requests() -> None:
    """Wait until the server's threads have left the database: emptying it under a request can deadlock."""
    busy = """SELECT 1 FROM pg_stat_activity
              WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"""
    quiet_since = time.monotonic()
    end = quiet_since + 10
    while time.monotonic() < min(quiet_since + 0.2, end):
        with connection.cursor() as cursor:
            cursor.execute(busy)
            if cursor.fetchone():
                quiet_since = time.monotonic()
        time.sleep(0.02)
