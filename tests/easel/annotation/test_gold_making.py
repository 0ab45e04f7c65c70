"""Gold is made: from items, annotations, unanimity and spoilt images; looked at, used, retired, doubted."""

from __future__ import annotations

import io
from random import Random
from typing import Any

import pytest
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.gold import automatic, making
from easel.annotation.gold.degrade import LEAST_CHANGE, WAYS, change, spoil
from easel.annotation.gold.figures import counts_of, doubtful, rates_of
from easel.annotation.gold.words import are_unlike, content_words
from easel.annotation.models import Annotation, Gold, Item, MadePicture, Record
from easel.common.errors import Refusal
from easel.common.storage import storage
from easel.images.models import Candidate, GenerationRequest
from PIL import Image
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast, client_of, make_items, make_user


def photo(side: int) -> Image.Image:
    """A picture with light, shapes and colours."""
    image = Image.linear_gradient("L").resize((side, side)).convert("RGB")
    for n, colour in enumerate(["#c43", "#2a7", "#35b", "#fc4"]):
        at = side * (n + 1) // 6
        image.paste(colour, (at, side // 5 * (n % 3 + 1), at + side // 5, side // 5 * (n % 3 + 2)))
    return image


def plain(side: int) -> Image.Image:
    """A picture of one colour: it hardly changes when it is blurred."""
    return Image.new("RGB", (side, side), "#777")


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("picture", [photo(16), photo(256), plain(64), Image.new("RGB", (96, 32), "white")])
def test_what_is_spoilt_is_spoilt_beyond_taste_and_of_the_same_size(way: str, picture: Image.Image) -> None:
    spoilt = spoil(picture, way, seed=7)
    assert (spoilt.size, spoilt.mode) == (picture.size, "RGB")
    assert change(picture, spoilt) >= LEAST_CHANGE
    assert spoil(picture, way, seed=7).tobytes() == spoilt.tobytes()


def test_a_second_print_is_not_taken_for_spoilt() -> None:
    file = io.BytesIO()
    photo(256).save(file, "JPEG", quality=60)
    assert change(photo(256), Image.open(file)) < LEAST_CHANGE / 4


@pytest.mark.parametrize(
    ("prompt", "other", "unlike"),
    [
        ("a red fox in the snow", "two boats on a lake", True),
        ("a red fox in the snow", "the foxes of spring", False),
        ("a photo of a cat", "a photo of a pear", True),
        ("a photo of a cat", "the picture of an icon", False),  # nothing is said by the second one
        ("Über den Dächern", "Dächern gleich", False),
        ("", "a fox", False),
    ],
)
def test_prompts_are_unlike_where_they_share_no_content_word(prompt: str, other: str, unlike: bool) -> None:
    assert are_unlike(prompt, other) is are_unlike(other, prompt) is unlike


def test_words_that_say_nothing_are_no_content() -> None:
    assert content_words("A high quality photo of 3 Foxes, with the glass") == {"fox", "glass"}


def make_by_the_dozen(cast: Cast, count: int, **options: Any) -> list[Gold]:
    automatic.start(cast.project, cast.alice, timezone.now(), count=count, **options)
    automatic.advance(timezone.now())
    return list(Gold.objects.waiting().filter(project=cast.project))


def test_spoilt_images_take_the_place_of_one_and_wait_to_be_looked_at(cast: Cast) -> None:
    make_items(cast, 4)
    made = make_by_the_dozen(cast, 4, kinds=["blur", "noise", "blocks", "colours"])
    assert len(made) == 4 and {one.state for one in made} == {"waiting"}
    assert {one.how for one in MadePicture.objects.all()} == {"blur", "noise", "blocks", "colours"}
    for gold in made:
        assert gold.item.original is not None
        (picture,) = gold.pictures.all()
        originals, images = set(gold.item.original.candidates.all()), set(gold.item.candidates.all())
        assert originals - images == {picture.original} and images - originals == {picture.candidate}
        assert sorted(gold.answer["pairs"]) == sorted(
            [str(one.pk), str(picture.candidate_id)] for one in images - {picture.candidate}
        )
        spoilt = Image.open(io.BytesIO(storage().read(picture.candidate.key)))
        assert spoilt.size == (picture.original.width, picture.original.height)
        assert picture.candidate.sha256 != picture.original.sha256


def test_an_image_of_quite_another_prompt_takes_the_place_of_one(cast: Cast) -> None:
    stage.generate(cast, stage.make_prompts(cast.project, "a red fox", "two boats", "the foxes of spring"))
    stage.work_off()
    gather(timezone.now(), cast.project)
    made = make_by_the_dozen(cast, 3, kinds=["mismatch"])
    assert len(made) == 3 and {one.source for one in made} == {"mismatched"}
    prompts = dict(Candidate.objects.collected().values_list("sha256", "prompt__text"))
    for gold in made:
        (picture,) = gold.pictures.all()
        assert are_unlike(gold.item.prompt.text, prompts[picture.candidate.sha256])


def test_where_every_prompt_is_alike_mismatched_ones_are_left_out(cast: Cast) -> None:
    make_items(cast, 3)
    assert make_by_the_dozen(cast, 3, kinds=["mismatch"]) == []
    found = automatic.newest_round(cast.project)
    assert found is not None and (found.state, found.done, found.skipped) == ("done", 3, 3)


def test_a_file_that_is_gone_is_left_out_and_the_others_are_made(cast: Cast) -> None:
    make_items(cast, 3, colours=2**24)
    request = automatic.start(cast.project, cast.alice, timezone.now(), count=3, kinds=["blur"]).request
    victim = Candidate.objects.get(pk=request.settings["plan"][1]["candidate"])
    Candidate.objects.filter(pk=victim.pk).update(key="gone.png")
    automatic.advance(timezone.now())
    found = automatic.newest_round(cast.project)
    assert found is not None and (found.state, found.done, found.skipped) == ("done", 3, 1)
    assert Gold.objects.count() == 2


def test_a_cancelled_round_keeps_what_it_made(cast: Cast) -> None:
    make_items(cast, 3)
    automatic.start(cast.project, cast.alice, timezone.now(), count=3, kinds=["blur"])
    (pk,) = automatic.pending().values_list("pk", flat=True)
    assert automatic._make_next(pk, timezone.now())
    automatic.cancel(cast.project, timezone.now())
    assert automatic.advance(timezone.now()) == 0
    found = automatic.newest_round(cast.project)
    assert found is not None and (found.state, found.done, found.total) == ("cancelled", 1, 3)
    assert Gold.objects.count() == 1


def test_one_round_at_a_time_of_what_can_be(cast: Cast) -> None:
    start = automatic.start
    with pytest.raises(Refusal, match="no item to make gold of"):
        start(cast.project, cast.alice, timezone.now(), count=1)
    make_items(cast, 2)
    for wrong in ({"count": 0}, {"count": 501}, {"count": 1, "kinds": ["crayon"]}, {"count": 1, "kinds": []}):
        with pytest.raises(Refusal):
            start(cast.project, cast.alice, timezone.now(), **wrong)
    start(cast.project, cast.alice, timezone.now(), count=2)
    with pytest.raises(Refusal, match="being made already"):
        start(cast.project, cast.alice, timezone.now(), count=2)


def test_items_that_somebody_called_all_bad_are_not_taken(cast: Cast) -> None:
    make_items(cast, 2)
    (given,) = stage.annotate(cast.project, cast.bob, all_bad=True)
    made = make_by_the_dozen(cast, 2, kinds=["noise"])
    assert [one.item.original_id for one in made] == [Item.objects.to_rank().exclude(pk=given.item_id).get().pk]


def test_what_is_discarded_is_gone_with_its_images(cast: Cast) -> None:
    make_items(cast, 2)
    first, second = make_by_the_dozen(cast, 2, kinds=["noise"])
    assert making.discard(cast.project, [first.pk]) == 1
    assert making.use(cast.project, [second.pk]) == 1
    assert making.discard(cast.project, [second.pk]) == 0, "what is used is retired, not deleted"
    assert Item.objects.filter(purpose="gold").get() == second.item
    assert Candidate.objects.filter(request__kind=GenerationRequest.Kind.GOLD).count() == 1


def agree(cast: Cast, *rankings: list[list[int]], all_bad: bool = False) -> Item:
    """Have several people rank one item, each by the places of its images in the order of their ids."""
    (item,) = make_items(cast, 1)
    Item.objects.filter(pk=item.pk).update(overlap=len(rankings))
    ids = [str(pk) for pk in item.candidates.order_by("pk").values_list("pk", flat=True)]
    for ranking in rankings:
        user = make_user(f"judge-{Random(0).random()}-{Annotation.objects.count()}", cast.project)
        assignment = stage.lease(cast.project, user)
        assert assignment.item_id == item.pk
        stage.submit(assignment, {"ranking": [[ids[n] for n in group] for group in ranking], "all_bad": all_bad})
    item.refresh_from_db()
    return item


def test_items_whose_ends_all_agree_on_are_proposed_with_these_ends(cast: Cast) -> None:
    item = agree(cast, [[0], [1], [2], [3]], [[0], [2], [1], [3]], [[0], [1, 2], [3]])
    ids = [str(pk) for pk in item.candidates.order_by("pk").values_list("pk", flat=True)]
    (found,), after = making.proposals(cast.project, None, 10)
    assert (found.item, found.people, after) == (item, 3, None)
    assert found.answer["pairs"] == [
        *([ids[0], ids[n]] for n in (1, 2, 3)),
        *([ids[n], ids[3]] for n in (1, 2)),
    ]
    (gold,) = making.accept(cast.project, [item.pk], cast.alice, timezone.now())
    assert (gold.source, gold.state, gold.note) == ("unanimous", "in use", "All 3 annotators answered so.")
    assert making.proposals(cast.project, None, 10) == ([], None), "gold is made of an item once"
    assert making.accept(cast.project, [item.pk], cast.alice, timezone.now()) == []


@pytest.mark.parametrize(
    "rankings",
    [
        ([[0], [1], [2], [3]], [[0], [1], [2], [3]]),  # two people
        ([[0], [1], [2], [3]], [[0], [1], [2], [3]], [[3], [1], [2], [0]]),  # one differs
        ([[0], [1]], [[0], [1]], [[0], [1]]),  # half of it was left out
        ([[0, 1], [2, 3]], [[0, 1], [2, 3]], [[0, 1], [2, 3]]),  # ties at both ends
    ],
)
def test_other_items_are_not_proposed(cast: Cast, rankings: tuple[list[list[int]], ...]) -> None:
    agree(cast, *rankings)
    assert making.proposals(cast.project, None, 10) == ([], None)


def test_what_all_call_bad_is_proposed_as_such(cast: Cast) -> None:
    item = agree(cast, [], [], [], all_bad=True)
    (found,), _ = making.proposals(cast.project, None, 10)
    assert (found.item, found.answer) == (item, {"pairs": [], "all_bad": True})


def test_gold_is_made_of_an_annotation(cast: Cast) -> None:
    make_items(cast, 1)
    (given,) = stage.annotate(cast.project, cast.bob)
    body = {"annotation": str(Annotation.objects.get().pk), "note": "bob is right"}
    made: Any = client_of(cast.alice).post(f"{API}/projects/{cast.project.pk}/gold/", body)
    assert made.status_code == 201
    assert made.json()["ranking"] == [[str(pk)] for pk in given.shown_order]
    assert Annotation.objects.get().purpose == "rank"


def test_the_api_makes_lists_changes_and_retires_gold(cast: Cast, alice: APIClient) -> None:
    (item,) = make_items(cast, 1)
    ids = [str(pk) for pk in item.candidates.order_by("pk").values_list("pk", flat=True)]
    address = f"{API}/projects/{cast.project.pk}/gold/"
    made: Any = alice.post(address, {"item": str(item.pk), "ranking": [[ids[2]], [ids[0], ids[1]]], "note": "see C"})
    told = made.json()
    assert (made.status_code, told["state"], told["rate"]["scored"]) == (201, "in use", 0)
    assert told["pairs"] == [[ids[2], ids[0]], [ids[2], ids[1]]]
    one = f"{API}/gold/{told['id']}/"
    assert alice.patch(one, {"state": "retired", "note": "no longer"}).json()["state"] == "retired"
    states = {state: alice.get(address, {"state": state}).json()["results"] for state in ("in use", "retired")}
    assert [len(states["in use"]), len(states["retired"])] == [0, 1]
    assert alice.patch(one, {"state": "in use"}).json()["note"] == "no longer"
    for body in ({}, {"item": str(item.pk)}, {"item": str(item.pk), "ranking": [ids]}):
        refused: Any = alice.post(address, body)
        assert refused.status_code == 400 and "\n" not in refused.json()["detail"]
    assert alice.get(address, {"state": "lost"}).status_code == 400


def test_a_project_does_not_make_gold_of_another_ones_items(cast: Cast, alice: APIClient) -> None:
    (item,) = make_items(cast, 1, project=cast.foreign)
    assert alice.post(f"{API}/projects/{cast.project.pk}/gold/", {"item": str(item.pk)}).status_code == 404


def test_gold_that_good_annotators_answer_otherwise_may_be_wrong(cast: Cast) -> None:
    items = make_items(cast, 2)
    answer = [making.answer_of([[str(pk)] for pk in one.candidates.values_list("pk", flat=True)]) for one in items]
    wrong, right = (making.make(one, said, cast.alice, timezone.now()) for one, said in zip(items, answer, strict=True))
    for n in range(3):
        user = make_user(f"good-{n}", cast.project)
        Record.objects.create(project=cast.project, annotator=user, gold=10, gold_passed=9)
        for gold, passed in ((wrong, False), (right, True)):
            given = gold.item.assignments.create(
                annotator=user, shown_order=[], state="submitted", expires_at=timezone.now(), created_at=timezone.now()
            )
            Annotation.objects.create(
                assignment=given, project=cast.project, item=gold.item, annotator=user, answers={}, ranking=[],
                active_ms=1, body_hash="", purpose="gold", passed=passed, created_at=timezone.now(),
            )  # fmt: skip
    assert doubtful(cast.project) == [wrong.pk]
    rates = rates_of(cast.project, [wrong.pk, right.pk])
    assert (rates[wrong.pk].scored, rates[wrong.pk].share, rates[right.pk].share) == (3, 0.0, 1.0)
    assert counts_of(cast.project).in_use == 2
