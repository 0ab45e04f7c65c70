"""How an annotator works: position bias, ties, self-consistency, speed, gold; and what should be looked at, in words.

Pure maths without Django. Every flag says its numbers and what to do. No number alone says that somebody works badly:
people differ in taste, and one of a hundred honest people is beyond three standard errors somewhere. Only two flags
that rest on different answers make a recommendation, and it is one: nothing here pauses anybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from easel.preferences.figures import AnnotatorFigures, Flag, Habit, Place, Position, Share
from easel.preferences.intervals import Interval, wilson, win_rate

ERRORS = 3.0
"""Standard errors beyond which a share is no longer put down to chance."""
LEAST_ITEMS = 30
"""Items below which shares of items say nothing yet."""
LEAST_GOLD = 10
LEAST_REPEATS = 10
SPREAD = 0.05
"""Standard deviation of honest people's shares of ties and of all-bad, at least: tastes differ."""
GOLD_CUT = 0.8
"""Of gold: whose whole interval lies below it does not see what people who look see nearly always."""
CONSISTENCY_CUT = 0.65
"""Of the agreement with oneself: tossing a coin gives 0.5, single people agree with *others* in 0.65 to 0.78."""
RELIABILITY_CUT = 0.5
FAST_SHARE = 0.5
"""Of answers that came sooner than one can look."""
FAST_PAIR_MS, FAST_GRID_MS = 3_000, 6_000
LETTERS = "ABCDEFGHI"


def share_of(found: Interval) -> Share:
    """Return an interval as it is stored."""
    return Share(rate=found.estimate, low=found.low, high=found.high, n=found.clusters)


def counted(times: float, of: int) -> Share:
    """Return a share of independent cases with Wilson's interval; of none, nothing."""
    if not of:
        return Share()
    low, high = wilson(times, of)
    return Share(rate=times / of, low=low, high=high, n=of)


def position_bias(counts: Mapping[tuple[int, int, int], int]) -> Position:
    """Return how often the image at each place was ranked first, against chance.

    counts: (images shown, images that share the first place, place from 0) -> how often the image at this place was one
    of them. Only of items with an order: at least two groups. The order in which images are shown is drawn for each
    annotator, so by chance an image at any of n places is first in 1/n of the items, whatever the images; sharing the
    first place with t - 1 others counts 1/t. Of one item, that has the variance 1/(tn) - 1/n^2.
    """
    items: dict[tuple[int, int], float] = defaultdict(float)
    credit: dict[int, float] = defaultdict(float)
    for (shown, tied, place), times in counts.items():
        items[shown, tied] += times / tied
        credit[place] += times / tied
    total = sum(items.values())
    if not total:
        return Position()
    places = []
    for place in range(max(shown for shown, _ in items)):
        here = {key: count for key, count in items.items() if key[0] > place}
        chance = sum(count / shown for (shown, _), count in here.items())
        variance = sum(count * (1 / (tied * shown) - 1 / shown**2) for (shown, tied), count in here.items())
        places.append(Place(share=credit[place] / total, chance=chance / total, error=sqrt(max(0.0, variance)) / total))
    beyond = [
        (round(abs(one.share - one.chance) / one.error, 6), one.share > one.chance, number)
        for number, one in enumerate(places)
        if one.error and abs(one.share - one.chance) > ERRORS * one.error
    ]
    alarm = max(beyond)[-1] if beyond and total >= LEAST_ITEMS else None  # of two images, the one that is preferred
    return Position(items=round(total), places=tuple(places), alarm=alarm)


@dataclass(frozen=True)
class Mean:
    """The mean of one person's shares, item by item."""

    n: int
    mean: float
    variance: float
    """Of the single shares."""


def mean_of(times: int, of: int) -> Mean:
    """Return the mean of answers that are one thing or another."""
    share = times / of if of else 0.0
    return Mean(of, share, share * (1 - share))


def habit(mine: Mean, others: Sequence[Mean]) -> Habit:
    """Return a person's share beside the mean of others who answered enough to be compared with.

    The error of the difference holds three parts: the person's own sampling, how far people differ anyway (a random
    effect, estimated by moments and never below SPREAD), and the sampling of the others' mean.
    """
    if not mine.n:
        return Habit()
    known = [one for one in others if one.n >= LEAST_ITEMS]
    if not known:
        return Habit(rate=mine.mean, n=mine.n)
    k = len(known)
    centre = sum(one.mean for one in known) / k
    sampling = [one.variance / one.n for one in known]
    between = SPREAD**2
    if k > 1:
        observed = sum((one.mean - centre) ** 2 for one in known) / (k - 1)
        between = max(between, observed - sum(sampling) / k)
    error = sqrt(mine.variance / mine.n + between + between / k + sum(sampling) / k**2)
    return Habit(rate=mine.mean, others=centre, error=error, n=mine.n)


def consistency(shares: Sequence[float], pairs: Sequence[int]) -> Share:
    """Return how far a person agrees with themselves: of each repeat the share of agreeing pairs, and how many."""
    if not shares:
        return Share()
    found = win_rate(shares, list(range(len(shares))), weights=pairs)
    return Share() if found.estimate is None else share_of(found)


def flags_of(figures: AnnotatorFigures) -> list[Flag]:
    """Return what should be looked at, in the order in which it should be."""
    asked = (_gold, _position, _consistency, _agreement, _ties, _all_bad, _speed)
    return [flag for ask in asked if (flag := ask(figures)) is not None]


