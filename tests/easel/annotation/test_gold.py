"""Gold at work: given without a sign, scored, counted, and what becomes of those who fail."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from easel.annotation.gold import making
from easel.annotation.gold.copies import make_repeat
from easel.annotation.models import Annotation, Assignment, Gold, Item, Record
from easel.common.errors import Refusal
from easel.projects.models import Membership, Notice, Project

from tests import cast as stage
from tests.cast import API, Cast, client_of, make_items


def gold_of(cast: Cast, item: Item, **options: Any) -> Gold:
    """Make gold of an item: the images in the order of their ids are the known order."""
    images = [str(pk) for pk in item.candidates.order_by("pk").values_list("pk", flat=True)]
    answer = making.answer_of([[one] for one in images])
    return making.make(item, answer, cast.alice, timezone.now(), **options)


def only_gold(cast: Cast, count: int, images: int = 4, **options: Any) -> list[Gold]:
    """Make a project in which every other item is gold, as far as it goes: the highest share there is."""
    made = [gold_of(cast, item, **options) for item in make_items(cast, count, images=images)]
    Project.objects.filter(pk=cast.project.pk).update(gold_share=50, gold_share_first=50, repeat_share=0)
    return made


def work(cast: Cast, right: Any, count: int, user: Any = None) -> list[dict[str, Any]]:
    """Have bob answer items through the API; right(number) says whether his next gold answer is right."""
    client = client_of(user or cast.bob)
    told: list[dict[str, Any]] = []
    answer: Any = client.post(f"{API}/projects/{cast.project.pk}/assignments/", {})
    given = answer.json() if answer.status_code == 201 else None
    seen = 0
    for _ in range(count):
        if given is None:
            break
        ids = sorted(one["id"] for one in given["item"]["candidates"])
        if Item.objects.get(pk=given["item"]["id"]).purpose == Item.Purpose.GOLD:
            ids = ids if right(seen) else ids[::-1]
            seen += 1
        body = {"answers": {"ranking": [[one] for one in ids]}, "active_ms": 900}
        answer = client.put(f"{API}/assignments/{given['id']}/annotation/", body)
        assert answer.status_code == 201, answer.content
        told.append(answer.json())
        given = told[-1]["next"]
    return told


def record_of(cast: Cast) -> Record:
    return Record.objects.get(project=cast.project, annotator=cast.bob)


def test_gold_is_a_copy_that_leaves_its_item_as_it_is(cast: Cast) -> None:
    (item,) = make_items(cast, 1)
    gold = gold_of(cast, item, note="  the first   is best ")
    assert gold.item != item and gold.item.original == item
    assert (gold.item.purpose, gold.source, gold.note, gold.state) == ("gold", "hand", "the first is best", "in use")
    assert set(gold.item.candidates.all()) == set(item.candidates.all())
    item.refresh_from_db()
    assert (item.purpose, item.state, item.votes) == ("rank", "ready", 0)


def test_a_quarter_of_the_first_items_is_gold_and_every_answer_is_scored(cast: Cast) -> None:
    for item in make_items(cast, 40):
        gold_of(cast, item)
    work(cast, lambda number: number != 2, 20)
    answered = Annotation.objects.filter(annotator=cast.bob, purpose="gold").order_by("created_at", "id")
    assert [one.passed for one in answered] == [True, True, False, True, True]
    assert Annotation.objects.collected(cast.project).count() == 15
    record = record_of(cast)
    assert (record.submitted, record.gold, record.gold_passed, record.gold_recent) == (20, 5, 4, "11011")


def test_without_gold_an_ordinary_item_takes_its_place(cast: Cast) -> None:
    make_items(cast, 22)
    assert len(work(cast, lambda number: True, 22)) == 22
    assert Annotation.objects.collected(cast.project).count() == 22


def test_nobody_gets_the_same_gold_twice_nor_what_is_retired_or_not_looked_at(cast: Cast) -> None:
    first, second, third = only_gold(cast, 3)
    # Who has ranked an item is never asked its gold: bob ranks others, until every place for gold has come.
    Item.objects.to_rank().update(state=Item.State.ASIDE)
    make_items(cast, 20)
    making.retire(second, timezone.now())
    Gold.objects.filter(pk=third.pk).update(retired_at=third.created_at)
    work(cast, lambda number: True, 20)
    given = Assignment.objects.filter(annotator=cast.bob, item__purpose="gold").values_list("item", flat=True)
    assert list(given) == [first.pk]


def test_below_7_of_the_last_10_pauses_and_tells_the_admins(cast: Cast) -> None:
    only_gold(cast, 20)
    told = work(cast, lambda number: number < 6, 40)
    answers = Annotation.objects.filter(annotator=cast.bob, purpose="gold")
    assert answers.count() == 10, "the tenth is the first that may pause"
    assert told[-1]["next"] is None and told[-1]["blocked"]["code"] == "paused"
    assert "known for certain" in told[-1]["blocked"]["detail"]
    member = Membership.objects.get(project=cast.project, user=cast.bob)
    assert member.paused_at is not None
    notice = Notice.objects.get(project=cast.project)
    assert (notice.kind, notice.about) == ("gold_failed", cast.bob)
    assert "6 of the last 10" in notice.text
    assert record_of(cast).gold_recent == "", "after a pause a new window begins"
    refused: Any = client_of(cast.bob).post(f"{API}/projects/{cast.project.pk}/assignments/", {})
    assert (refused.status_code, refused.json()["code"]) == (403, "paused")


def test_7_of_the_last_10_goes_on(cast: Cast) -> None:
    only_gold(cast, 20)
    work(cast, lambda number: number >= 3, 20)
    assert record_of(cast).gold_recent == "0001111111"
    assert Membership.objects.get(project=cast.project, user=cast.bob).paused_at is None
    assert not Notice.objects.filter(project=cast.project).exists()


def test_pairs_are_judged_by_the_last_20(cast: Cast) -> None:
    only_gold(cast, 40, images=2)
    told = work(cast, lambda number: number % 20 < 13, 60)
    assert Annotation.objects.filter(annotator=cast.bob, purpose="gold").count() == 20
    assert told[-1]["blocked"]["code"] == "paused"
    assert "13 of the last 20" in Notice.objects.get(project=cast.project).text


def test_an_answer_that_cannot_be_scored_counts_for_nothing(cast: Cast) -> None:
    only_gold(cast, 10)
    client = client_of(cast.bob)
    given: Any = client.post(f"{API}/projects/{cast.project.pk}/assignments/", {}).json()
    while Item.objects.get(pk=given["item"]["id"]).purpose == Item.Purpose.RANK:
        body = {"answers": {"ranking": [[one["id"]] for one in given["item"]["candidates"]]}, "active_ms": 900}
        given = client.put(f"{API}/assignments/{given['id']}/annotation/", body).json()["next"]
    best = min(one["id"] for one in given["item"]["candidates"])
    body = {"answers": {"ranking": [[best]]}, "active_ms": 900}
    assert client.put(f"{API}/assignments/{given['id']}/annotation/", body).status_code == 201
    assert Annotation.objects.get(item=given["item"]["id"]).passed is None
    assert (record_of(cast).gold, record_of(cast).gold_recent) == (0, "")


def test_a_submission_that_is_taken_back_is_uncounted(cast: Cast) -> None:
    only_gold(cast, 10)
    client = client_of(cast.bob)
    told = work(cast, lambda number: False, 20)
    assert told
    newest = Annotation.objects.filter(annotator=cast.bob).latest("id")
    before = record_of(cast)
    assert client.post(f"{API}/assignments/{newest.assignment_id}/reopen/", {}).status_code == 200
    after = record_of(cast)
    assert after.submitted == before.submitted - 1
    if newest.purpose == "gold":
        assert after.gold == before.gold - 1


def test_repeats_come_of_items_of_20_submissions_ago_each_once(cast: Cast) -> None:
    make_items(cast, 30)
    stage.annotate(cast.project, cast.bob, 19)
    assert make_repeat(cast.project.pk, cast.bob.pk, timezone.now()) is None
    stage.annotate(cast.project, cast.bob, 3)
    old = list(Annotation.objects.filter(annotator=cast.bob).order_by("created_at").values_list("item", flat=True)[:3])
    found = []
    for _ in range(3):
        repeat = make_repeat(cast.project.pk, cast.bob.pk, timezone.now())
        assert repeat is not None and repeat.original is not None
        found.append(repeat.original_id)
        assert set(repeat.candidates.all()) == set(repeat.original.candidates.all())
        Assignment.objects.create(
            item=repeat, annotator=cast.bob, shown_order=[], expires_at=timezone.now(), created_at=timezone.now()
        )
    assert set(found) == set(old) and len(found) == 3
    assert make_repeat(cast.project.pk, cast.bob.pk, timezone.now()) is None
    assert make_repeat(cast.project.pk, cast.erin.pk, timezone.now()) is None


def test_from_the_51st_item_on_some_are_shown_again(cast: Cast) -> None:
    make_items(cast, 100)
    Project.objects.filter(pk=cast.project.pk).update(repeat_share=20, gold_share=0, gold_share_first=0)
    stage.annotate(cast.project, cast.bob, 90)
    purposes = list(
        Annotation.objects.filter(annotator=cast.bob).order_by("created_at", "id").values_list("purpose", flat=True)
    )
    assert "repeat" not in purposes[:50]
    assert purposes[50:].count("repeat") == 8
    assert Annotation.objects.filter(annotator=cast.bob, purpose="repeat", passed__isnull=False).count() == 0


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"pairs": [], "all_bad": None}, "needs an answer"),
        ({"pairs": "abc", "all_bad": None}, "must be a list"),
        ({"pairs": [["nobody", "else"]], "all_bad": None}, "is no image of this item"),
        ({"pairs": [], "all_bad": "yes"}, "must be null"),
    ],
)
def test_gold_without_an_answer_is_refused_in_one_line(cast: Cast, answer: Any, problem: str) -> None:
    (item,) = make_items(cast, 1)
    with pytest.raises(Refusal) as refused:
        making.make(item, answer, cast.alice, timezone.now())
    assert problem in refused.value.detail and "\n" not in refused.value.detail
    assert not Gold.objects.exists()


def test_an_answer_in_a_circle_is_refused(cast: Cast) -> None:
    (item,) = make_items(cast, 1)
    a, b, c, _ = (str(pk) for pk in item.candidates.values_list("pk", flat=True))
    with pytest.raises(Refusal, match="in a circle"):
        making.make(item, {"pairs": [[a, b], [b, c], [c, a]], "all_bad": None}, cast.alice, timezone.now())


def test_gold_is_not_made_of_gold(cast: Cast) -> None:
    (item,) = make_items(cast, 1)
    with pytest.raises(Refusal, match="measures annotators already"):
        gold_of(cast, gold_of(cast, item).item)
