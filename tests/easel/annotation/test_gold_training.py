"""Training rounds: ten items with feedback, passed at eight; failed, waived, begun anew."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from easel.annotation.gold import making, training
from easel.annotation.models import Annotation, Gold, Record
from easel.common.errors import Refusal
from easel.projects.models import Membership, Notice, Project
from rest_framework.test import APIClient

from tests.cast import API, Cast, client_of, make_items


@pytest.fixture
def trained(cast: Cast) -> list[Gold]:
    """Twelve training items, two ordinary ones, and training that is required."""
    items = make_items(cast, 14)
    made = []
    for item in items[:12]:
        images = [str(pk) for pk in item.candidates.order_by("pk").values_list("pk", flat=True)]
        answer = making.answer_of([[images[0]], images[1:]])
        made.append(making.make(item, answer, cast.alice, timezone.now(), note="A is sharp.", training=True))
    training.require(cast.project, required=True)
    return made


def answer_round(cast: Cast, right: int, items: int = 10) -> list[dict[str, Any]]:
    """Have bob answer training items, the first ones right; return what he is told."""
    client = client_of(cast.bob)
    given: Any = client.post(f"{API}/projects/{cast.project.pk}/assignments/", {}).json()
    told = []
    for number in range(items):
        assert given["training"] == {"number": number + 1, "of": 10}
        ids = sorted(one["id"] for one in given["item"]["candidates"])
        ids = ids if number < right else ids[::-1]
        body = {"answers": {"ranking": [[one] for one in ids]}, "active_ms": 900}
        told.append(client.put(f"{API}/assignments/{given['id']}/annotation/", body).json())
        given = told[-1]["next"]
    return told


def record(cast: Cast) -> Record:
    return Record.objects.get(project=cast.project, annotator=cast.bob)


def test_eight_of_ten_pass_with_feedback_after_each_and_work_begins(cast: Cast, trained: list[Gold]) -> None:
    told = answer_round(cast, 8)
    assert [one["feedback"]["passed"] for one in told] == [True] * 8 + [False] * 2
    gold = Gold.objects.get(item__annotations=told[0]["annotation"]["id"])
    assert told[0]["feedback"] == {"passed": True, "note": "A is sharp.", "expected": [
        [gold.answer["pairs"][0][0]], [worse for _, worse in gold.answer["pairs"]],
    ]}  # fmt: skip
    now = record(cast)
    assert now.trained_at is not None
    assert (now.training, now.training_passed, now.submitted, now.gold, now.gold_recent) == (10, 8, 0, 0, "")
    assert "training" not in told[-1]["next"], "ordinary work begins at once"
    assert not Notice.objects.exists()


def test_seven_of_ten_are_paused_and_the_admins_told(cast: Cast, trained: list[Gold]) -> None:
    told = answer_round(cast, 7)
    assert told[-1]["next"] is None and told[-1]["blocked"]["code"] == "paused"
    assert "7 of 10" in told[-1]["blocked"]["detail"]
    notice = Notice.objects.get()
    assert (notice.kind, notice.about) == ("training_failed", cast.bob)
    (bob,) = (one for one in training.trainees(cast.project) if one.member.user == cast.bob)
    assert bob.state == "failed"


def test_an_admin_lets_somebody_pass(cast: Cast, trained: list[Gold], alice: APIClient) -> None:
    answer_round(cast, 0)
    member = Membership.objects.get(project=cast.project, user=cast.bob)
    address = f"{API}/projects/{cast.project.pk}/training/{member.pk}/"
    assert alice.post(address, {"act": "let_pass"}).json()["state"] == "passed"
    given: Any = client_of(cast.bob).post(f"{API}/projects/{cast.project.pk}/assignments/", {})
    assert given.status_code == 201 and "training" not in given.json()


def test_another_round_has_ten_items_and_new_ones_first(cast: Cast, trained: list[Gold], alice: APIClient) -> None:
    answer_round(cast, 0)
    had = set(Annotation.objects.filter(annotator=cast.bob).values_list("item", flat=True))
    member = Membership.objects.get(project=cast.project, user=cast.bob)
    address = f"{API}/projects/{cast.project.pk}/training/{member.pk}/"
    told: Any = alice.post(address, {"act": "another_round"}).json()
    assert (told["state"], told["answered"]) == ("new", 0)
    left = Annotation.objects.filter(annotator=cast.bob).count()
    assert left == 2, "as many as there are too few new ones come again"
    answer_round(cast, 10)
    assert record(cast).trained_at is not None
    now = set(Annotation.objects.filter(annotator=cast.bob).values_list("item", flat=True))
    assert now - had == {gold.pk for gold in trained} - had


def test_training_with_fewer_than_ten_items_is_refused_in_one_line(cast: Cast, alice: APIClient) -> None:
    address = f"{API}/projects/{cast.project.pk}/training/"
    refused: Any = alice.patch(address, {"training_required": True})
    assert refused.status_code == 409
    assert refused.json()["code"] == "too_few_training_items"
    assert refused.json()["detail"].startswith("Training needs 10 training items, and there are 0.")
    assert not Project.objects.get(pk=cast.project.pk).training_required


def test_while_training_is_required_ten_items_stay(cast: Cast, trained: list[Gold]) -> None:
    making.retire(trained[0], timezone.now())
    making.change(trained[1], training=False)
    with pytest.raises(Refusal, match="9 would be left"):
        making.retire(trained[2], timezone.now())
    with pytest.raises(Refusal, match="9 would be left"):
        making.change(trained[2], training=False)
    training.require(cast.project, required=False)
    making.retire(trained[2], timezone.now())


def test_training_items_are_given_to_nobody_at_work(cast: Cast, trained: list[Gold]) -> None:
    training.require(cast.project, required=False)
    given: Any = client_of(cast.bob).post(f"{API}/projects/{cast.project.pk}/assignments/", {}).json()
    while given:
        assert given["item"]["id"] not in {str(gold.pk) for gold in trained}
        body = {"answers": {"ranking": [[one["id"]] for one in given["item"]["candidates"]]}, "active_ms": 900}
        given = client_of(cast.bob).put(f"{API}/assignments/{given['id']}/annotation/", body).json()["next"]
