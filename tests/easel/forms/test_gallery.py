"""The gallery: every form can be published, and its README says what is in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from easel.forms.definition import Definition
from easel.forms.models import Template
from easel.forms.reading import parse_definition, problems_of
from easel.forms.services import GALLERY, load_gallery

from tests.cast import TEMPLATE, Cast, browser_of

FORMS = sorted(GALLERY.glob("*/form.json"))
KEYS = [path.parent.name for path in FORMS]
TEXT_FORMS = {"chat-rating", "supervised-fine-tuning-pairs"}


def read(folder: Path) -> dict[str, Any]:
    """Read a gallery folder's form."""
    form: dict[str, Any] = json.loads((folder / "form.json").read_text())
    return form


def form_of(key: str) -> Definition:
    """Return a gallery form."""
    return parse_definition(read(GALLERY / key)["definition"])


def test_the_gallery_holds_the_eight_image_forms_and_two_text_forms() -> None:
    assert set(KEYS) - TEXT_FORMS == {
        "aspect-ratings",
        "best-worst",
        "image-edit-comparison",
        "model-comparison",
        "pairwise-arena",
        "rich-feedback",
        "rlhf-image-ranking-batch",
        "rlhf-image-ranking-live",
    }
    assert set(KEYS) >= TEXT_FORMS


@pytest.mark.parametrize("folder", [path.parent for path in FORMS], ids=KEYS)
def test_a_gallery_form_can_be_published_as_it_is(folder: Path) -> None:
    form = read(folder)
    assert problems_of(form["definition"]) == []
    assert 0 < len(form["name"]) <= 100
    assert form["description"].endswith(".")


@pytest.mark.parametrize("folder", [path.parent for path in FORMS], ids=KEYS)
def test_the_readme_of_a_form_names_its_components_in_their_order(folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    assert readme.startswith(f"# {read(folder)['name']}\n")
    told = re.findall(r"^\| `([a-z0-9_]+)` \| ([a-z_]+)", readme, re.MULTILINE)
    assert told == [(part.name, part.type) for part in form_of(folder.name).walk()]
    assert len(told) == readme.count("\n| `")


def test_the_live_form_is_the_one_that_the_product_began_with() -> None:
    form = form_of("rlhf-image-ranking-live")
    wanted = ["prompt", "generate", "model_select", "image_grid", "ranking", "textarea"]
    assert [part.type for part in form.walk()] == wanted
    assert form.live
    assert next(form.walk()).asks


def test_the_batch_form_keeps_the_names_that_scripts_rely_on() -> None:
    form = form_of("rlhf-image-ranking-batch")
    assert [part.name for part in form.walk()] == ["prompt", "images", "ranking", "all_bad", "rationale"]
    assert form.columns() == ["ranking", "all_bad", "rationale"]


@pytest.mark.parametrize("key", KEYS)
def test_forms_of_images_order_them_and_text_forms_show_none(key: str) -> None:
    form = form_of(key)
    assert form.orders is (key not in TEXT_FORMS)
    assert (form.images == 0) is (key in TEXT_FORMS)


@pytest.mark.django_db
def test_a_first_start_publishes_every_form_once() -> None:
    for _ in range(2):
        loaded = load_gallery(timezone.now())
    assert sorted(template.key for template in loaded) == KEYS
    assert {template.latest().number for template in Template.objects.all()} == {1}


def test_a_new_project_begins_with_the_batch_form_unless_another_one_is_chosen(cast: Cast) -> None:
    page = browser_of(cast.alice).get("/projects/new/").content.decode()
    chosen = re.findall(r'name="template" value="([^"]+)" required checked', page)
    assert [str(Template.objects.get(pk=pk).key) for pk in chosen] == [TEMPLATE]
