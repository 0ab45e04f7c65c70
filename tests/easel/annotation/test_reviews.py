"""Reviews of annotations: accepted, returned and corrected, fixed, taken back; over HTTP, the rows are what counts."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from easel.accounts.models import User
from easel.accounts.roles import Role
from easel.annotation.models import Annotation, Assignment, Item, Review, Revision
from easel.annotation.review import services
from easel.annotation.review.services import sampled
from easel.common.errors import InvalidInput
from easel.forms.services import publish
from easel.projects.models import Membership, Project
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast, client_of


@pytest.fixture
def rita(cast: Cast) -> User:
    """A reviewer."""
    return stage.make_user("rita", cast.project, Role.REVIEWER)


@pytest.fixture
def reviewer(rita: User) -> APIClient:
    """The reviewer's API client."""
    return client_of(rita)


@pytest.fixture
def said(cast: Cast, rita: User) -> Annotation:
    """What bob has said, waiting for a reviewer."""
    Project.objects.update(review_share=100)
    cast.project.refresh_from_db()
    stage.make_items(cast, 2)
    stage.annotate(cast.project, cast.bob)
    return Annotation.objects.get()


def judge(client: APIClient, said: Annotation, verdict: str, **body: Any) -> Any:
    """Give a verdict."""
    return client.post(f"{API}/annotations/{said.pk}/reviews/", {"verdict": verdict, **body})


def turned(said: Annotation) -> dict[str, Any]:
    """The ranking of an annotation, upside down."""
    return {"ranking": said.ranking[::-1]}


def submit(said: Annotation, answers: dict[str, Any]) -> Annotation:
    """Have the annotator submit what came back."""
    return stage.submit(Assignment.objects.get(annotation=said), answers)[0]


def test_the_share_of_annotations_that_wait_for_review_is_what_was_asked_and_the_same_again() -> None:
    ids = [uuid4() for _ in range(4_000)]
    drawn = [sampled(one, 20) for one in ids]
    assert 0.17 < sum(drawn) / len(ids) < 0.23
    assert drawn == [sampled(one, 20) for one in ids]
    assert all(sampled(one, 100) for one in ids)
    assert not any(sampled(one, 0) for one in ids)
    assert all(sampled(one, 60) for one in ids if sampled(one, 20)), "a larger share keeps those of a smaller one"


def test_all_are_drawn_at_100_percent_and_none_at_0(cast: Cast, said: Annotation) -> None:
    assert said.review_state == "waiting"
    Project.objects.update(review_share=0)
    stage.annotate(cast.project, cast.bob)
    assert Annotation.objects.latest("id").review_state == ""


def test_a_reviewer_accepts_and_the_next_one_is_told(reviewer: APIClient, alice: APIClient, said: Annotation) -> None:
    answer = judge(reviewer, said, "accepted", comment="Fine.")
    assert answer.status_code == 201
    said.refresh_from_db()
    assert said.review_state == "accepted"
    review = Review.objects.get()
    assert (review.reviewer.username, review.comment, review.revision) == ("rita", "Fine.", 0)
    late = judge(alice, said, "returned", comment="No.")
    assert late.status_code == 409
    assert late.json()["code"] == "reviewed_meanwhile"
    assert late.json()["detail"] == "rita has accepted this in the meantime. Look at it again."
    again = judge(alice, said, "returned", comment="No.", review_state="accepted", revision=0)
    assert again.status_code == 201, "who has seen the verdict may give another one"


