"""An annotator's own numbers, for the annotator: nothing of others, and nothing that tells gold from other items."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate

from easel.accounts.models import User
from easel.annotation.models import Annotation, Item
from easel.annotation.progress import Median
from easel.preferences.models import AnnotatorQuality
from easel.projects.models import Project

LEAST_GOLD, LEAST_REPEATS = 5, 10
"""Below so many, a score is chance; it is not shown yet."""
OWN_DAYS = 14


@dataclass(frozen=True)
class OwnFigures:
    """What an annotator did in a project, and how it went."""

    annotations: int
    today: int
    active_ms: int
    median_ms: float | None
    days: tuple[tuple[date, int], ...]
    """Annotations of each of the last 14 days, the newest last."""
    gold: int
    """Items with a known answer that were scored."""
    gold_passed: int
    consistency: float | None
    """The share of pairs decided the same way when an item came again."""
    repeats: int

    @property
    def gold_score(self) -> float | None:
        """The share of items with a known answer that were right; None while there are too few to say."""
        return self.gold_passed / self.gold if self.gold >= LEAST_GOLD else None

    @property
    def gold_words(self) -> str:
        """The score in friendly words."""
        score = self.gold_score
        if score is None:
            return "Some items have a known answer. Your score shows here once you have met a few."
        said = f"{self.gold_passed} of {self.gold} items with a known answer were as expected."
        if score >= 0.9:
            return f"{said} That is very good."
        if score >= 0.7:
            return f"{said} That is good."
        return f"{said} Have another look at the guidelines, and take your time."

    @property
    def consistency_words(self) -> str:
        """The self-consistency in friendly words."""
        if self.consistency is None:
            return "Now and then an item comes again. How often you decide the same way shows here later."
        said = f"When an item came again, you decided {100 * self.consistency:.0f}% of pairs the same way."
        if self.consistency >= 0.8:
            return f"{said} You know what you look for."
        return f"{said} Close calls differ from day to day: that is normal. Ties say that two images are equal."


def own_figures(project: Project, user: User, at: datetime) -> OwnFigures:
    """Return an annotator's own numbers in a project: three queries, whatever they did."""
    mine = Annotation.objects.filter(project=project, annotator=user)
    rank, midnight = Q(purpose=Item.Purpose.RANK), at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    gold = Q(purpose=Item.Purpose.GOLD, passed__isnull=False, item__gold__training=False)
    found = mine.aggregate(
        annotations=Count("pk", filter=rank),
        today=Count("pk", filter=rank & Q(created_at__gte=midnight)),
        median_ms=Median("active_ms", filter=rank),
        spent_ms=Sum("active_ms", default=0),
        gold=Count("pk", filter=gold),
        gold_passed=Count("pk", filter=gold & Q(passed=True)),
    )
    start = midnight - timedelta(days=OWN_DAYS - 1)
    counted = mine.filter(rank, created_at__gte=start).annotate(day=TruncDate("created_at")).values("day")
    per_day = dict(counted.annotate(n=Count("*")).values_list("day", "n"))
    days = [(start + timedelta(days=number)).date() for number in range(OWN_DAYS)]
    stored = AnnotatorQuality.objects.of_person(project, user.pk)
    again = stored.found.consistency if stored else None
    enough = again is not None and again.n >= LEAST_REPEATS
    return OwnFigures(
        active_ms=found.pop("spent_ms"),  # in the query, the name would stand for the sum
        **found,
        days=tuple((day, per_day.get(day, 0)) for day in days),
        consistency=again.rate if again and enough else None,
        repeats=again.n if again else 0,
    )
