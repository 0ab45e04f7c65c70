"""R4: however often an item is submitted at the same moment, there is one annotation."""

from __future__ import annotations

from collections import Counter

import pytest
from easel.annotation.models import Annotation

from tests.cast import API, Cast, client_of, in_parallel, lease, make_items


@pytest.mark.django_db(transaction=True)
def test_ten_equal_submissions_at_once_make_one_annotation(committed_cast: Cast) -> None:
    make_items(committed_cast, 20)
    assignment = lease(committed_cast.project, committed_cast.bob)
    best, *others = (str(pk) for pk in assignment.shown_order)
    body = {"answers": {"ranking": [[best], others]}, "active_ms": 5_000}
    clients = [client_of(committed_cast.bob) for _ in range(10)]

    answers = in_parallel(10, lambda n: clients[n].put(f"{API}/assignments/{assignment.pk}/annotation/", body))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 9}
    assert len({answer.json()["annotation"]["id"] for answer in answers}) == 1
    assert Annotation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_ten_different_submissions_at_once_the_first_counts(committed_cast: Cast) -> None:
    make_items(committed_cast, 2)
    assignment = lease(committed_cast.project, committed_cast.bob)
    shown = [str(pk) for pk in assignment.shown_order]
    clients = [client_of(committed_cast.bob) for _ in range(10)]

    def send(number: int) -> int:
        answers = {"ranking": [[shown[number % 4]]], "rationale": f"from tab {number}"}
        body = {"answers": answers, "active_ms": 1}
        return int(clients[number].put(f"{API}/assignments/{assignment.pk}/annotation/", body).status_code)

    statuses = in_parallel(10, send)

    assert Counter(statuses) == {201: 1, 409: 9}
    assert Annotation.objects.count() == 1