def test_returned_work_comes_first_to_its_annotator_and_is_corrected(
    cast: Cast, reviewer: APIClient, bob: APIClient, said: Annotation
) -> None:
    item = said.item
    assert judge(reviewer, said, "returned", comment="Look at the edges again.").status_code == 201
    item.refresh_from_db()
    assert (item.votes, item.state) == (0, "ready"), "it does not count until it is corrected"
    assert stage.lease(cast.project, cast.erin).item_id != item.pk, "but nobody else gets its place"
    lease = bob.post(f"{API}/projects/{cast.project.pk}/assignments/").json()
    assert lease["item"]["id"] == str(item.pk)
    assert lease["returned"] == {"comment": "Look at the edges again."}, "why, and not by whom"
    assert lease["draft"]["answers"]["ranking"] == said.ranking
    answer = bob.put(f"{API}/assignments/{lease['id']}/annotation/", {"answers": turned(said), "active_ms": 2_000})
    assert answer.status_code == 201
    now = Annotation.objects.get(pk=said.pk)
    assert (now.ranking, now.review_state, now.revision) == (said.ranking[::-1], "waiting", 1)
    assert now.active_ms == said.active_ms + 2_000
    former = Revision.objects.get()
    assert (former.number, former.author, former.ranking, former.reason) == (0, cast.bob, said.ranking, "returned")
    item.refresh_from_db()
    assert (item.votes, item.state) == (1, "done")
    again = bob.put(f"{API}/assignments/{lease['id']}/annotation/", {"answers": turned(said), "active_ms": 2_000})
    assert again.status_code == 200, "sent twice, corrected once"
    assert Revision.objects.count() == 1


def test_a_correction_is_made_in_the_form_that_the_item_was_made_for(
    cast: Cast, reviewer: APIClient, said: Annotation
) -> None:
    version = cast.project.template_version
    definition = {**version.definition, "components": version.definition["components"] + [NOTE]}
    Project.objects.update(template_version=publish(version.template, definition, timezone.now()))
    judge(reviewer, said, "returned", comment="Once more.")
    lease = stage.lease(Project.objects.get(pk=cast.project.pk), cast.bob)
    assert lease.item.template_version_id == version.pk
    assert submit(said, turned(said)).revision == 1, "the new form's required note is not asked"


NOTE = {"type": "input", "name": "note_of_tests", "label": "Note", "required": True}


def test_a_return_needs_a_comment_and_somebody_who_can_correct_it(
    cast: Cast, reviewer: APIClient, said: Annotation
) -> None:
    empty = judge(reviewer, said, "returned", comment="  ")
    assert empty.status_code == 400
    assert "comment" in empty.json()["fields"]
    Membership.objects.filter(user=cast.bob).update(deactivated_at=timezone.now())
    gone = judge(reviewer, said, "returned", comment="No.")
    assert gone.status_code == 400
    assert gone.json()["detail"].startswith("bob no longer ranks in this project")


def test_nobody_reviews_their_own_work(cast: Cast, rita: User, reviewer: APIClient, said: Annotation) -> None:
    Annotation.objects.update(annotator=rita)
    for verdict, body in (("accepted", {}), ("returned", {"comment": "x"}), ("fixed", {"answers": turned(said)})):
        answer = judge(reviewer, said, verdict, **body)
        assert (answer.status_code, answer.json()["code"]) == (403, "own_work")
    assert reviewer.get(f"{API}/projects/{cast.project.pk}/reviews/").json()["results"] == []
    with pytest.raises(services.OwnWork):
        services.accept(said, rita, timezone.now())


def test_a_reviewer_fixes_and_the_original_is_kept(
    cast: Cast, rita: User, reviewer: APIClient, bob: APIClient, said: Annotation
) -> None:
    wrong = judge(reviewer, said, "fixed", answers={"ranking": [["nobody"]]})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_answers")
    assert judge(reviewer, said, "fixed").status_code == 400, "without answers"
    assert judge(reviewer, said, "fixed", answers=turned(said), comment="Upside down.").status_code == 201
    now = Annotation.objects.get()
    assert (now.ranking, now.review_state, now.revision) == (said.ranking[::-1], "fixed", 1)
    assert (now.annotator, Revision.objects.get().ranking) == (cast.bob, said.ranking)
    same = bob.put(
        f"{API}/assignments/{said.assignment_id}/annotation/", {"answers": said.answers, "active_ms": said.active_ms}
    )
    assert same.status_code == 200, "what bob's page sends again is stored, and changes nothing"
    assert Annotation.objects.get().ranking == said.ranking[::-1]
    review = Review.objects.get()
    alice = client_of(cast.alice)
    again = judge(alice, said, "fixed", answers={"ranking": said.ranking}, review_state="fixed", revision=1)
    assert again.status_code == 201
    assert Revision.objects.get(number=1).author == rita, "the second revision is what rita had said"
    late = reviewer.delete(f"{API}/reviews/{review.pk}/")
    assert (late.status_code, late.json()["code"]) == (409, "verdict_stands")


