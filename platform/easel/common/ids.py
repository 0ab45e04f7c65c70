"""Identifiers."""

from __future__ import annotations

import secrets
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7 as _uuid7


def uuid7() -> UUID:
    """Return a new time-ordered identifier (RFC 9562): unguessable, and new rows land at the end of an index."""
    return _uuid7()


def uuid7_of(moment: datetime) -> UUID:
    """Return a new identifier of a moment's millisecond: all others of it are before or behind it by pure chance.

    What annotators see together must not tell by its ids which was made first.
    """
    milliseconds = int(moment.timestamp() * 1_000)
    chance = secrets.randbits(74)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | (chance >> 62) << 64 | 0b10 << 62 | (chance & (1 << 62) - 1))
