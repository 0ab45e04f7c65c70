"""The pages of the registry in a real browser: adding a model, and pictures to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from easel.accounts.models import User
from easel.registry.models import ModelVersion
from easel.registry.services import NewModel, add_model
from playwright.sync_api import Page, expect

from tests.browser import scenes
from tests.browser.conftest import ARTIFACTS, Window
from tests.browser.test_project_pages import faults, quiet
from tests.cast import Cast
from tests.easel.registry.folders import make_adapter_folder, make_controlnet_folder

Windows = Callable[..., Window]
SIZES = {"1440": (1440, 900), "390": (390, 844)}


@pytest.fixture
def cast(committed_cast: Cast, model_folders: Path) -> Cast:
    """Everybody; alice is a site admin; images, and two adapters and a ControlNet lie there."""
    User.objects.filter(pk=committed_cast.alice.pk).update(is_staff=True)
    cast = scenes.begin(committed_cast)
    scenes.with_items(cast, 4)
    make_adapter_folder(model_folders / "loras" / "ink-and-watercolour")
    make_adapter_folder(model_folders / "loras" / "misty", b"{ }")
    make_controlnet_folder(model_folders / "edges")
    return cast


def test_a_folder_that_was_found_is_added_and_a_refusal_stands_at_its_field(cast: Cast, window: Windows) -> None:
    alice = window(cast.alice)
    page = alice.open("/")
    page.locator(".top-bar .menu summary").click()
    page.get_by_role("link", name="Models").click()
    page.get_by_role("link", name="Add a model").click()
    page.get_by_role("link", name="Fill in folder:loras/misty").click()
    expect(page.get_by_label("Location")).to_have_value("folder:loras/misty")
    page.get_by_role("button", name="Add model").click()
    expect(page.locator("#id_base_error")).to_contain_text("name the base model")
    page.get_by_label("Base model").select_option(label="Painter")
    page.get_by_role("button", name="Add model").click()
    expect(page.get_by_role("status")).to_contain_text("misty is registered.")
    expect(page.get_by_role("heading", level=1)).to_have_text("misty")
    expect(page.locator(".lineage")).to_contain_text("Painter")
    page.get_by_label("About this model").get_by_role("link", name="Painter").click()
    expect(page.locator(".images img")).to_have_count(4)
    told = [line for line in alice.console if "400 (Bad Request)" not in line]
    alice.console[:] = told
    quiet(alice)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_pages_of_models_are_pictured_and_clean_for_axe(cast: Cast, window: Windows, size: str, theme: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    width, height = SIZES[size]
    phone = width < 600
    options = {"color_scheme": theme, "has_touch": phone, "is_mobile": phone, "bypass_csp": True}
    alice = window(cast.alice, width=width, height=height, **options)
    problems: list[str] = []

    def look(name: str, page: Page) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=ARTIFACTS / f"models-{name}-{size}-{theme}.png", full_page=True)
        problems.extend(f"{name}: {line}" for line in faults(page, width))

    page = alice.open("/models/new/?location=folder:edges")
    page.get_by_role("button", name="Add model").click()
    page.locator("#id_base_error").wait_for()
    look("new", page)
    at = timezone.now()
    inky = add_model(
        NewModel("folder:loras/ink-and-watercolour", name="Ink and watercolour", base=cast.model, licence="MIT"),
        cast.alice,
        at,
    )
    add_model(NewModel("folder:edges", name="Edges for ink and watercolour", base=inky), cast.alice, at)
    add_model(NewModel("hub:someone/a-large-painter", base=cast.model), cast.alice, at)
    add_model(NewModel("api:another-painter", name="Another painter"), cast.alice, at)
    look("list", alice.open("/models/"))
    look("detail", alice.open(f"/models/{cast.model.pk}/"))
    look("adapter", alice.open(f"/models/{inky.pk}/"))
    look("service", alice.open(f"/models/{ModelVersion.objects.get(kind='api').pk}/"))
    ModelVersion.objects.filter(pk=inky.pk).update(location="folder:loras/gone")
    look("missing", alice.open(f"/models/{inky.pk}/"))
    assert not problems, "\n".join(problems)
