"""Identifiers."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7 as _uuid7


def uuid7() -> UUID:
    """Return a new time-ordered identifier (RFC 9562): unguessable, and new rows land at the end of an index."""
    return _uuid7()