def verdict_of(flags: Sequence[Flag]) -> str:
    """Return a recommendation where two flags that rest on different answers meet, or nothing.

    Ties and all-bad are one habit. Speed counts only beside failed gold: quick people may be right.
    """
    codes = [flag.code for flag in flags]
    kinds = {("habit" if code in {"ties", "all_bad"} else code) for code in codes if code != "speed"}
    if "speed" in codes and "gold" in codes:
        kinds.add("speed")
    if len(kinds) < 2:
        return ""
    named = [NAMES[code] for code in codes if code != "speed" or "gold" in codes]
    return (
        f"Several signs point the same way: {', '.join(named[:-1])} and {named[-1]}. Look at their newest annotations "
        "and talk to them; pausing them in the meantime keeps the queue clean."
    )


NAMES = {
    "gold": "failed gold",
    "position": "the place of an image",
    "consistency": "answers that differ when asked again",
    "agreement": "little agreement with others",
    "ties": "the share of ties",
    "all_bad": "the share of all-bad",
    "speed": "speed",
}


def percent(share: float) -> str:
    """Write a share as people read it."""
    return f"{100 * share:.0f}%"


def _between(share: Share) -> str:
    return f"{percent(share.low or 0.0)} to {percent(share.high or 0.0)}"


def _gold(figures: AnnotatorFigures) -> Flag | None:
    gold = figures.gold
    if gold.rate is None or gold.n < LEAST_GOLD or gold.high is None or gold.high >= GOLD_CUT:
        return None
    passed = round(gold.rate * gold.n)
    return Flag(
        code="gold",
        text=f"Passed {passed} of {gold.n} gold items ({percent(gold.rate)}; {_between(gold)}). Who looks passes "
        "nearly all. Go through the guidelines with them.",
        numbers={"passed": passed, "scored": gold.n, "rate": gold.rate, "high": gold.high, "cut": GOLD_CUT},
    )


def _position(figures: AnnotatorFigures) -> Flag | None:
    position = figures.position
    if position.alarm is None:
        return None
    place = position.places[position.alarm]
    where = place_name(position.alarm, len(position.places))
    often = "only " if place.share < place.chance else ""
    return Flag(
        code="position",
        text=f"Ranks {where} first in {often}{percent(place.share)} of {position.items:,} items; by chance it would be "
        f"{percent(place.chance)} ± {percent(2 * place.error)}. Ask them to look at all images.",
        numbers={
            "place": position.alarm + 1,
            "share": place.share,
            "chance": place.chance,
            "error": place.error,
            "items": position.items,
        },
    )


def place_name(place: int, places: int) -> str:
    """Return what a place is called on the ranking page: "image A (at the left)"."""
    side = " (at the left)" if place == 0 else " (at the right)" if place == places - 1 else ""
    return f"image {LETTERS[place] if place < len(LETTERS) else place + 1}{side}"


def _consistency(figures: AnnotatorFigures) -> Flag | None:
    again = figures.consistency
    if again.rate is None or again.high is None or again.n < LEAST_REPEATS or again.high >= CONSISTENCY_CUT:
        return None
    return Flag(
        code="consistency",
        text=f"Agrees with themselves on {percent(again.rate)} of pairs ({_between(again)}) when {again.n} items are "
        "shown again; a coin would on 50%. Ask them how they decide.",
        numbers={"rate": again.rate, "high": again.high, "repeats": again.n, "cut": CONSISTENCY_CUT},
    )


def _agreement(figures: AnnotatorFigures) -> Flag | None:
    mine, others, known = figures.agreement, figures.others_agreement, figures.reliability
    if mine.rate is None or mine.high is None or others is None or known is None:
        return None  # of two people who disagree, nobody knows who is wrong
    if figures.overlaps < LEAST_ITEMS or known >= RELIABILITY_CUT or mine.high >= others:
        return None
    return Flag(
        code="agreement",
        text=f"Agrees with others on {percent(mine.rate)} of pairs ({_between(mine)}), and the others with each other "
        f"on {percent(others)}. Compare their newest annotations with those of others.",
        numbers={
            "rate": mine.rate,
            "high": mine.high,
            "others": others,
            "reliability": known,
            "overlaps": figures.overlaps,
        },
    )


def _ties(figures: AnnotatorFigures) -> Flag | None:
    return _habit("ties", figures.ties, "Puts {mine} of pairs level; others {others}.")


def _all_bad(figures: AnnotatorFigures) -> Flag | None:
    return _habit("all_bad", figures.all_bad, "Calls all images bad in {mine} of items; others in {others}.")


def _habit(code: str, found: Habit, words: str) -> Flag | None:
    if found.rate is None or found.others is None or found.error is None or found.n < LEAST_ITEMS:
        return None
    if abs(found.rate - found.others) <= ERRORS * found.error:
        return None
    said = words.format(mine=percent(found.rate), others=f"{percent(found.others)} ± {percent(2 * found.error)}")
    return Flag(
        code=code,
        text=f"{said} Tell them what the guidelines say of it.",
        numbers={"rate": found.rate, "others": found.others, "error": found.error, "items": found.n},
    )


def _speed(figures: AnnotatorFigures) -> Flag | None:
    fast = figures.fast
    if fast.rate is None or fast.n < LEAST_ITEMS or fast.rate < FAST_SHARE:
        return None
    return Flag(
        code="speed",
        text=f"Answers {percent(fast.rate)} of {fast.n:,} items sooner than one can look ({FAST_PAIR_MS // 1000} s for "
        f"two images, {FAST_GRID_MS // 1000} s for more). By itself it says nothing: quick people may be right.",
        numbers={"rate": fast.rate, "items": fast.n},
    )
