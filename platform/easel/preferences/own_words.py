"""What is said to annotators about their own habits: friendly, with what to do, and nothing of others. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from easel.preferences.figures import Flag

_WORDS = {
    "position": "You put {place} first {often} than chance would. Which image is where is drawn by lot for each item: "
    "look at all of them before you decide.",
    "speed": "You are often quicker than most people can look. If you are sure, all is well; if not, take your time.",
    "ties": "You use ties much more or much less than is usual here. The guidelines say when two images are equal.",
    "all_bad": "You say “none is acceptable” much more or much less than is usual here. The guidelines say what is.",
}
"""Known answers and self-consistency have words of their own on the page; agreement would tell of others."""


def kind_words(flags: Sequence[Flag]) -> list[str]:
    """The flags that are somebody's own to mend, in plain words."""
    found = []
    for flag in flags:
        if words := _WORDS.get(flag.code):
            often = "more often" if flag.numbers.get("share", 1) > flag.numbers.get("chance", 0) else "less often"
            letter = chr(64 + int(flag.numbers.get("place", 1)))
            found.append(words.format(place=f"image {letter}", often=often))
    return found
