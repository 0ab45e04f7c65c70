"""Which words of a prompt say what is to be seen. Pure."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+")
_ARTICLES = """
    a an and are as at be by for from has have in into is it its near next of off on one onto or out over some that the
    their there these this those through to under up very was were with without
"""
_LOOKS = """
    style styled photo photograph photography picture image painting drawing illustration render rendering icon
    background foreground color colour colored coloured detailed high quality resolution best realistic view shot scene
    art artwork
"""
_EMPTY = frozenset(f"{_ARTICLES} {_LOOKS}".split())
"""Words that two prompts may share and still ask for quite different things."""
SHORTEST = 3


def content_words(prompt: str) -> frozenset[str]:
    """Return the words of a prompt that say what is to be seen, in small letters, a plural as its singular.

    A language that writes without spaces between words gives one long word a sentence, which no other prompt shares:
    there, prompts look different sooner than they are, and the preview is what tells.
    """
    words = (word.casefold() for word in _WORD.findall(prompt))
    kept = (_singular(word) for word in words if len(word) >= SHORTEST and word not in _EMPTY)
    return frozenset(word for word in kept if word not in _EMPTY)


def _singular(word: str) -> str:
    if word.endswith(("xes", "ches", "shes", "sses", "zes", "oes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > SHORTEST else word


def are_unlike(prompt: str, other: str) -> bool:
    """Tell whether two prompts ask for quite different things: both say something, and no content word is shared."""
    mine, theirs = content_words(prompt), content_words(other)
    return bool(mine) and bool(theirs) and not mine & theirs
