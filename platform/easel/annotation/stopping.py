"""When an item has enough annotators. Pure: no Django.

A fixed number of votes asks too many about what is plain and too few about what is close. Counting on until one verdict
is ahead by a lead (Wald's sequential test, 1945, for two verdicts) asks where asking helps.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil

Groups = Sequence[Sequence[str]]
NEAR = 1e-9  # leads are means of whole numbers


@dataclass(frozen=True)
class Rule:
    """`start` annotators rank an item; with a lead, more do until its lead is that large, or `cap` have ranked it."""

    start: int
    lead: float = 0
    """0: a fixed number, `start`."""
    cap: int = 0

    def wants(self, votes: int, lead: float) -> int:
        """Return how many annotators an item wants that has so many votes and this lead; `votes` where it has enough.

        Never more than could settle it: each further vote raises the lead by 1 at most.
        """
        if votes < self.start or not self.lead:
            return max(self.start, votes)
        if lead >= self.lead - NEAR or votes >= self.cap:
            return votes
        return min(self.cap, votes + ceil(self.lead - lead - NEAR))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one annotator said of an item: ordered groups of images, best first, or that all are bad."""

    groups: Groups
    all_bad: bool = False
    ties_are_equal: bool = True


def lead_of(verdicts: Iterable[Verdict]) -> float:
    """Return how far the annotators of an item are ahead of a draw: the mean over its pairs of images of how many more
    gave the commonest verdict on the pair than the next one.

    A pair's verdicts are: the one is better, the other is, both are equal, all are bad. Who compared neither says
    nothing of it. For items of two images it is the lead of the usual sequential vote. Without verdicts it is 0.
    """
    said: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    bad = 0
    for verdict in verdicts:
        if verdict.all_bad:
            bad += 1
            continue
        place = {image: number for number, group in enumerate(verdict.groups) for image in group}
        for a, b in combinations(sorted(place), 2):
            order = (place[a] > place[b]) - (place[a] < place[b])
            if order or verdict.ties_are_equal:
                said[a, b][order] += 1
    if not said:
        return float(bad)
    total = 0
    for counts in said.values():
        first, second = sorted([*counts.values(), bad, 0], reverse=True)[:2]
        total += first - second
    return total / len(said)
