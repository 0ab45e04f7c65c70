"""What votes say about two models: the win rate of the challenger with its interval, and the verdict in one sentence.

Pure maths on votes. A vote is one annotator's answer about one comparison: two images of one prompt and one seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # it needs numpy, which a web process loads with the first page that shows figures
    from easel.preferences.intervals import Interval

Outcome = Literal["better", "worse", "open", "none"]
WON, TIED, LOST = 1.0, 0.5, 0.0


@dataclass(frozen=True)
class Vote:
    """One annotator's answer about one comparison."""

    item: str
    prompt: str
    """Votes about one prompt hang together: the interval is clustered by it."""
    category: str
    annotator: str
    score: float
    """Of the challenger: 1 it won, 0.5 a tie, 0 it lost."""
    weight: float = 1.0
    """In the win rate. Where the number of an item's votes hung on what they were, see `unbiased`."""


def score_of(
    ranking: Sequence[Sequence[str]], a: str, b: str, *, all_bad: bool = False, ties_are_equal: bool = True
) -> float | None:
    """Return what an answer says of b against a: 1, 0.5 or 0; None where it does not compare the two.

    Images that were left out were not compared, nor those on one place where `ties_are_equal` is off. "None is
    acceptable" without an order is a tie.
    """
    places = {image: place for place, group in enumerate(ranking) for image in group}
    if a in places and b in places:
        if places[a] == places[b] and not ties_are_equal:
            return None
        return WON if places[b] < places[a] else LOST if places[b] > places[a] else TIED
    return TIED if all_bad and not places else None


@dataclass(frozen=True)
class Tally:
    """Votes, counted."""

    won: int
    tied: int
    lost: int
    rate: Interval
    """Weighted share of votes that the challenger won, ties half; its bounds at 95 %, from a bootstrap over prompts."""

    @property
    def votes(self) -> int:
        """All votes."""
        return self.won + self.tied + self.lost

    @property
    def prompts(self) -> int:
        """Prompts that were voted on."""
        return self.rate.clusters

    @property
    def outcome(self) -> Outcome:
        """better or worse where the whole interval lies on one side of a half; open otherwise; none without votes."""
        if not self.votes:
            return "none"
        assert self.rate.low is not None and self.rate.high is not None
        if self.rate.low > 0.5:
            return "better"
        return "worse" if self.rate.high < 0.5 else "open"


def tally(votes: Sequence[Vote]) -> Tally:
    """Count votes and tell the win rate with its interval; the same votes always give the same interval."""
    from easel.preferences.intervals import win_rate

    scores = [vote.score for vote in votes]
    return Tally(
        won=scores.count(WON),
        tied=scores.count(TIED),
        lost=scores.count(LOST),
        rate=win_rate(scores, [vote.prompt for vote in votes], weights=[vote.weight for vote in votes]),
    )


def by_category(votes: Iterable[Vote]) -> list[tuple[str, Tally]]:
    """Count the votes of each category, by its name ("" where prompts have none). One alone is no table."""
    found: dict[str, list[Vote]] = {}
    for vote in votes:
        found.setdefault(vote.category, []).append(vote)
    return [(name, tally(found[name])) for name in sorted(found)] if len(found) > 1 else []


def by_item(votes: Iterable[Vote]) -> dict[str, float]:
    """Return the mean score of each comparison."""
    found: dict[str, list[float]] = {}
    for vote in votes:
        found.setdefault(vote.item, []).append(vote.score)
    return {item: sum(scores) / len(scores) for item, scores in found.items()}


def percent(share: float | None) -> str:
    """Write a share as a whole number of per cent."""
    return "–" if share is None else f"{100 * share:.0f}"


def in_words(counted: Tally, a: str, b: str) -> str:
    """Say in one sentence whether b is better than a: "Better: B wins 71% (64 to 78) of 300 blind comparisons."."""
    if not counted.votes:
        return "Nobody has judged yet."
    rate = counted.rate
    share = f"{b} wins {percent(rate.estimate)}% ({percent(rate.low)} to {percent(rate.high)})"
    votes = f"{counted.votes:,} blind comparison{'' if counted.votes == 1 else 's'}"
    if counted.tied == counted.votes:
        what = "the one blind comparison was" if counted.votes == 1 else f"all {votes} were"
        return (
            f"No difference was seen: {what} a tie." if counted.votes == 1 else f"No difference was seen: {what} ties."
        )
    lead = {"better": "Better", "worse": "Worse", "open": "No clear difference"}[counted.outcome]
    alone = " All are about one prompt, which says nothing about others." if counted.prompts == 1 else ""
    against = "" if counted.outcome == "better" else f" against {a}"
    return f"{lead}: {share} of {votes}{against}.{alone}"