@pytest.mark.parametrize("verdict", ["accepted", "returned", "fixed"])
def test_a_verdict_is_taken_back(reviewer: APIClient, alice: APIClient, said: Annotation, verdict: str) -> None:
    more = {"answers": turned(said)} if verdict == "fixed" else {"comment": "Hm."}
    made = judge(reviewer, said, verdict, **more).json()
    assert alice.delete(f"{API}/reviews/{made['id']}/").status_code == 403, "it is the reviewer's"
    assert reviewer.delete(f"{API}/reviews/{made['id']}/").status_code == 204
    now = Annotation.objects.get()
    assert (now.review_state, now.revision, now.ranking) == ("waiting", 0, said.ranking)
    assert now.assignment.state == "submitted"
    assert Item.objects.get(pk=now.item_id).votes == 1
    assert (Review.objects.count(), Revision.objects.count()) == (0, 0)


def test_a_correction_stands_above_taking_back_the_return(reviewer: APIClient, said: Annotation) -> None:
    made = judge(reviewer, said, "returned", comment="Hm.").json()
    submit(said, turned(said))
    assert reviewer.delete(f"{API}/reviews/{made['id']}/").status_code == 409
    assert Annotation.objects.get().ranking == said.ranking[::-1]


def test_work_that_its_annotator_never_corrects_is_accepted_after_all(reviewer: APIClient, said: Annotation) -> None:
    judge(reviewer, said, "returned", comment="Hm.")
    assert judge(reviewer, said, "accepted").status_code == 409, "not by accident"
    assert judge(reviewer, said, "accepted", review_state="returned").status_code == 201
    assert Annotation.objects.get().assignment.state == "submitted"
    assert Item.objects.get(pk=said.item_id).votes == 1


def test_the_list_of_what_waits_is_filtered_and_names_what_was_said(
    cast: Cast, reviewer: APIClient, said: Annotation
) -> None:
    stage.annotate(cast.project, cast.erin, all_bad=True)
    address = f"{API}/projects/{cast.project.pk}/reviews/"
    rows = reviewer.get(address).json()["results"]
    assert [row["annotator"] for row in rows] == ["bob", "erin"]
    assert rows[0]["id"] == str(said.pk)
    assert (rows[0]["review_state"], rows[0]["reviews"]) == ("waiting", [])
    only = reviewer.get(address, {"annotator": str(cast.erin.pk)}).json()["results"]
    assert [row["annotator"] for row in only] == ["erin"]
    assert [row["annotator"] for row in reviewer.get(address, {"flag": "all_bad"}).json()["results"]] == ["erin"]
    assert len(reviewer.get(address, {"flag": "quick"}).json()["results"]) == 2
    Annotation.objects.update(active_ms=9_000)
    assert reviewer.get(address, {"flag": "quick"}).json()["results"] == []
    for flag in ("tie", "disagree", "corrected"):
        assert reviewer.get(address, {"flag": flag}).json()["results"] == []
    judge(reviewer, said, "accepted")
    assert [row["annotator"] for row in reviewer.get(address).json()["results"]] == ["erin"]
    assert [row["annotator"] for row in reviewer.get(address, {"state": "accepted"}).json()["results"]] == ["bob"]


def test_what_cannot_be_asked_for_or_said_is_one_line(cast: Cast, reviewer: APIClient, said: Annotation) -> None:
    address = f"{API}/projects/{cast.project.pk}/reviews/"
    for name, value in (("state", "lost"), ("flag", "odd"), ("annotator", "bob")):
        answer = reviewer.get(address, {name: value})
        assert (answer.status_code, list(answer.json()["fields"])) == (400, [name])
    page = stage.browser_of(User.objects.get(username="rita"))
    path = f"/projects/{cast.project.pk}"
    for body in ({"annotation": "x"}, {"annotation": str(uuid4()), "verdict": "accepted"}):
        assert page.post(f"{path}/review/", body, format="multipart").status_code == 404
    assert page.post(f"{path}/disagreements/", {"item": "x"}, format="multipart").status_code == 404
    comments = f"{path}/items/{said.item_id}/comments/"
    assert page.post(comments, {"delete": "x"}, format="multipart").status_code == 404
    assert page.post(comments, {"text": " "}, format="multipart").status_code == 400
    assert page.post(comments, {"text": "a\0b"}, format="multipart").status_code == 302
    told = page.get(f"{path}/review/?at=x&state=lost&annotator=1&flag=odd&after=z")
    assert told.status_code == 200, "a page shows what waits where its address is nonsense"


