"""The scripts and styles of components, found in their folders: /static/easel/components/<type>/field.js."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.staticfiles.finders import FileSystemFinder
from django.core.files.storage import FileSystemStorage, Storage

from easel.env import REPOSITORY

FOLDER = REPOSITORY / "platform" / "easel" / "forms" / "components"
SHOWN = (".js", ".css")


class ComponentFinder(FileSystemFinder):
    """Finds what a browser needs of a component's folder, and nothing else of it."""

    def __init__(self, app_names: Any = None, *args: Any, **kwargs: Any) -> None:
        folder = FileSystemStorage(location=FOLDER)
        folder.prefix = "easel/components"  # type: ignore[attr-defined]  # where Django's finders look for it
        self.locations = [(folder.prefix, str(FOLDER))]  # type: ignore[attr-defined]
        self.storages = {str(FOLDER): folder}

    def check(self, **kwargs: Any) -> list[Any]:
        """There is no setting that could be wrong."""
        return []

    def find_location(self, root: str, path: str, prefix: str | None = None) -> str | None:
        """Find one file."""
        return super().find_location(root, path, prefix) if path.endswith(SHOWN) else None

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        """Yield all files with where they are."""
        for path, storage in super().list(ignore_patterns or []):
            if path.endswith(SHOWN):
                yield path, storage
