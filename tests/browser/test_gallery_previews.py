"""Every gallery form is shown by the renderer that annotators get; its preview image is that picture.

EASEL_PICTURES=gallery writes templates/forms/<key>/preview.webp anew: look at them, and commit them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from easel.annotation.page import SAMPLE_PROMPT
from easel.forms.gallery import preview_of
from easel.forms.reading import parse_definition
from easel.forms.services import GALLERY
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import Window
from tests.browser.test_form_fields import preview
from tests.cast import Cast

KEYS = sorted(path.parent.name for path in GALLERY.glob("*/form.json"))
SIZE = (1200, 800)  # pixels
MOST = 60_000  # bytes


@pytest.mark.parametrize("key", KEYS)
def test_a_gallery_form_is_shown_whole_and_pictured(
    committed_cast: Cast, window: Callable[..., Window], key: str
) -> None:
    definition = json.loads((GALLERY / key / "form.json").read_text())["definition"]
    opened = window(committed_cast.alice, width=SIZE[0], height=SIZE[1], color_scheme="light")
    page = preview(opened, definition["components"])
    for part in definition["components"]:
        if "visible_if" not in part:
            expect(page.locator(f'[data-component="{part["name"]}"]').first).to_be_attached()
    form = parse_definition(definition)
    if form.live:
        page.get_by_label("Prompt").fill(SAMPLE_PROMPT)
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(400)  # the guard against double clicks
    expect(page.locator(".tile[data-state=ready]:not([hidden])")).to_have_count(form.images)
    if os.environ.get("EASEL_PICTURES") == "gallery":
        with Image.open(BytesIO(page.screenshot())) as picture:
            picture.convert("RGB").save(GALLERY / key / "preview.webp", "WEBP", quality=80, method=6)
    assert [line for line in opened.console if line.startswith(("error", "pageerror"))] == []


@pytest.mark.parametrize("key", KEYS)
def test_a_gallery_form_has_a_small_picture(key: str) -> None:
    found = preview_of(key)
    assert found is not None, f"{key} has none; run this file with EASEL_PICTURES=gallery"
    path: Path = found[0]
    assert path.stat().st_size < MOST
    with Image.open(path) as picture:
        assert picture.size == SIZE
