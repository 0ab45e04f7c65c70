"""`manage.py document_components`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from easel.env import REPOSITORY
from easel.forms.reference import pages

FOLDER = REPOSITORY / "docs" / "reference" / "components"


class Command(BaseCommand):
    """Writes the reference pages of the components."""

    help = "Write docs/reference/components of the components as they are; pages of components that are gone go too."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the pages."""
        FOLDER.mkdir(exist_ok=True)
        made = pages()
        for page in FOLDER.glob("*.md"):
            if page.name not in made:
                page.unlink()
        for name, text in made.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        self.stdout.write(f"{len(made)} pages written to {FOLDER}")
