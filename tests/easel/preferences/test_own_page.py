"""An annotator's own page: their numbers alone, in plain words."""

from __future__ import annotations

from django.utils import timezone
from easel.preferences.figures import Flag
from easel.preferences.models import AnnotatorQuality
from easel.preferences.own_words import kind_words

from tests.cast import Cast, annotate, browser_of, make_items


def page_of(cast: Cast, name: str) -> str:
    """What somebody sees."""
    answer = browser_of(getattr(cast, name)).get(f"/projects/{cast.project.pk}/me/")
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_it_says_what_will_be_here_and_then_counts_only_ones_own(cast: Cast) -> None:
    make_items(cast, 3)
    assert "Nothing yet" in page_of(cast, "bob")
    annotate(cast.project, cast.bob, 2)
    annotate(cast.project, cast.alice, 1)
    shown = page_of(cast, "bob")
    assert "<dt>Today</dt><dd>2</dd>" in shown
    assert "<dt>In all</dt><dd>2</dd>" in shown
    assert "alice" not in shown
    assert "Some items have a known answer. Your score shows here once" in shown


def test_flags_are_told_in_friendly_words_without_others(cast: Cast) -> None:
    make_items(cast, 1)
    annotate(cast.project, cast.bob, 1)
    position = Flag(code="position", text="", numbers={"place": 1, "share": 0.6, "chance": 0.25})
    agreement = Flag(code="agreement", text="Agrees with others on 40% of pairs", numbers={})
    AnnotatorQuality.objects.create(
        project=cast.project,
        annotator=cast.bob,
        measured_at=timezone.now(),
        flags=[flag.model_dump() for flag in (position, agreement)],
    )
    shown = page_of(cast, "bob")
    assert "You put image A first more often than chance would." in shown
    assert "Agrees with others" not in shown
    assert kind_words([agreement]) == []
