"""R7 and skewed clocks: leases by an injected clock, and web machines whose clocks do not agree.

Each web machine reads its own clock. A clock that runs ahead takes a lease that lives for one that is over; one that
runs behind does the opposite. Either may cost somebody a place, and never an answer or the count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from easel.annotation import services
from easel.annotation.models import Annotation, Assignment, Item
from easel.annotation.services import LeaseLost
from easel.common.errors import Conflict
from easel.projects.models import Project
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cast import Cast, answers_for, lease, make_items, submit

LEASE, HEARTBEAT, SLACK = timedelta(minutes=10), timedelta(seconds=60), timedelta(seconds=15)
MOMENT = timedelta(seconds=1)
SKEWS = [timedelta(0), timedelta(seconds=90), timedelta(minutes=11), timedelta(days=2)]


def _offered(cast: Cast, at: datetime) -> Assignment | None:
    return services.lease_next(cast.project, cast.alice, at)


@pytest.mark.django_db
def test_an_item_is_kept_as_long_as_a_heartbeat_comes_every_minute(cast: Cast) -> None:
    make_items(cast, 1)
    now = timezone.now()
    held = lease(cast.project, cast.bob, now)
    for _ in range(120):
        now += HEARTBEAT
        assert services.heartbeat(held, now) == now + LEASE
        assert _offered(cast, now + HEARTBEAT) is None


@pytest.mark.django_db
@pytest.mark.parametrize("beats", [0, 1, 37])
def test_an_abandoned_item_is_available_again_as_soon_as_its_lease_has_run_out(cast: Cast, beats: int) -> None:
    make_items(cast, 1)
    last = timezone.now()
    held = lease(cast.project, cast.bob, last)
    for _ in range(beats):
        last += HEARTBEAT
        services.heartbeat(held, last)

    assert _offered(cast, last + LEASE - MOMENT) is None
    taken_over = _offered(cast, last + LEASE + SLACK)

    assert taken_over is not None
    assert taken_over.item_id == held.item_id
    with pytest.raises(LeaseLost):
        services.heartbeat(held, last + LEASE + SLACK)


@pytest.mark.django_db
def test_a_lease_that_ran_out_is_taken_up_again_where_nobody_has_come(cast: Cast) -> None:
    make_items(cast, 1)
    now = timezone.now()
    held = lease(cast.project, cast.bob, now)
    late = now + LEASE * 5
    assert services.heartbeat(held, late) == late + LEASE
    assert _offered(cast, late + LEASE - MOMENT) is None


@pytest.mark.django_db
@pytest.mark.parametrize("skew", SKEWS)
@pytest.mark.parametrize("first", ["bob", "alice"])
def test_a_web_machine_whose_clock_is_ahead_gives_an_item_away_and_one_answer_of_the_two_counts(
    cast: Cast, skew: timedelta, first: str
) -> None:
    make_items(cast, 1)
    now = timezone.now()
    mine = lease(cast.project, cast.bob, now)
    theirs = _offered(cast, now + skew)  # on the machine whose clock is ahead
    answers = [(mine, now + HEARTBEAT)]
    if theirs is not None:
        answers.append((theirs, now + HEARTBEAT + skew))
    for assignment, at in answers if first == "bob" else answers[::-1]:
        submit(assignment, answers_for(assignment), at)

    states = Counter(Assignment.objects.values_list("state", flat=True))
    assert states["submitted"] == 1
    assert states["surplus"] == len(answers) - 1
    assert Annotation.objects.count() == len(answers), "nobody's work is thrown away"
    item = Item.objects.get()
    assert (item.state, item.votes) == (Item.State.DONE, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("skew", SKEWS)
def test_a_clock_that_is_set_back_takes_no_lease_away_and_loses_no_answer(cast: Cast, skew: timedelta) -> None:
    make_items(cast, 1)
    now = timezone.now()
    held = lease(cast.project, cast.bob, now)
    before = held.expires_at

    assert services.heartbeat(held, now - skew) == now - skew + LEASE
    held.refresh_from_db()
    assert held.expires_at >= before, "a heartbeat never makes a lease shorter"
    assert _offered(cast, now + MOMENT) is None
    stored, created = submit(held, answers_for(held), now - skew)
    again, created_again = submit(held, answers_for(held), now + skew)
    assert (created, created_again, again.pk) == (True, False, stored.pk)
    held.refresh_from_db()
    assert held.state == Assignment.State.SUBMITTED


Act = tuple[int, str, int]  # who, what, and by which machine's clock
ACTS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["ask", "answer", "beat", "skip"]), st.integers(0, 2)), max_size=25
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS, skews=st.lists(st.integers(-30, 30), min_size=3, max_size=3), overlap=st.integers(1, 2))
@pytest.mark.django_db
def test_whatever_three_web_machines_take_the_time_for_no_answer_is_lost_and_none_counts_too_much(
    cast: Cast, acts: Sequence[Act], skews: Sequence[int], overlap: int
) -> None:
    made = Item.objects.filter(project=cast.project).exists() or make_items(cast, 2)
    assert made
    with transaction.atomic():
        Project.objects.filter(pk=cast.project.pk).update(overlap=overlap)
        _play(cast, acts, [timezone.now() + timedelta(minutes=skew) for skew in skews])
        counted = Counter(Assignment.objects.filter(state="submitted").values_list("item", flat=True))
        for item in Item.objects.all():
            assert counted[item.pk] == item.votes <= overlap
            assert (item.state == Item.State.DONE) == (item.votes == overlap)
        transaction.set_rollback(True)


def _play(cast: Cast, acts: Sequence[Act], clocks: list[datetime]) -> None:
    """Have three people act, each act on the machine that it happens to reach; every answer must be stored."""
    project = Project.objects.get(pk=cast.project.pk)
    people = [cast.bob, cast.alice, cast.erin]
    on_screen: dict[int, Assignment] = {}
    stored = 0
    for who, what, machine in acts:
        clocks = [clock + timedelta(minutes=2) for clock in clocks]
        at = clocks[machine]
        held = on_screen.get(who)
        if what == "ask" or held is None:
            found = services.lease_next(project, people[who], at)
            if found is not None:
                on_screen[who] = found
        elif what == "answer":
            stored += submit(held, answers_for(held), at)[1]
        else:
            held.refresh_from_db()
            try:
                services.heartbeat(held, at) if what == "beat" else services.skip(held, "unsure")
            except Conflict:
                continue
    assert Annotation.objects.count() == stored
