"""How items reach people: overlap until a lead, work by hand, pauses, limits, categories, and taking back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from easel.accounts.models import User
from easel.annotation import distribution, services
from easel.annotation.access import assignment_for
from easel.annotation.desk import LimitReached, Paused
from easel.annotation.gold import making
from easel.annotation.models import Annotation, Assignment, Item, Matchup, Record, Recount
from easel.annotation.stopping import Rule
from easel.common.errors import InvalidInput
from easel.projects.models import Membership, Project
from easel.projects.services import pause_member, pause_project
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from tests.cast import API, Cast, annotate, answers_for, client_of, lease, make_items, make_user, submit


@pytest.fixture
def crowd(cast: Cast) -> list[User]:
    """Six people who rank, beside alice, erin and bob."""
    return [make_user(f"annotator-{number}", cast.project) for number in range(6)]


def follow(project: Project, rule: Rule) -> Project:
    """Change the overlap, and let the items follow."""
    distribution.change_overlap(project, rule, timezone.now())
    distribution.recount_all(timezone.now())
    return Project.objects.get(pk=project.pk)


def say(item: Item, annotator: User, order: list[int]) -> Assignment:
    """Have somebody rank an item that is next for them, by the places of its images in the order of their ids."""
    assignment = lease(item.project, annotator)
    assert assignment.item_id == item.pk
    images = sorted(assignment.shown_order)
    submit(assignment, {"ranking": [[str(images[place])] for place in order]})
    return assignment


def test_an_item_goes_on_until_its_annotators_agree(cast: Cast, crowd: list[User]) -> None:
    (item,) = make_items(cast, 1)
    follow(cast.project, Rule(2, 2, 5))
    say(item, crowd[0], [0, 1, 2, 3])
    say(item, crowd[1], [3, 2, 1, 0])
    item.refresh_from_db()
    assert (item.state, item.votes, item.lead, item.wants) == ("ready", 2, 0, 4)
    say(item, crowd[2], [0, 1, 2, 3])
    say(item, crowd[3], [0, 1, 2, 3])
    item.refresh_from_db()
    assert (item.state, item.votes, item.lead, item.wants) == ("done", 4, 2, 4)
    assert services.lease_next(cast.project, crowd[4], timezone.now()) is None


def test_two_who_agree_are_enough_and_five_who_do_not_are_too(cast: Cast, crowd: list[User]) -> None:
    first, second = make_items(cast, 2)
    follow(cast.project, Rule(2, 2, 5))
    for annotator in crowd[:2]:
        say(first, annotator, [0, 1, 2, 3])
    for annotator, order in zip(crowd, ([0, 1, 2, 3], [3, 2, 1, 0]) * 3, strict=True):
        if services.lease_next(cast.project, annotator, timezone.now()) is not None:
            say(second, annotator, order)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, first.votes) == ("done", 2)
    assert (second.state, second.votes) == ("done", 5)


def test_nobody_is_asked_in_vain_while_others_are_at_work(cast: Cast, crowd: list[User]) -> None:
    make_items(cast, 1)
    project = follow(cast.project, Rule(2, 2, 5))
    for annotator in crowd[:2]:
        lease(project, annotator)
    assert services.lease_next(project, crowd[2], timezone.now()) is None


def test_another_overlap_opens_items_again_and_closes_them(cast: Cast, crowd: list[User]) -> None:
    item, other = make_items(cast, 2)
    annotate(cast.project, cast.bob, 2)
    assert set(Item.objects.values_list("state", flat=True)) == {"done"}
    project = follow(cast.project, Rule(2))
    assert set(Item.objects.values_list("state", "votes", "wants")) == {("ready", 1, 2)}
    assert {lease(project, crowd[0]).item_id} <= {item.pk, other.pk}
    follow(project, Rule(1))
    assert set(Item.objects.values_list("state", flat=True)) == {"done"}
    assert not Recount.objects.exists()


def test_what_was_taken_aside_stays_there_whatever_the_overlap(cast: Cast) -> None:
    make_items(cast, 1)
    Item.objects.update(state=Item.State.ASIDE)
    follow(cast.project, Rule(2))
    assert set(Item.objects.values_list("state", flat=True)) == {"aside"}


def test_changing_the_overlap_of_many_items_answers_at_once_and_tells_how_far_it_is(
    cast: Cast, crowd: list[User], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_items(cast, 5)
    with django_assert_max_num_queries(11):
        distribution.change_overlap(cast.project, Rule(3), timezone.now())
    assert (Recount.objects.get().done, Recount.objects.get().total) == (0, 5)
    assert distribution.recount_all(timezone.now()) == 5
    assert distribution.recount_all(timezone.now()) == 0


@pytest.mark.parametrize(
    ("rule", "field", "says"),
    [
        (Rule(4), "overlap", "4 annotators an item are too many: the project has 3 people who rank."),
        (Rule(2, 2, 5), "overlap_cap", "5 annotators an item are too many"),
        (Rule(3, 2, 2), "overlap_cap", "At most 2 annotators is less than the first 3"),
        (Rule(0), "overlap", "0 annotators an item cannot be"),
        (Rule(2, 4, 3), "overlap_lead", "A lead of 4 is never reached by 3"),
    ],
)
def test_an_overlap_that_cannot_be_is_refused_in_one_line(cast: Cast, rule: Rule, field: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        distribution.change_overlap(cast.project, rule, timezone.now())
    assert list(refused.value.fields) == [field]
    assert "\n" not in refused.value.detail


def test_items_given_by_hand_come_first_and_wait_for_that_person(cast: Cast, crowd: list[User]) -> None:
    items = make_items(cast, 3)
    now = timezone.now()
    due = now + timedelta(days=7)
    given = distribution.assign([items[2].pk], crowd[0], cast.project, cast.alice, now, due)
    assert given == 1
    assert distribution.assign([items[2].pk], crowd[0], cast.project, cast.alice, now, due) == 0
    assert lease(cast.project, crowd[0]).item_id == items[2].pk
    others = {lease(cast.project, one).item_id for one in crowd[1:3]}
    assert others == {items[0].pk, items[1].pk}
    assert services.lease_next(cast.project, crowd[3], now + timedelta(days=1)) is not None
    assert services.lease_next(cast.project, crowd[4], due - timedelta(seconds=1)) is not None
    late = lease(cast.project, crowd[0], due - timedelta(minutes=1))
    services.heartbeat(late, due - timedelta(minutes=1))
    assert Assignment.objects.get(pk=late.pk).expires_at == due + timedelta(minutes=9)


def test_an_item_that_has_enough_waits_for_the_one_it_is_given_to(cast: Cast, crowd: list[User]) -> None:
    (item,) = make_items(cast, 1)
    annotate(cast.project, cast.bob)
    now = timezone.now()
    distribution.assign([item.pk], crowd[0], cast.project, cast.alice, now, now + timedelta(days=1))
    assert services.lease_next(cast.project, crowd[1], now) is None
    say(item, crowd[0], [0, 1, 2, 3])
    item.refresh_from_db()
    assert (item.state, item.votes) == ("done", 2)


@pytest.mark.parametrize("who", ["charlie", "dave"])
def test_items_are_given_only_to_people_who_rank_here(cast: Cast, who: str) -> None:
    (item,) = make_items(cast, 1)
    now = timezone.now()
    with pytest.raises(InvalidInput, match=f"{who} does not rank in this project"):
        distribution.assign([item.pk], getattr(cast, who), cast.project, cast.alice, now, now + timedelta(days=1))


def test_what_somebody_holds_is_let_go_of_at_once(cast: Cast, crowd: list[User]) -> None:
    make_items(cast, 1)
    lease(cast.project, cast.bob)
    assert services.lease_next(cast.project, crowd[0], timezone.now()) is None
    assert distribution.release(cast.project, cast.bob, timezone.now()) == 1
    assert services.lease_next(cast.project, crowd[0], timezone.now()) is not None


def test_a_paused_person_gets_nothing_new_and_reads_why_but_loses_nothing(cast: Cast, bob: APIClient) -> None:
    make_items(cast, 2)
    open_ = lease(cast.project, cast.bob)
    member = Membership.objects.get(project=cast.project, user=cast.bob)
    pause_member(member, "Let us talk about ties.", timezone.now())
    answer = bob.put(
        f"{API}/assignments/{open_.pk}/annotation/", {"answers": answers_for(open_), "active_ms": 5}, format="json"
    )
    assert answer.status_code == 201
    assert answer.json()["next"] is None
    assert answer.json()["blocked"]["code"] == "paused"
    assert "Let us talk about ties." in answer.json()["blocked"]["detail"]
    refused = bob.post(f"{API}/projects/{cast.project.pk}/assignments/")
    assert (refused.status_code, refused.json()["code"]) == (403, "paused")
    assert Annotation.objects.get().active_ms == 5


def test_a_paused_project_gives_nothing_to_anybody_at_the_next_lease(cast: Cast) -> None:
    make_items(cast, 1)
    pause_project(cast.project, "New guidelines come on Monday.", timezone.now())
    for person in (cast.alice, cast.bob):
        with pytest.raises(Paused, match="New guidelines come on Monday"):
            services.lease_next(cast.project, person, timezone.now())


def test_a_day_has_as_many_items_as_the_limit_says_and_the_next_has_others(cast: Cast) -> None:
    make_items(cast, 4)
    Project.objects.filter(pk=cast.project.pk).update(limit_day=2)
    project = Project.objects.get(pk=cast.project.pk)
    annotate(project, cast.bob, 2)
    with pytest.raises(LimitReached, match="your 2 items of today"):
        services.lease_next(project, cast.bob, timezone.now())
    assert services.lease_next(project, cast.bob, timezone.now() + timedelta(days=1)) is not None
    assert services.lease_next(project, cast.erin, timezone.now()) is not None


def test_what_is_on_the_page_counts_towards_the_limit(cast: Cast) -> None:
    make_items(cast, 4)
    Membership.objects.filter(project=cast.project, user=cast.bob).update(limit_total=2)
    held = [lease(cast.project, cast.bob)]
    held.append(lease(cast.project, cast.bob, holding=[held[0].pk]))
    with pytest.raises(LimitReached, match="all 2 items"):
        services.lease_next(cast.project, cast.bob, timezone.now(), [one.pk for one in held])


def test_declined_categories_are_never_given_and_sensitive_ones_are_told(cast: Cast, bob: APIClient) -> None:
    first, second = make_items(cast, 2)
    Item.objects.filter(pk=first.pk).update(category="violence")
    Item.objects.filter(pk=second.pk).update(category="nudity")
    Project.objects.filter(pk=cast.project.pk).update(sensitive_categories=["nudity"])
    User.objects.filter(pk=cast.bob.pk).update(declined=["violence"])
    shown = bob.post(f"{API}/projects/{cast.project.pk}/assignments/").json()
    assert (shown["item"]["id"], shown["item"]["sensitive"]) == (str(second.pk), True)
    assert bob.get(f"{API}/assignments/{shown['id']}/").json()["item"]["sensitive"] is True
    assert lease(cast.project, cast.erin).item_id == first.pk


@pytest.fixture
def done(cast: Cast, bob: APIClient) -> dict[str, Any]:
    """An item that bob has submitted, as the API shows it."""
    make_items(cast, 2)
    shown: dict[str, Any] = bob.post(f"{API}/projects/{cast.project.pk}/assignments/").json()
    answers = {"ranking": [[one["id"]] for one in shown["item"]["candidates"]], "rationale": "crisp"}
    body = {"answers": answers, "active_ms": 900}
    assert bob.put(f"{API}/assignments/{shown['id']}/annotation/", body, format="json").status_code == 201
    return {**shown, "answers": answers}


def test_the_last_submission_is_taken_back_with_its_answers(cast: Cast, bob: APIClient, done: dict[str, Any]) -> None:
    reopened = bob.post(f"{API}/assignments/{done['id']}/reopen/")
    assert reopened.status_code == 200
    assert reopened.json()["draft"]["answers"] == done["answers"]
    assert not Annotation.objects.exists()
    item = Item.objects.get(pk=done["item"]["id"])
    assert (item.state, item.votes, item.lead) == ("ready", 0, 0)
    assert Record.objects.get().submitted == 0
    again: dict[str, Any] = {"answers": {"ranking": list(reversed(done["answers"]["ranking"]))}, "active_ms": 900}
    assert bob.put(f"{API}/assignments/{done['id']}/annotation/", again, format="json").status_code == 201
    assert Annotation.objects.get().ranking == again["answers"]["ranking"]


def test_only_the_last_submission_is_taken_back_and_only_for_a_while(
    cast: Cast, bob: APIClient, done: dict[str, Any]
) -> None:
    assignment = Assignment.objects.get(pk=done["id"])
    with pytest.raises(services.TooLate, match="too long ago"), transaction.atomic():
        services.reopen(assignment_for(cast.bob, assignment.pk, lock=True), timezone.now() + timedelta(minutes=11))
    annotate(cast.project, cast.bob)
    refused = bob.post(f"{API}/assignments/{done['id']}/reopen/")
    assert (refused.status_code, refused.json()["code"]) == (409, "too_late")
    assert Annotation.objects.count() == 2


def test_a_client_whose_clock_runs_wrong_cannot_claim_more_time_than_there_was(cast: Cast) -> None:
    make_items(cast, 1)
    assignment = lease(cast.project, cast.bob)
    later = timezone.now() + timedelta(seconds=30)
    services.submit(assignment_for(cast.bob, assignment.pk, lock=True), answers_for(assignment), 7_200_000, later)
    assert 30_000 <= Annotation.objects.get().active_ms <= 100_000


def test_models_are_drawn_by_their_chances_and_the_chance_is_kept(cast: Cast) -> None:
    items = make_items(cast, 40)
    Item.objects.filter(pk__in=[item.pk for item in items[::2]]).update(matchup="ab")
    Item.objects.filter(pk__in=[item.pk for item in items[1::2]]).update(matchup="cd")
    Project.objects.filter(pk=cast.project.pk).update(selection=Project.Selection.ACTIVE)
    for key, chance in (("ab", 0.9), ("cd", 0.1)):
        Matchup.objects.create(project=cast.project, key=key, probability=chance, updated_at=timezone.now())
    project = Project.objects.get(pk=cast.project.pk)
    drawn = [one.item.matchup for one in _hold(project, cast.bob, 20)]
    assert 13 <= drawn.count("ab") <= 20  # 18 on average; fewer than 13 is one in 4,000
    chances = set(Assignment.objects.filter(annotator=cast.bob).values_list("item__matchup", "probability"))
    assert chances <= {("ab", 0.9), ("cd", 0.1)}


def test_items_without_chances_are_given_all_the_same(cast: Cast) -> None:
    make_items(cast, 2)
    Project.objects.filter(pk=cast.project.pk).update(selection=Project.Selection.ACTIVE)
    project = Project.objects.get(pk=cast.project.pk)
    assert [one.probability for one in _hold(project, cast.bob, 2)] == [None, None]


def _hold(project: Project, annotator: User, count: int) -> list[Assignment]:
    held: list[Assignment] = []
    for _ in range(count):
        held.append(lease(project, annotator, holding=[one.pk for one in held]))
    return held


def test_with_everything_switched_on_a_loop_takes_twelve_statements_at_most(
    cast: Cast, crowd: list[User], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_items(cast, 40)
    for item in make_items(cast, 10):
        images = sorted(str(one.pk) for one in item.candidates.all())
        making.make(item, {"pairs": [[images[0], images[1]]], "all_bad": None}, cast.alice, timezone.now())
    project = follow(cast.project, Rule(2, 2, 5))
    Project.objects.filter(pk=project.pk).update(review_share=50, limit_day=1_000, gold_share_first=50)
    client = client_of(crowd[0])
    shown = client.post(f"{API}/projects/{project.pk}/assignments/").json()
    for _ in range(20):
        right = sorted(one["id"] for one in shown["item"]["candidates"])
        body = {"answers": {"ranking": [[one] for one in right]}, "active_ms": 900}
        with django_assert_max_num_queries(12):
            shown = client.put(f"{API}/assignments/{shown['id']}/annotation/", body, format="json").json()["next"]
    assert Annotation.objects.filter(purpose="gold").count() >= 8


def test_the_search_goes_on_behind_what_was_answered_and_comes_back_for_the_rest(cast: Cast) -> None:
    items = make_items(cast, 4)
    Project.objects.filter(pk=cast.project.pk).update(overlap=2)
    project = Project.objects.get(pk=cast.project.pk)
    Item.objects.filter(pk__in=[items[0].pk, items[1].pk]).update(state=Item.State.ASIDE)
    assert annotate(project, cast.bob)[0].item_id == items[2].pk
    Item.objects.update(state=Item.State.READY)
    Item.objects.filter(pk=items[1].pk).update(priority=1)
    order = [one.item_id for one in annotate(project, cast.bob, 3)]
    assert order == [items[1].pk, items[3].pk, items[0].pk]
    assert services.lease_next(project, cast.bob, timezone.now()) is None


def test_taking_back_a_surplus_answer_takes_no_place_from_anybody(cast: Cast) -> None:
    make_items(cast, 1)
    late = lease(cast.project, cast.bob)
    after = timezone.now() + timedelta(minutes=11)
    taken = services.lease_next(cast.project, cast.erin, after)
    assert taken is not None
    submit(late, answers_for(late), after)
    assert Assignment.objects.get(pk=late.pk).state == Assignment.State.SURPLUS
    services.reopen(assignment_for(cast.bob, late.pk, lock=True), after)
    assert Assignment.objects.get(pk=late.pk).expires_at <= after
    submit(taken, answers_for(taken), after)
    assert Assignment.objects.get(pk=taken.pk).state == Assignment.State.SUBMITTED
