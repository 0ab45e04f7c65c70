"""R1: many annotators at once never get an item that has enough of them, and nobody gets one twice.

EASEL_LONG_FAULTS=1 runs the size that the statement names: 16 annotators and 2,000 items.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Count
from django.utils import timezone
from easel.annotation.models import Annotation, Assignment, Item
from easel.projects.models import Project
from rest_framework.test import APIClient

from tests.cast import API, Cast, client_of, in_parallel, lease, make_items, make_user, submit

LONG = bool(os.environ.get("EASEL_LONG_FAULTS"))
ANNOTATORS, ITEMS = (16, 2_000) if LONG else (8, 60)


def _rank_until_nothing_is_left(client: APIClient, project: Project) -> int:
    """Lease, submit and follow `next` as a script does; return how many submissions were acknowledged."""
    acknowledged = 0
    response = client.post(f"{API}/projects/{project.pk}/assignments/", {})
    following = response.json() if response.status_code == 201 else None
    while following is not None:
        best, *others = (candidate["id"] for candidate in following["item"]["candidates"])
        body = {"answers": {"ranking": [[best], others]}, "active_ms": 1}
        response = client.put(f"{API}/assignments/{following['id']}/annotation/", body)
        assert response.status_code == 201, response.content
        acknowledged += 1
        following = response.json()["next"]
        connection.close()  # each request gives its connection back to the pool, as a server's do
    return acknowledged


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("overlap", [1, 3])
def test_annotators_at_once_share_the_items_exactly(committed_cast: Cast, overlap: int) -> None:
    project = committed_cast.project
    Project.objects.filter(pk=project.pk).update(overlap=overlap)
    make_items(committed_cast, ITEMS)
    clients = [client_of(make_user(f"annotator{number}", project)) for number in range(ANNOTATORS)]

    acknowledged = in_parallel(ANNOTATORS, lambda number: _rank_until_nothing_is_left(clients[number], project))

    # An annotator who asks while the last rows are locked is told that nothing is left and comes back later.
    acknowledged += [_rank_until_nothing_is_left(client, project) for client in clients]
    assert sum(acknowledged) == Annotation.objects.count()
    counted = Annotation.objects.collected(project)  # who ranks more than 50 items has some again, beside these
    per_item = Counter(counted.values_list("item", flat=True))
    assert counted.count() == ITEMS * overlap
    assert set(per_item.values()) == {overlap}
    assert not Annotation.objects.values("item", "annotator").annotate(n=Count("*")).filter(n__gt=1).exists()
    assert not Assignment.objects.filter(state=Assignment.State.SURPLUS).exists()
    assert Item.objects.to_rank().filter(state=Item.State.DONE).count() == ITEMS


@pytest.mark.django_db(transaction=True)
def test_eight_who_ask_for_the_last_item_at_once_are_one_who_gets_it(committed_cast: Cast) -> None:
    project = committed_cast.project
    make_items(committed_cast, 1)
    clients = [client_of(make_user(f"annotator{number}", project)) for number in range(8)]

    statuses = in_parallel(
        8, lambda number: clients[number].post(f"{API}/projects/{project.pk}/assignments/", {}).status_code
    )

    assert sorted(statuses) == [201] + [204] * 7


@pytest.mark.django_db
def test_an_abandoned_item_is_free_again_when_its_lease_ends(cast: Cast) -> None:
    make_items(cast, 1)
    now = timezone.now()
    abandoned = lease(cast.project, cast.bob, now)

    taken_over = lease(cast.project, cast.alice, abandoned.expires_at + timedelta(seconds=1))

    assert taken_over.item_id == abandoned.item_id
    best, *others = (str(pk) for pk in abandoned.shown_order)
    submit(abandoned, {"ranking": [[best], others]}, abandoned.expires_at + timedelta(seconds=2))
    abandoned.refresh_from_db()
    assert abandoned.state == Assignment.State.SURPLUS  # alice has its place now; bob's work is kept
