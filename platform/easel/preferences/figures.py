"""What is stored of a project's quality and of each annotator: plain figures, read by pages without any maths."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict

STORED = ConfigDict(frozen=True, extra="ignore")
"""Figures of an earlier release are read as far as they go; the next measurement replaces them."""


class Share(BaseModel):
    """A share with its 95% interval. None where nothing can be said."""

    model_config = STORED

    rate: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    """What it is a share of; for shares of pairs, the items."""


class Place(BaseModel):
    """How often the image shown at a place was ranked first."""

    model_config = STORED

    share: float
    """Of the items; an item whose best images are tied counts for each of them in part."""
    chance: float
    """What it would be if places did not matter."""
    error: float
    """The standard error of the share, by chance."""


class Position(BaseModel):
    """Whether somebody prefers places to images. Items without an order say nothing."""

    model_config = STORED

    items: int = 0
    places: tuple[Place, ...] = ()
    alarm: int | None = None
    """The place, from 0, that is farthest beyond three standard errors."""


class Habit(BaseModel):
    """How often somebody gives an answer, beside how often others do."""

    model_config = STORED

    rate: float | None = None
    others: float | None = None
    """The mean of the other annotators' shares."""
    error: float | None = None
    """The standard error of the difference, with how far people differ anyway in it."""
    n: int = 0


class Flag(BaseModel):
    """Something about an annotator that should be looked at, in words, with its numbers."""

    model_config = STORED

    code: str
    text: str
    numbers: dict[str, float]


class AnnotatorFigures(BaseModel):
    """What is known of one annotator of a project. Gold and repeats count only where they are named."""

    model_config = STORED

    kind: str = "human"
    annotations: int = 0
    active_ms: int = 0
    """Of everything they answered, gold and repeats too: it is what is paid for."""
    median_ms: float | None = None
    first: datetime | None = None
    last: datetime | None = None
    days: dict[date, int] = {}
    """Annotations of each day (UTC) of the last `services.DAYS` that has any."""
    gold: Share = Share()
    gold_recent: tuple[bool, ...] = ()
    """The newest 20 gold items, oldest first: whether they were passed."""
    consistency: Share = Share()
    """The share of pairs on which they agree with themselves, from repeats."""
    agreement: Share = Share()
    """The share of pairs on which they agree with others."""
    others_agreement: float | None = None
    """The share of pairs on which the others agree with each other."""
    agreement_days: dict[date, tuple[float, int]] = {}
    """Of each day: the agreement with others, and over how many items."""
    reliability: float | None = None
    """0: answers as if by tossing a coin; 1: judges as the others do (preferences.reliability)."""
    overlaps: int = 0
    position: Position = Position()
    ties: Habit = Habit()
    """Of the pairs that they compared."""
    all_bad: Habit = Habit()
    """Of their annotations."""
    fast: Share = Share()
    """Answers that came sooner than one can look: 3 s for two images, 6 s for more."""


class Category(BaseModel):
    """The items of one category of prompts."""

    model_config = STORED

    name: str
    items: int = 0
    done: int = 0
    annotations: int = 0
    agreement: Share = Share()
    all_bad: Share = Share()


class ProjectFigures(BaseModel):
    """What is known of a project. Of people, unless simulated annotators are all there is."""

    model_config = STORED

    kind: str = "human"
    annotations: int = 0
    simulated: int = 0
    """Annotations by simulated annotators, whichever kind the figures are of."""
    annotators: int = 0
    days: dict[date, int] = {}
    first: datetime | None = None
    last: datetime | None = None
    recent: int = 0
    """Annotations of the 24 hours before the measurement."""
    recent_annotators: int = 0
    week: int = 0
    """Annotations of the 7 days before the measurement."""
    items: int = 0
    items_done: int = 0
    remaining: int = 0
    """Annotations that items still want, by what is known of them now."""
    alpha: Share = Share()
    tau: Share = Share()
    pairs: Share = Share()
    gold: Share = Share()
    active_ms: int = 0
    usable_pairs: int = 0
    """Ordered pairs of images in annotations that count and call the images good enough."""
    images_cost: float | None = None
    """What images of services cost that say so; None where none does."""
    categories: tuple[Category, ...] = ()


class DayFigures(BaseModel):
    """The agreement on items whose last annotation came on one day."""

    model_config = STORED

    alpha: Share = Share()
    tau: Share = Share()
    pairs: Share = Share()
