"""A project's quality is measured where something is new, tells admins of alarms once, and pages only read it."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from easel.accounts.models import User
from easel.annotation.models import Annotation, Item
from easel.annotation.progress import counted_people
from easel.preferences import agreement, panels, people, services
from easel.preferences.figures import ProjectFigures
from easel.preferences.models import AnnotatorQuality, ProjectQuality, QualityDay
from easel.preferences.own import own_figures
from easel.preferences.people import measured_people
from easel.projects.models import Membership, Notice, Project
from easel.registry.models import ModelVersion
from rest_framework.test import APIClient

from tests.cast import API, Cast, browser_of, client_of, make_items, make_user
from tests.easel.preferences import stage

NOW = datetime(2026, 11, 20, 15, tzinfo=timezone.get_default_timezone())


@pytest.fixture
def now() -> datetime:
    """This moment, and not just before midnight."""
    return timezone.now().replace(hour=15)


def measured(cast: Cast, at: datetime) -> ProjectQuality:
    """Measure the project; it must be due."""
    assert services.measure(cast.project, at)
    return ProjectQuality.objects.get(project=cast.project)


def test_a_crowd_is_told_apart(cast: Cast, now: datetime) -> None:
    people = stage.crowd(cast, now)
    found = measured(cast, now).found
    assert (found.annotations, found.annotators, found.items, found.items_done) == (300, 5, 60, 60)
    assert found.pairs.n == 60
    by_name = {name: AnnotatorQuality.objects.get(annotator=user) for name, user in people.items()}
    codes = {name: {flag.code for flag in one.found_flags} for name, one in by_name.items()}
    assert codes["hana"] == codes["ivo"] == codes["jon"] == set()
    assert {"gold", "consistency", "agreement"} <= codes["gus"]
    assert {"gold", "position", "speed", "agreement"} <= codes["lea"]
    assert [name for name, one in by_name.items() if one.verdict] == ["gus", "lea"]
    lea = by_name["lea"].found
    assert lea.position.places[0].share == 1
    assert (lea.gold.rate, lea.gold.n, len(lea.gold_recent)) == (0.4, 20, 20)
    assert lea.gold_recent[0], "oldest first"
    hana = by_name["hana"].found
    assert hana.annotations == 60, "gold and repeats are not among them"
    assert hana.consistency.n == 24
    assert (hana.consistency.rate or 0) > 0.8 > 0.65 > (by_name["gus"].found.consistency.rate or 1)
    assert (hana.reliability or 0) > 0.8 > 0.3 > (by_name["gus"].found.reliability or 1)


def test_admins_are_told_once_and_again_only_when_an_alarm_begins_anew(cast: Cast, now: datetime) -> None:
    people = stage.crowd(cast, now)
    measured(cast, now)
    of_people = Notice.objects.filter(project=cast.project, about__isnull=False)
    told = sorted(of_people.values_list("kind", "about__username"))
    assert told == [("quality_verdict", "gus"), ("quality_verdict", "lea")], (
        "one notice a person, and it names all signs"
    )
    Notice.objects.update(seen_at=now)
    assert services.measure(cast.project, now, anyway=True)
    assert of_people.count() == len(told), "they last, and are not told again"
    mine = AnnotatorQuality.objects.get(annotator=people["lea"])
    assert "position" in mine.told


def test_a_measurement_without_news_changes_nothing(cast: Cast, now: datetime) -> None:
    items = make_items(cast, 4)
    stage.answer(items, cast.bob, stage.honest(), now)
    assert services.measure_due(now) == 1
    stored = ProjectQuality.objects.get()
    ProjectQuality.objects.update(seconds=0)
    assert services.measure_due(now + timedelta(seconds=30)) == 0
    stage.answer(items, cast.alice, stage.honest(), now)
    assert services.measure_due(now + timedelta(seconds=60)) == 1
    assert ProjectQuality.objects.get().watermark != stored.watermark
    assert services.measure_due(now + timedelta(minutes=59)) == 0
    assert services.measure_due(now + timedelta(hours=2)) == 1, "answers may have been corrected"
    assert services.measure_due(now + timedelta(days=20)) == 0, "nobody works there any more"


def test_what_takes_long_is_done_less_often(cast: Cast, now: datetime) -> None:
    items = make_items(cast, 2)
    stage.answer(items[:1], cast.bob, stage.honest(), now)
    services.measure_due(now)
    ProjectQuality.objects.update(seconds=6)
    stage.answer(items[1:], cast.bob, stage.honest(), now)
    assert services.measure_due(now + timedelta(seconds=119)) == 0
    assert services.measure_due(now + timedelta(seconds=121)) == 1


def test_projects_without_annotations_are_left_alone(cast: Cast, now: datetime) -> None:
    make_items(cast, 2)
    assert services.measure_due(now) == 0
    assert not ProjectQuality.objects.exists()


def test_simulated_annotators_are_left_out_of_the_headline_unless_they_are_all_there_is(
    cast: Cast, now: datetime
) -> None:
    items = make_items(cast, 6)
    robot = stage.simulated(cast, items, now)
    found = measured(cast, now).found
    assert (found.kind, found.annotations) == ("simulated", 6)
    stage.answer(items[:2], cast.bob, stage.honest(), now)
    found = measured(cast, now + timedelta(hours=1)).found
    assert (found.kind, found.annotations, found.simulated, found.annotators) == ("human", 2, 6, 1)
    assert found.pairs.n == 0, "people are not compared with simulated annotators"
    assert AnnotatorQuality.objects.get(annotator=robot).found.annotations == 6
    page = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/quality/").content.decode()
    assert "6 annotations by simulated annotators are left out" in page


def test_remaining_work_follows_what_items_want(cast: Cast, now: datetime) -> None:
    Project.objects.filter(pk=cast.project.pk).update(overlap=2)
    items = make_items(cast, 5)
    stage.answer(items[:3], cast.bob, stage.honest(), now, apart=timedelta(seconds=1))
    Item.objects.filter(pk__in=[item.pk for item in items[:3]]).update(votes=1)
    Item.objects.filter(pk=items[0].pk).update(wants=4)
    Item.objects.filter(pk=items[4].pk).update(state=Item.State.ASIDE)
    stored = measured(Cast(**{**cast.__dict__, "project": stage.project_of(cast)}), now)
    assert stored.found.remaining == 3 + 1 + 1 + 2
    pace = panels.pace_of(stored.found, now)
    assert (pace.per_day, pace.words) == (72, "at the pace of the last hour")
    assert pace.days_left == pytest.approx(7 / 72)


def test_the_pace_falls_back_to_the_week_and_then_to_nothing() -> None:
    figures = ProjectFigures(annotations=70, first=NOW - timedelta(days=30), remaining=20, week=14)
    assert panels.pace_of(figures, NOW).days_left == 10
    still = figures.model_copy(update={"week": 0})
    assert panels.pace_of(still, NOW).days_left is None
    assert panels.pace_of(still, NOW).words == "nobody has ranked for 7 days"
    busy = figures.model_copy(update={"recent": 40, "recent_annotators": 3})
    assert panels.pace_of(busy, NOW).days_left == 0.5


def test_the_cost_of_a_usable_pair_counts_everybodys_time_and_the_images_of_services(cast: Cast, now: datetime) -> None:
    items = make_items(cast, 2)
    service = ModelVersion.objects.create(
        name="Service", location="api:service", family="api", kind="api", created_at=now
    )
    candidate = items[0].candidates.first()
    assert candidate is not None
    type(candidate).objects.filter(pk=candidate.pk).update(model=service, manifest={"cost": 0.5})
    Project.objects.filter(pk=cast.project.pk).update(hourly_cost=Decimal(36))
    first, second = stage.answer(items, cast.bob, stage.honest(), now)
    Annotation.objects.update(active_ms=100_000)
    Annotation.objects.filter(pk=second.pk).update(all_bad=True)
    ranking = first.ranking
    Annotation.objects.filter(pk=first.pk).update(ranking=[ranking[0], [*ranking[1], *ranking[2]], ranking[3]])
    project = stage.project_of(cast)
    found = measured(cast, now).found
    assert (found.usable_pairs, found.images_cost) == (5, 0.5), "a tie is no ordered pair, and what is all bad none"
    cost = panels.cost_of(found, project.hourly_cost)
    assert cost is not None
    assert cost.people == pytest.approx(2.0)
    assert cost.per_pair == pytest.approx(0.5)
    quality = client_of(cast.alice).get(f"{API}/projects/{cast.project.pk}/quality/").json()
    assert quality["cost_per_pair"] == pytest.approx(0.5)


def test_agreement_is_kept_by_day(cast: Cast, now: datetime) -> None:
    items = make_items(cast, 12)
    yesterday = now - timedelta(days=1)
    for who in (cast.bob, cast.alice):
        stage.answer(items[:6], who, stage.honest(0.1), yesterday, apart=timedelta(seconds=1))
        stage.answer(items[6:], who, stage.guesser, now, apart=timedelta(seconds=1))
    measured(cast, now)
    first, second = QualityDay.objects.of_kind(cast.project, "human")
    assert (first.day, second.day) == (yesterday.date(), now.date())
    assert first.found.pairs.rate == 1
    assert (first.found.alpha.rate or 0) > (second.found.alpha.rate or 0)
    assert first.found.pairs.n == second.found.pairs.n == 6


def test_days_that_are_no_longer_among_the_newest_items_keep_what_they_have(
    cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = make_items(cast, 9)
    for days, some in ((2, items[:3]), (1, items[3:6]), (0, items[6:])):
        for who in (cast.bob, cast.alice):
            stage.answer(some, who, stage.honest(0.1), now - timedelta(days=days), apart=timedelta(seconds=1))
    measured(cast, now)
    before = {one.day: one.figures for one in QualityDay.objects.of_kind(cast.project, "human")}
    monkeypatch.setattr("easel.preferences.counts.NEWEST", 4)
    assert services.measure(cast.project, now, anyway=True)
    after = {one.day: one.figures for one in QualityDay.objects.of_kind(cast.project, "human")}
    assert after == before, "of the newest four items one is of yesterday: it does not stand for the day"
    assert ProjectQuality.objects.get().found.pairs.n == 4


def test_a_single_sign_is_told_where_it_needs_somebody(cast: Cast, now: datetime) -> None:
    items = make_items(cast, 40)
    stage.answer(items, cast.bob, stage.left_clicker, now, active_ms=1_000)
    measured(cast, now)
    (notice,) = Notice.objects.all()
    assert (notice.kind, notice.about) == ("quality_position", cast.bob)
    assert notice.text.startswith("bob: Ranks image A (at the left) first in 100% of 40 items")
    assert AnnotatorQuality.objects.get().verdict == "", "speed without failed gold says nothing"


def test_low_agreement_is_told(cast: Cast, now: datetime) -> None:
    items = make_items(cast, 40)
    for who in (cast.bob, cast.alice):
        stage.answer(items, who, stage.guesser, now)
    measured(cast, now)
    (notice,) = Notice.objects.filter(kind="quality_low_agreement")
    assert notice.text.startswith("People agree little: alpha is ")


def test_pages_take_few_queries_however_many_annotators_there_are(cast: Cast, now: datetime) -> None:
    items = make_items(cast, 3)

    def count(path: str) -> int:
        client = browser_of(cast.alice)
        client.get(path)
        with CaptureQueriesContext(
            connection,
        ) as caught:
            assert client.get(path).status_code == 200
        return len(caught)

    page = f"/projects/{cast.project.pk}/quality/"
    api = f"{API}/projects/{cast.project.pk}/quality/annotators/"
    stage.answer(items, cast.bob, stage.honest(), now)
    measured(cast, now)
    few = count(page), count(api)
    for number in range(12):
        stage.answer(items, make_user(f"person-{number}", cast.project), stage.honest(), now)
    assert services.measure(cast.project, now, anyway=True)
    assert (count(page), count(api)) == few
    assert few[0] <= 14


def rows(answer: object) -> list[dict[str, str]]:
    """A downloaded table."""
    content = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(content)))


def test_every_chart_has_its_csv_and_no_cell_of_it_is_a_formula(cast: Cast, now: datetime, alice: APIClient) -> None:
    items = make_items(cast, 4)
    User.objects.filter(pk=cast.bob.pk).update(username="=HYPERLINK(0)")
    Item.objects.update(category="@SUM(1)")
    for who in (cast.bob, cast.alice):
        stage.answer(items, who, stage.honest(), now)
    measured(cast, now)
    base = f"/projects/{cast.project.pk}/quality"
    page = browser_of(cast.alice)
    (day,) = rows(page.get(f"{base}/tables/throughput/"))
    assert day == {"day": now.date().isoformat(), "annotations": "8"}
    (day,) = rows(page.get(f"{base}/tables/agreement/"))
    assert day["items"] == "4"
    (category,) = rows(page.get(f"{base}/tables/categories/"))
    assert category["category"] == "'@SUM(1)"
    people = rows(alice.get(f"{API}{base}/tables/annotators/"))
    assert [one["annotator"] for one in people] == ["'=HYPERLINK(0)", "alice"]
    (day,) = rows(page.get(f"{base}/people/{cast.bob.pk}/table/"))
    assert day["shared_items"] == "4"
    assert page.get(f"{base}/tables/secrets/").status_code == 404


def test_the_person_page_knows_newcomers_and_those_who_left_and_no_strangers(cast: Cast, now: datetime) -> None:
    base = f"/projects/{cast.project.pk}/quality/people"
    page = browser_of(cast.alice)
    assert "No annotations yet" in page.get(f"{base}/{cast.bob.pk}/").content.decode()
    assert page.get(f"{base}/{cast.charlie.pk}/").status_code == 404
    stage.answer(make_items(cast, 2), cast.bob, stage.honest(), now)
    measured(cast, now)
    Membership.objects.filter(user=cast.bob).delete()
    assert "2 annotations" in page.get(f"{base}/{cast.bob.pk}/").content.decode()


def test_an_annotator_sees_their_own_numbers_alone(cast: Cast, now: datetime) -> None:
    people = stage.crowd(cast, now)
    measured(cast, now)
    own = own_figures(cast.project, people["jon"], now)
    assert (own.annotations, own.gold, own.gold_passed, own.gold_score) == (60, 20, 20, 1.0)
    assert sum(count for _, count in own.days) == 60
    assert own.repeats == 24
    assert own.consistency is not None
    assert own.gold_words.endswith("That is very good.")
    nothing = own_figures(cast.project, cast.bob, now)
    assert (nothing.annotations, nothing.gold_score, nothing.consistency, nothing.active_ms) == (0, None, None, 0)


def test_the_page_warns_where_the_measures_do() -> None:
    assert panels.WARN_BELOW == agreement.WARN_BELOW


def test_the_overview_reads_off_the_measurement_what_it_would_count(
    cast: Cast, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.crowd(cast, now)
    assert measured_people(cast.project) is None, "nothing was measured yet"
    measured(cast, now)
    assert measured_people(cast.project) is None, "a few are counted"
    monkeypatch.setattr(people, "MEASURED_FROM", 100)
    found = measured_people(cast.project)
    assert found
    assert sorted(found, key=str) == sorted(counted_people(cast.project), key=str)
    assert [one.annotations for one in found] == sorted((one.annotations for one in found), reverse=True)


def test_a_project_that_takes_long_to_measure_says_how_long_it_rests(cast: Cast, now: datetime) -> None:
    stage.answer(make_items(cast, 4), cast.bob, stage.honest(), now)
    measured(cast, now)
    page = f"/projects/{cast.project.pk}/quality/"
    assert "within half a minute of a new annotation" in browser_of(cast.alice).get(page).content.decode()
    ProjectQuality.objects.update(seconds=6)
    assert "again 2 min later at the earliest" in browser_of(cast.alice).get(page).content.decode()
