"""R16: whatever people do, and in whatever order, an item gets what it needs and no answer is lost or doubled.

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
from easel.accounts.roles import Role
from easel.annotation import distribution, services
from easel.annotation.access import assignment_for
from easel.annotation.counting import count, verdicts_on
from easel.annotation.curate.acts import start
from easel.annotation.curate.choosing import Chosen
from easel.annotation.desk import Paused
from easel.annotation.models import Annotation, Assignment, Item, Revision
from easel.annotation.people.services import deactivate
from easel.annotation.review import services as review
from easel.annotation.stopping import Rule
from easel.common.errors import Conflict, InvalidInput, NotFound
from easel.projects import services as projects
from easel.projects.models import Membership, Project
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.cast import Cast, answers_for, in_parallel, lease, make_items, make_user, submit

LONG = bool(os.environ.get("EASEL_LONG_FAULTS"))
EXAMPLES, STEPS = (500, 50) if LONG else (12, 30)
people = st.integers(0, 2)
which = st.integers(0, 9)


class Life(RuleBasedStateMachine):
    """Three annotators, a reviewer, an admin, three items, and a clock that runs on."""

    cast: Cast  # set by the test

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.savepoint()
        self.now: datetime = timezone.now()
        self.annotators = [self.cast.bob, self.cast.erin, self.cast.alice]
        self.had: list[list[UUID]] = [[], [], []]
        self.acknowledged: dict[UUID, UUID] = {}
        self.said: dict[UUID, str] = {}  # by annotation: the words that count now
        self.revisions: Counter[UUID] = Counter()
        self.away: set[int] = set()
        self.resting: set[int] = set()
        self.paused = False
        self.as_at_first = True  # nobody has changed the rule, or asked for more
        self.words = 0

    @initialize(overlap=st.integers(1, 3), lead=st.integers(0, 2))
    def start(self, overlap: int, lead: int) -> None:
        """Ask for so many annotators an item, or for more of them until the lead is so large."""
        Project.objects.filter(pk=self.cast.project.pk).update(overlap=overlap, overlap_lead=lead, overlap_cap=3)

    @rule(person=people, holds=st.booleans())
    def ask(self, person: int, holds: bool) -> None:
        """Somebody opens the page, with or without items on it."""
        holding = self.had[person] if holds else []
        try:
            found = services.lease_next(self._project(), self.annotators[person], self.now, holding)
        except Paused:
            assert self.paused or person in self.resting
            return
        except NotFound:
            assert person in self.away
            return
        assert person not in self.away | self.resting
        assert not self.paused
        if found is None:
            return
        assert found.pk not in holding
        assert sorted(found.shown_order) == sorted(found.item.candidates.values_list("pk", flat=True))
        if found.state == Assignment.State.RETURNED:
            return
        assert found.expires_at > self.now
        if found.pk not in self.had[person]:
            self.had[person].append(found.pk)
            item = Item.objects.get(pk=found.item_id)
            assert item.state == Item.State.READY
            assert self._taken(item) <= item.needs

    @rule(person=people, number=which, other=st.booleans())
    def answer(self, person: int, number: int, other: bool) -> None:
        """Somebody submits something that they once had on the page: now, late, again, or after it was returned."""
        assignment = self._one_of(person, number)
        if assignment is None:
            return
        before = Item.objects.get(pk=assignment.item_id)
        answers = answers_for(assignment, rationale="another" if other else "")
        if other and assignment.state == Assignment.State.RETURNED:
            answers["ranking"] = answers["ranking"][::-1]
        try:
            stored, created = submit(assignment, answers, self.now)
        except NotFound:
            assert person in self.away
            return
        except Conflict:
            assert assignment.pk in self.acknowledged
            return
        if assignment.state == Assignment.State.RETURNED:
            assert created
            self.revisions[stored.pk] += 1
        else:
            assert created == (assignment.pk not in self.acknowledged)
        assert self.acknowledged.setdefault(assignment.pk, stored.pk) == stored.pk
        if created:
            self.said[stored.pk] = answers["rationale"]
        assignment.refresh_from_db()
        if created and assignment.state == Assignment.State.SUBMITTED and not self.revisions[stored.pk]:
            assert before.votes < before.needs, "it was needed"

    @rule(person=people, number=which)
    def skip(self, person: int, number: int) -> None:
        """Somebody skips."""
        assignment = self._one_of(person, number)
        if assignment is None:
            return
        try:
            with transaction.atomic():
                services.skip(assignment_for(assignment.annotator, assignment.pk, lock=True), "unsure")
        except NotFound:
            assert person in self.away
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
            item = assignment.item
            assert assignment.state != "open" or assignment.expires_at <= self.now or item.votes >= item.needs

    @rule(person=people, number=which)
    def take_back(self, person: int, number: int) -> None:
        """Somebody presses undo after a submission."""
        assignment = self._one_of(person, number)
        if assignment is None:
            return
        was = assignment.state
        try:
            with transaction.atomic():
                services.reopen(assignment_for(assignment.annotator, assignment.pk, lock=True), self.now)
        except NotFound:
            assert person in self.away
            return
        except Conflict:
            return
        if was != Assignment.State.OPEN:
            words = self.said.pop(self.acknowledged.pop(assignment.pk))
            assignment.refresh_from_db()
            assert (assignment.draft or {}).get("rationale", "") == words, "nothing has to be typed again"

    @rule(number=which, verdict=st.sampled_from(["accept", "return", "fix"]))
    def review(self, number: int, verdict: str) -> None:
        """A reviewer says something of an annotation, having seen it as it is."""
        annotation = self._annotation(number)
        if annotation is None:
            return
        seen, by = review.Seen(annotation.review_state, annotation.revision), self.cast.dave
        try:
            if verdict == "accept":
                review.accept(annotation, by, self.now, seen=seen)
            elif verdict == "return":
                review.return_(annotation, by, self.now, "Look again.", seen)
            else:
                self.words += 1
                answers = answers_for(annotation.assignment, rationale=f"fixed {self.words}")
                review.fix(annotation, by, self.now, answers, seen=seen)
                self.said[annotation.pk] = answers["rationale"]
                self.revisions[annotation.pk] += 1
        except (Conflict, InvalidInput):
            surplus = annotation.assignment.state == Assignment.State.SURPLUS
            assert surplus or verdict == "return"

    @rule(number=which)
    def take_verdict_back(self, number: int) -> None:
        """The reviewer thinks again."""
        annotation = self._annotation(number)
        last = annotation.reviews.order_by("id").last() if annotation else None
        if annotation is None or last is None:
            return
        try:
            review.undo(last, self.cast.dave)
        except Conflict:
            return
        if last.verdict == "fixed":
            self.revisions[annotation.pk] -= 1
            self.said[annotation.pk] = Annotation.objects.get(pk=annotation.pk).answers.get("rationale", "")

    @rule(start=st.integers(1, 3), lead=st.integers(0, 2))
    def change_rule(self, start: int, lead: int) -> None:
        """The admin asks for more or fewer annotators; the items follow."""
        try:
            distribution.change_overlap(self._project(), Rule(start, lead, 3), self.now)
        except InvalidInput:
            assert self.away, "the project has fewer people than that"
            return
        distribution.recount_all(self.now)
        self.as_at_first = False

    @rule(kind=st.sampled_from(["requeue", "aside", "back"]), number=which)
    def curate(self, kind: str, number: int) -> None:
        """The admin wants one more opinion, sets an item aside, or brings it back."""
        items = list(Item.objects.order_by("id").values_list("pk", flat=True))
        chosen = Chosen((items[number % len(items)],))
        start(self._project(), kind, chosen, {}, self.cast.alice, self.now)
        self.as_at_first = self.as_at_first and kind != "requeue"

    @rule(on=st.booleans())
    def pause_all(self, on: bool) -> None:
        """The admin pauses the project, or goes on."""
        if on:
            projects.pause_project(self._project(), "lunch", self.now)
        else:
            projects.resume_project(self._project())
        self.paused = on

    @rule(person=st.integers(0, 1), on=st.booleans())
    def pause_one(self, person: int, on: bool) -> None:
        """The admin pauses somebody, or lets them go on."""
        member = self._member(person)
        if on:
            projects.pause_member(member, "a rest", self.now)
            self.resting.add(person)
        else:
            projects.resume_member(member)
            self.resting.discard(person)

    @rule(person=st.integers(0, 1), out=st.booleans())
    def let_go(self, person: int, out: bool) -> None:
        """Somebody's membership is ended, or begins again; what they did stays."""
        if out:
            deactivate(self._member(person), Role.OWNER, self.now)
            self.away.add(person)
        else:
            projects.reactivate_member(self._member(person), Role.OWNER)
            self.away.discard(person)

    @rule(minutes=st.sampled_from([1, 5, 11]))
    def wait(self, minutes: int) -> None:
        """Time passes; a lease lasts ten minutes."""
        self.now += timedelta(minutes=minutes)

    @invariant()
    def nothing_is_doubled_and_nothing_lost(self) -> None:
        """The rows agree with what was acknowledged, with the rule, and with each other."""
        rows = list(Annotation.objects.all())
        assert {row.assignment_id: row.pk for row in rows} == self.acknowledged
        assert {row.pk: row.answers.get("rationale", "") for row in rows} == self.said
        assert {row.pk: row.revision for row in rows} == {row.pk: self.revisions[row.pk] for row in rows}
        assert Revision.objects.count() == sum(row.revision for row in rows), "what was said before is kept"
        assert len({(row.item_id, row.annotator_id) for row in rows}) == len(rows)
        project = self._project()
        for item in Item.objects.select_related("project"):
            assert item.votes == Assignment.objects.filter(item=item, state="submitted").count()
            now = count(item.rule, verdicts_on(item.pk), item.state)
            assert abs(item.lead - now.lead) < 1e-9
            if self.as_at_first:
                assert item.state == now.state
                assert self._taken(item) <= (project.overlap_cap if project.overlap_lead else project.overlap)

    def _taken(self, item: Item) -> int:
        return Assignment.objects.taking_part(self.now).filter(item=item).count()

    def _project(self) -> Project:
        return Project.objects.get(pk=self.cast.project.pk)

    def _member(self, person: int) -> Membership:
        return Membership.objects.get(project=self.cast.project, user=self.annotators[person])

    def _annotation(self, number: int) -> Annotation | None:
        rows = list(Annotation.objects.select_related("assignment").order_by("id"))
        return rows[number % len(rows)] if rows else None

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
