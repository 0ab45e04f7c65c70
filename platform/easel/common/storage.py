"""The one storage of this deployment."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from generation.storage import Storage


@lru_cache(maxsize=4)
def _storage(url: str) -> Storage:
    return Storage(url)


def storage() -> Storage:
    """Return the storage that the workers write to and the pages read from."""
    return _storage(settings.STORAGE_URL)