def test_many_are_reviewed_at_once_and_what_cannot_be_is_told(
    cast: Cast, rita: User, reviewer: APIClient, said: Annotation
) -> None:
    stage.annotate(cast.project, rita)
    every = [str(pk) for pk in Annotation.objects.values_list("pk", flat=True)]
    address = f"{API}/projects/{cast.project.pk}/reviews/bulk/"
    answer = reviewer.post(address, {"annotations": every, "verdict": "returned", "comment": "Read the guidelines."})
    assert answer.status_code == 200
    assert [one["annotation"] for one in answer.json()["reviews"]] == [str(said.pk)]
    assert [one["code"] for one in answer.json()["refused"]] == ["own_work"]
    unknown = reviewer.post(address, {"annotations": [str(uuid4())], "verdict": "accepted"})
    assert unknown.status_code == 400
    assert reviewer.post(address, {"annotations": every, "verdict": "fixed"}).status_code == 400


def test_annotators_see_nobody_elses_answers_and_no_reviewers(cast: Cast, bob: APIClient, said: Annotation) -> None:
    for path in (f"items/{said.item_id}/", f"items/{said.item_id}/comments/", f"projects/{cast.project.pk}/reviews/"):
        assert bob.get(f"{API}/{path}").status_code == 403
    assert judge(bob, said, "accepted").status_code == 403


def test_an_item_tells_all_that_was_said_of_it(reviewer: APIClient, alice: APIClient, said: Annotation) -> None:
    judge(reviewer, said, "accepted", comment="Fine.")
    made = reviewer.post(f"{API}/items/{said.item_id}/comments/", {"text": "  See the second one. "})
    assert made.status_code == 201
    assert reviewer.post(f"{API}/items/{said.item_id}/comments/", {"text": "  "}).status_code == 400
    item = alice.get(f"{API}/items/{said.item_id}/").json()
    assert [one["text"] for one in item["comments"]] == ["See the second one."]
    assert [one["comment"] for one in item["annotations"][0]["reviews"]] == ["Fine."]
    assert len(item["candidates"]) == 4
    assert item["adjudication"] is None
    assert alice.delete(f"{API}/comments/{made.json()['id']}/").status_code == 403
    assert reviewer.delete(f"{API}/comments/{made.json()['id']}/").status_code == 204


def test_what_measures_annotators_or_counts_nowhere_is_not_reviewed(rita: User, said: Annotation) -> None:
    Assignment.objects.update(state="surplus")
    with pytest.raises(InvalidInput, match="counts nowhere"):
        services.accept(said, rita, timezone.now())
    Annotation.objects.update(purpose="gold")
    with pytest.raises(InvalidInput, match="measures annotators"):
        services.accept(said, rita, timezone.now())


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_the_same_moment_one_wins_and_the_other_is_told(committed_cast: Cast) -> None:
    cast = committed_cast
    stage.make_items(cast, 1)
    stage.annotate(cast.project, cast.bob)
    said = Annotation.objects.get()

    def decide(number: int) -> str:
        by = (cast.alice, cast.erin)[number]
        try:
            if number:
                return services.accept(said, by, timezone.now()).verdict
            return services.return_(said, by, timezone.now(), "Look again.").verdict
        except services.ReviewedMeanwhile as refusal:
            return refusal.code

    for _ in range(4):
        outcomes = stage.in_parallel(2, decide)
        assert "reviewed_meanwhile" in outcomes
        assert len(set(outcomes)) == 2
        assert Review.objects.count() == 1
        review = Review.objects.get()
        services.undo(review, review.reviewer)
