"""What votes say of an item whose number of votes hung on what they were. Pure maths.

Adaptive overlap asks on where verdicts differ. The plain mean of an item's votes then leans to the winning side (it
stopped because one was ahead), and the mean of all votes leans to a draw (close items have more of them). The one
unbiased estimate that uses all votes is the probability, given how many there were of each kind when it stopped, that
the first of them was of a kind: the share of the orders that lead there without stopping earlier and begin so
(M. A. Girshick, F. Mosteller and L. J. Savage, Unbiased estimates for certain binomial sampling problems, Annals of
Mathematical Statistics 17, 1946). With a fixed number of votes it is the plain share.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from easel.annotation.stopping import Rule

Counts = tuple[int, ...]
FIRST, SECOND, TIE, ALL_BAD, SILENT = KINDS_OF_VOTES = range(5)
"""What a vote on two images is; a silent one compared neither, and only the rule's count of votes knows of it."""
KINDS = len(KINDS_OF_VOTES)


def shares(counts: Sequence[int], rule: Rule, *, telling: int | None = None) -> tuple[float, ...]:
    """Return the unbiased share of each kind of vote of an item of two images.

    counts: of each kind; the first `telling` of them (all, if left out) are verdicts, whose lead the rule goes by, and
    others are not. Counts that the rule does not lead to, as after a change of the rule, have their plain shares.
    """
    reached = tuple(counts)
    kinds = len(reached) if telling is None else telling
    votes = sum(reached)
    if not votes:
        return tuple(0.0 for _ in reached)
    begun = [_orders(reached, kind, rule, kinds) if count else 0 for kind, count in enumerate(reached)]
    if not sum(begun):
        return tuple(count / votes for count in reached)
    return tuple(one / sum(begun) for one in begun)


@cache
def _orders(reached: Counts, first: int, rule: Rule, telling: int) -> int:
    """Return in how many orders votes come to these counts, beginning with one kind, and no earlier had enough."""
    total = 0
    for last, count in enumerate(reached):
        if not count:
            continue
        before = tuple(one - (kind == last) for kind, one in enumerate(reached))
        votes = sum(before)
        if votes == 0:
            return int(last == first)
        ahead = sorted([*before[:telling], 0, 0], reverse=True)
        if rule.wants(votes, ahead[0] - ahead[1]) > votes:
            total += _orders(before, first, rule, telling)
    return total


def weights(kinds: Sequence[int], rule: Rule) -> list[float]:
    """Return how much each vote of an item counts, so that together they count 1 and what they say is unbiased.

    kinds: what each vote is, as `kind_of` tells.
    """
    counts = [kinds.count(kind) for kind in range(KINDS)]
    found = shares(counts, rule, telling=SILENT)
    return [found[kind] / counts[kind] for kind in kinds]


def kind_of(ranking: Sequence[Sequence[str]], a: str, b: str, *, all_bad: bool, ties_are_equal: bool) -> int:
    """Return which of the verdicts that the rule tells apart (`stopping.lead_of`) an answer about two images is."""
    if all_bad:
        return ALL_BAD
    places = {image: place for place, group in enumerate(ranking) for image in group}
    if a not in places or b not in places:
        return SILENT
    if places[a] == places[b]:
        return TIE if ties_are_equal else SILENT
    return FIRST if places[a] < places[b] else SECOND
