"""Every component has a page in the reference, and the pages say what the components say."""

from __future__ import annotations

from pathlib import Path

import pytest
from easel.forms.components import BY_TYPE
from easel.forms.reference import pages

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference" / "components"


@pytest.mark.parametrize("name", ["README.md", *(f"{kind}.md" for kind in BY_TYPE)])
def test_the_page_of_a_component_says_what_the_component_says(name: str) -> None:
    page = FOLDER / name
    again = "run `manage.py document_components` and commit what it writes"
    assert page.is_file(), f"docs/reference/components/{name} is missing; {again}"
    assert page.read_text(encoding="utf-8") == pages()[name], f"docs/reference/components/{name} is stale; {again}"


def test_there_is_no_page_of_a_component_that_is_gone() -> None:
    assert {path.name for path in FOLDER.glob("*.md")} == set(pages())
