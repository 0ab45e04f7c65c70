"""Whether an answer to gold was right, and when an annotator has failed too many of them. Pure: no Django.

As everywhere (preferences.aggregate), an image that was left out of a ranking was not compared: absence is no verdict.
So an answer is wrong where it puts two images the wrong way round, or level; it is right where it puts every pair of
the known answer in order; and one that says nothing wrong but leaves a pair open cannot be scored. Who ranks the best
few and leaves the spoilt image out is therefore not punished; who guesses is, whatever they leave out: what they say of
the spoilt image counts only where it is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cut:
    """Who passes fewer than `least` of the last `window` gold items is paused."""

    window: int
    least: int


PAIRS = Cut(window=20, least=14)
"""Of two images. A guesser (1 in 2) passes it with 5.8 %."""
LARGER = Cut(window=10, least=7)
"""Of three images or more. A guesser (1 in 4, one spoilt image of four) passes it with 0.4 %."""


def cut_of(images: int) -> Cut:
    """Return the pause rule of items with so many images."""
    return PAIRS if images == 2 else LARGER


def score(answer: Mapping[str, Any], ranking: Sequence[Sequence[str]], all_bad: bool) -> bool | None:
    """Tell whether an annotator's answer is the known one; None where nobody can say.

    answer: as `Gold.answer`. ranking: ordered groups of ids, best first. An answer that calls all images bad is right
    or wrong where the known answer says so; else its ranking counts, and without one it cannot be scored.
    """
    pairs = answer.get("pairs") or []
    expected = answer.get("all_bad")
    if expected is not None and all_bad != expected:
        return False
    place = {image: number for number, group in enumerate(ranking) for image in group}
    said = [(place[better], place[worse]) for better, worse in pairs if better in place and worse in place]
    if any(better >= worse for better, worse in said):
        return False
    if expected and not place:
        return True  # that all are bad was to be said, and no form asks for more then
    if len(said) < len(pairs):
        return None
    return True if pairs or expected is not None else None


def failed(recent: str, images: int) -> bool:
    """Tell whether an annotator's last gold items pause them; with less than a full window, nothing does.

    recent: the last gold items that could be scored, oldest first; "1" is a passed one. images: how many the items
    have; a project that mixes sizes asks with that of the item at hand.
    """
    cut = cut_of(images)
    window = recent[-cut.window :]
    return len(window) == cut.window and window.count("1") < cut.least


def expected_order(answer: Mapping[str, Any]) -> list[list[str]]:
    """Return the known answer as people read it: groups of images, best first, as high as its pairs let them be."""
    pairs = answer.get("pairs") or []
    level = {image: 0 for pair in pairs for image in pair}
    for _ in level:  # pairs have no circle (`fault_of`), so the longest way down is shorter than there are images
        for better, worse in pairs:
            level[worse] = max(level[worse], level[better] + 1)
    return [[image for image in level if level[image] == at] for at in range(max(level.values(), default=-1) + 1)]


def fault_of(answer: Mapping[str, Any], images: Collection[str]) -> str:
    """Return what is wrong with a known answer of an item with these images, in one line; empty: nothing is."""
    pairs, all_bad = answer.get("pairs"), answer.get("all_bad")
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        return "The pairs of the answer must be a list of [better, worse]."
    if all_bad not in (None, True, False):
        return "all_bad must be null (it is not asked), true or false."
    if unknown := [image for pair in pairs for image in pair if image not in images]:
        return f"The answer names {str(unknown[0])[:60]!r}, which is no image of this item."
    if not pairs and all_bad is None:
        return "A gold item needs an answer: put at least one image before another, or say that all are bad."
    if _has_circle(pairs):
        return "The answer puts images before each other in a circle. Leave one of these pairs out."
    return ""


def _has_circle(pairs: Sequence[Sequence[str]]) -> bool:
    left = {(better, worse) for better, worse in pairs}
    while left:
        below = {worse for _, worse in left}
        free = {pair for pair in left if pair[0] not in below}
        if not free:
            return True
        left -= free
    return False
