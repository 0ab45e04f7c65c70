"""R16: whatever annotators do, and in whatever order, an item gets what it needs and no answer is lost or doubled.

Real services on a real Postgres; the clock is an argument. EASEL_LONG_FAULTS=1 runs the size that the statement names.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone
from easel.annotation import services
from easel.annotation.access import assignment_for
from easel.annotation.models import Annotation, Assignment, Item
from easel.common.errors import Conflict
from easel.projects.models import Project
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.cast import Cast, answers_for, in_parallel, lease, make_items, make_user, submit

LONG = bool(os.environ.get("EASEL_LONG_FAULTS"))
EXAMPLES, STEPS = (500, 50) if LONG else (12, 30)
people = st.integers(0, 2)
which = st.integers(0, 9)


class Life(RuleBasedStateMachine):
    """Three annotators, three items, and a clock that runs on."""

    cast: Cast  # set by the test

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.savepoint()
        self.now: datetime = timezone.now()
        self.annotators = [self.cast.bob, self.cast.erin, self.cast.alice]
        self.had: list[list[UUID]] = [[], [], []]
        self.acknowledged: dict[UUID, UUID] = {}

    @initialize(overlap=st.integers(1, 3))
    def start(self, overlap: int) -> None:
        """Ask for so many annotators an item."""
        Project.objects.filter(pk=self.cast.project.pk).update(overlap=overlap)
        self.project = Project.objects.get(pk=self.cast.project.pk)

    @rule(person=people, holds=st.booleans())
    def ask(self, person: int, holds: bool) -> None:
        """Somebody opens the page, with or without items on it."""
        holding = self.had[person] if holds else []
        found = services.lease_next(self.project, self.annotators[person], self.now, holding)
        if found is not None:
            assert found.expires_at > self.now
            assert found.pk not in holding
            assert sorted(found.shown_order) == sorted(found.item.candidates.values_list("pk", flat=True))
            self.had[person] += [] if found.pk in self.had[person] else [found.pk]

    @rule(person=people, number=which, other=st.booleans())
    def answer(self, person: int, number: int, other: bool) -> None:
        """Somebody submits something that they once had on the page: now, late, or again."""
        assignment = self._one_of(person, number)
        if assignment is None:
            return
        answers = answers_for(assignment, rationale="another" if other else "")
        try:
            stored, created = submit(assignment, answers, self.now)
        except Conflict:
            assert assignment.pk in self.acknowledged
            return
        assert created == (assignment.pk not in self.acknowledged)
        assert self.acknowledged.setdefault(assignment.pk, stored.pk) == stored.pk

    @rule(person=people, number=which)
    def skip(self, person: int, number: int) -> None:
        """Somebody skips."""
        assignment = self._one_of(person, number)
        if assignment is None:
            return
        try:
            with transaction.atomic():
                services.skip(assignment_for(assignment.annotator, assignment.pk, lock=True), "unsure")
        except Conflict:
            assert assignment.pk in self.acknowledged

    @rule(person=people, number=which)
    def beat(self, person: int, number: int) -> None:
        """Somebody's page is still open."""
        assignment = self._one_of(person, number)
        if assignment is None:
            return
        try:
            assert services.heartbeat(assignment, self.now) > self.now
        except Conflict:
            assert assignment.state != "open" or assignment.expires_at <= self.now

    @rule(minutes=st.sampled_from([1, 5, 11]))
    def wait(self, minutes: int) -> None:
        """Time passes; a lease lasts ten minutes."""
        self.now += timedelta(minutes=minutes)

    @invariant()
    def nothing_is_doubled_and_nothing_lost(self) -> None:
        """The rows agree with what was acknowledged, and with the overlap."""
        overlap = Project.objects.get(pk=self.cast.project.pk).overlap
        assert dict(Annotation.objects.values_list("assignment", "pk")) == self.acknowledged
        counted = Counter(Assignment.objects.filter(state="submitted").values_list("item", flat=True))
        taken = Counter(Assignment.objects.taking_part(self.now).values_list("item", flat=True))
        assert all(number <= overlap for number in taken.values())
        for item in Item.objects.all():
            assert (item.state == "done") == (counted[item.pk] >= overlap)

    def _one_of(self, person: int, number: int) -> Assignment | None:
        had = self.had[person]
        return Assignment.objects.get(pk=had[number % len(had)]) if had else None

    def teardown(self) -> None:
        """Forget the example's rows."""
        transaction.savepoint_rollback(self.savepoint)


def test_no_order_of_acts_loses_or_doubles_an_answer(cast: Cast) -> None:
    make_items(cast, 3)
    Life.cast = cast
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=checks
        ),
    )


@pytest.fixture
def shared(committed_cast: Cast) -> Iterator[Cast]:
    """Items that three annotators each rank."""
    Project.objects.filter(pk=committed_cast.project.pk).update(overlap=3)
    committed_cast.project.refresh_from_db()
    make_items(committed_cast, 8)
    yield committed_cast
    connection.close()


def test_one_person_in_eight_tabs_at_once_never_has_an_item_twice(shared: Cast) -> None:
    leased = in_parallel(8, lambda _: lease(shared.project, shared.bob))
    assert len({assignment.item_id for assignment in leased}) == Assignment.objects.count()
    assert {assignment.pk for assignment in leased} == set(Assignment.objects.values_list("pk", flat=True))


def test_submissions_and_leases_of_the_same_items_at_once_never_wait_for_each_other_in_a_ring(shared: Cast) -> None:
    """Everybody submits one item and takes up a lapsed lease of another, in crossing orders: no deadlock, no error."""
    annotators = [make_user(f"annotator{number}", shared.project) for number in range(3)]
    now = timezone.now()
    for _ in range(5):
        leases = [[lease(shared.project, one, now) for _ in range(1)] for one in annotators]
        for number, one in enumerate(annotators):
            second = services.lease_next(shared.project, one, now, [leases[number][0].pk])
            if second is not None:
                leases[number].append(second)
        later = now + timedelta(minutes=11)

        def work(number: int, later: datetime = later, leases: list[list[Assignment]] = leases) -> None:
            mine = leases[number] if number % 2 else leases[number][::-1]
            for assignment in mine:
                with transaction.atomic():
                    held = assignment_for(assignment.annotator, assignment.pk, lock=True)
                    services.submit(held, answers_for(held), 1, later)
                    services.lease_next(shared.project, assignment.annotator, later)

        in_parallel(3, work)
        now = later
        if not Item.objects.filter(state="ready").exists():
            break
    assert Annotation.objects.count() == Assignment.objects.exclude(state="open").count()
