"""What the annotators of a project say together and each beside the others, gathered item by item in one pass.

Pure maths without Django. Memory grows with the answers by a few numbers each: 20,000 items of three people take 10 MB.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from easel.preferences.agreement import Agreement, Meter, Shares, met
from easel.preferences.conduct import share_of
from easel.preferences.figures import DayFigures, Share
from easel.preferences.reliability import Meetings, Reliability
from finetune.types import Judgement

RESAMPLES = 200
"""For the intervals of parts: days, categories, people. The whole has 1,000."""


class Together:
    """Takes the judgements of one item after another."""

    def __init__(self) -> None:
        self.items = 0
        self._all = Meter()
        self._meetings = Meetings()
        self._days: dict[date, Meter] = defaultdict(Meter)
        self._categories: dict[str, Shares] = defaultdict(Shares)
        self._people: dict[str, Shares] = defaultdict(Shares)
        self._agreed: dict[str, float] = defaultdict(float)
        self._pairs: dict[str, float] = defaultdict(float)
        self._by_day: dict[str, dict[date, list[float]]] = defaultdict(dict)
        self._total = [0.0, 0.0]

    def take(self, day: date, category: str, judgements: Sequence[Judgement]) -> None:
        """Add an item: the day of its last judgement, the category of its prompt, and what was said."""
        known = met(judgements)
        self._all.take(judgements, known)
        self._days[day].take(judgements, known)
        self._meetings.take(judgements, known)
        seen = set()
        for two in known:
            self._categories[category].add(self.items, two.share, two.pairs)
            self._total[0] += two.share * two.pairs
            self._total[1] += two.pairs
            for name in (two.one, two.other):
                self._people[name].add(self.items, two.share, two.pairs)
                self._agreed[name] += two.share * two.pairs
                self._pairs[name] += two.pairs
                of_day = self._by_day[name].setdefault(day, [0.0, 0.0, 0.0])
                of_day[0] += two.share * two.pairs
                of_day[1] += two.pairs
                of_day[2] += name not in seen
                seen.add(name)
        self.items += 1

    def agreement(self) -> Agreement:
        """How far all agree."""
        return self._all.agreement()

    def days(self) -> dict[date, DayFigures]:
        """How far they agreed on the items of each day."""
        return {day: figures_of(meter.agreement(resamples=RESAMPLES)) for day, meter in sorted(self._days.items())}

    def categories(self) -> dict[str, Share]:
        """On which share of pairs they agree in each category."""
        return {
            name: share_of(shares.interval(resamples=RESAMPLES)) for name, shares in sorted(self._categories.items())
        }

    def people(self) -> dict[str, Share]:
        """On which share of pairs each person agrees with others."""
        return {name: share_of(shares.interval(resamples=RESAMPLES)) for name, shares in sorted(self._people.items())}

    def others_of(self, name: str) -> float | None:
        """On which share of pairs the others agree with each other; None where no two of them met."""
        pairs = self._total[1] - self._pairs.get(name, 0.0)
        return (self._total[0] - self._agreed.get(name, 0.0)) / pairs if pairs > 0.5 else None

    def days_of(self, name: str) -> dict[date, tuple[float, int]]:
        """A person's agreement with others on the items of each day, and how many these were."""
        found = self._by_day.get(name, {})
        return {day: (agreed / pairs, int(items)) for day, (agreed, pairs, items) in sorted(found.items())}

    def reliabilities(self) -> Mapping[str, Reliability]:
        """How far each person can be relied on."""
        return self._meetings.fit()


def figures_of(found: Agreement) -> DayFigures:
    """Return measures of agreement as they are stored."""
    return DayFigures(alpha=share_of(found.alpha), tau=share_of(found.tau), pairs=share_of(found.pairs))
