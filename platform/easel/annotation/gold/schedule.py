"""Which of an annotator's items are gold, and which are shown twice. Pure: no Django.

The rates are exact, the places are not to be foreseen. Work is cut into blocks; how many items of a block are gold
follows from the share and the blocks before it, so that no run of luck gives somebody 30 % and somebody else none; at
which places they stand is drawn by a hash with a key that only the server has, so that two annotators cannot compare
notes, and nobody can count along. Nothing is stored: the same number always has the same purpose.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from hmac import new as hmac
from typing import Literal
from uuid import UUID

Purpose = Literal["rank", "gold", "repeat"]
FIRST = 20
"""Items with the share of beginners."""
REPEATS_FROM = 50
"""Items before the first that may be shown again."""
BLOCK = 20


def key_of(secret: str, project: UUID, annotator: UUID | int) -> bytes:
    """Return the key of an annotator's places in a project, from the server's own secret."""
    return hmac(secret.encode(), f"gold {project} {annotator}".encode(), sha256).digest()


def purpose_of(number: int, key: bytes, gold_share: int, gold_share_first: int, repeat_share: int) -> Purpose:
    """Return what the annotator's next item is for.

    number: how many they had before. key: from `key_of`. The shares are percents: gold after and among the first 20
    items, and repeats from the 51st on.
    """
    start, end = _block(number)
    if start < FIRST:
        gold = _count(start, end, gold_share_first, _phase(key, "first"))
    else:
        gold = _count(start - FIRST, end - FIRST, gold_share, _phase(key, "gold"))
    repeats = _count(start - REPEATS_FROM, end - REPEATS_FROM, repeat_share, _phase(key, "repeat"))
    if not gold and not repeats:
        return "rank"
    at = _drawn(key, start, end).index(number)
    return "gold" if at < gold else "repeat" if at < gold + repeats else "rank"


@lru_cache(maxsize=1_024)
def _drawn(key: bytes, start: int, end: int) -> tuple[int, ...]:
    """Return a block's numbers in an order drawn by chance: once, for an annotator asks for each of them in turn."""
    return tuple(sorted(range(start, end), key=lambda place: _hash(key, f"place {place}")))


def _block(number: int) -> tuple[int, int]:
    """Return where the block of a number begins and ends: the first 20, the 30 up to the repeats, then each 20."""
    if number < FIRST:
        return 0, FIRST
    if number < REPEATS_FROM:
        return FIRST, REPEATS_FROM
    start = number - (number - REPEATS_FROM) % BLOCK
    return start, start + BLOCK


def _count(start: int, end: int, share: int, phase: int) -> int:
    """Return how many of the items from `start` on, up to `end`, are chosen by a share in percent.

    Summed over blocks it is off by less than one: what a block rounds away, a later one has. The phase, in hundredths
    of an item, differs from annotator to annotator and says which block that is.
    """
    return (end * share + phase) // 100 - (start * share + phase) // 100 if start >= 0 else 0


def _phase(key: bytes, of: str) -> int:
    return int.from_bytes(_hash(key, f"phase {of}")[:8], "big") % 100


def _hash(key: bytes, of: str) -> bytes:
    return hmac(key, of.encode(), sha256).digest()
