"""Snapshots: what they take, what they refuse, and that a frozen one stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone
from easel.accounts.models import User
from easel.annotation import services as annotation
from easel.annotation.gathering import gather
from easel.annotation.models import Annotation, Assignment, Item
from easel.common import jobs
from easel.common.models import Job
from easel.common.storage import storage
from easel.forms.services import publish
from easel.images.models import Candidate, GenerationRequest
from easel.preferences import reliability
from easel.projects.models import Project
from easel.prompts.models import Prompt
from easel.snapshots.filters import Filters
from easel.snapshots.freezing import NothingToLearn, pseudonym_in
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.services import freeze_next, take_snapshot
from easel.snapshots.splits import Shares

from finetune import snapshot as folders
from finetune.types import Preference
from tests import cast as stage
from tests.benchmarks.snapshot import measure, populate
from tests.cast import Cast

THINGS = ("apple", "boat", "crow", "drum", "egg", "fox", "goat", "hat", "ink", "jar", "kite", "lamp")


def take(cast: Cast, **options: Any) -> DatasetSnapshot:
    """Take a snapshot as dave, and freeze it as a worker does."""
    taken = take_snapshot(cast.project, cast.dave, timezone.now(), **options)
    assert freeze_next("a test")
    return DatasetSnapshot.objects.select_related("job", "project").get(pk=taken.pk)


def fetched(snapshot: DatasetSnapshot, tmp_path: Path) -> Path:
    """Fetch a snapshot as a trainer does."""
    return folders.fetch(snapshot.reference(), storage(), tmp_path / str(snapshot.pk))


def rows(snapshot: DatasetSnapshot, tmp_path: Path) -> list[Preference]:
    """Fetch a snapshot and return all of its rows."""
    folder = fetched(snapshot, tmp_path)
    return [row for split in folders.SPLITS for row in folders.read(folder, split)]


def icons(cast: Cast, count: int, **metadata: str) -> list[Item]:
    """Make items of prompts that say different things."""
    start = cast.project.prompts.count()
    prompts = stage.make_prompts(cast.project, *(f"an icon: {thing}" for thing in THINGS[start : start + count]))
    if metadata:
        Prompt.objects.filter(pk__in=[one.pk for one in prompts]).update(metadata=metadata)
    request = stage.generate(cast, prompts)
    stage.work_off()
    gather(timezone.now(), cast.project)
    return list(Item.objects.filter(request=request).order_by("id"))


def rank(cast: Cast, by: User, answers: Callable[[list[str]], dict[str, Any]]) -> Assignment:
    """Have somebody answer the next item."""
    assignment = stage.lease(cast.project, by)
    ids = sorted(str(pk) for pk in assignment.shown_order)
    stage.submit(assignment, answers(ids))
    return assignment


def ranked_by_two(cast: Cast) -> None:
    """Let each item need two annotators."""
    Project.objects.filter(pk=cast.project.pk).update(overlap=2)
    cast.project.refresh_from_db()


def in_order(ids: list[str]) -> dict[str, Any]:
    """The images in the order of their ids, which is that of their places in a preference."""
    return {"ranking": [[pk] for pk in ids]}


def backwards(ids: list[str]) -> dict[str, Any]:
    """The other way round."""
    return {"ranking": [[pk] for pk in reversed(ids)]}


def all_tied(ids: list[str]) -> dict[str, Any]:
    """All on one place."""
    return {"ranking": [ids]}


def test_a_row_holds_what_all_said_of_an_item(cast: Cast, tmp_path: Path) -> None:
    ranked_by_two(cast)
    icons(cast, 2)
    for person in (cast.bob, cast.erin):
        rank(cast, person, in_order)
    rank(cast, cast.bob, lambda ids: {"ranking": [[ids[2]], ids[:2]], "rationale": "crisp"})
    snapshot = take(cast, name="  Round\n 1 ")
    assert (snapshot.state, snapshot.name, snapshot.error) == ("frozen", "Round 1", "")
    found = rows(snapshot, tmp_path)
    assert len(found) == 2
    both, one = sorted(found, key=lambda row: -len(row.judgements))
    assert both.prompt == Item.objects.get(pk=both.item).prompt.text
    assert [image.candidate for image in both.images] == sorted(image.candidate for image in both.images)
    first = Candidate.objects.get(pk=both.images[0].candidate)
    assert both.images[0].model_dump(exclude={"candidate"}) == {
        "key": first.key,
        "sha256": first.sha256,
        "width": 16,
        "height": 16,
        "model": "Painter",
        "seed": first.seed,
    }
    assert [said.groups for said in both.judgements] == [((0,), (1,), (2,), (3,))] * 2
    assert both.pairs == tuple((a, b, 1.0) for a in range(4) for b in range(a + 1, 4))
    assert both.strengths[0] > both.strengths[1] > both.strengths[2] > both.strengths[3]
    assert one.judgements[0].groups == ((2,), (0, 1))
    assert one.pairs == ((0, 1, 0.5), (0, 2, 0.0), (1, 2, 0.0))
    assert (one.judgements[0].active_ms, one.judgements[0].simulated) == (1_500, False)
    manifest = snapshot.manifest
    assert (manifest["agreement"], manifest["annotators"]) == (1.0, 2)
    assert manifest["models"] == [{"name": "Painter", "licence": "Apache-2.0"}]
    assert manifest["template"] == "RLHF image ranking (batch), version 1"
    assert snapshot.total("judgements") == 3
    assert Job.objects.get(pk=snapshot.job_id).state == "done"


def test_names_are_pseudonyms_of_one_snapshot(cast: Cast, tmp_path: Path) -> None:
    icons(cast, 3)
    for _ in range(3):
        rank(cast, cast.bob, in_order)
    one, other = take(cast), take(cast)
    names = [{said.annotator for row in rows(each, tmp_path) for said in row.judgements} for each in (one, other)]
    assert [len(each) for each in names] == [1, 1]
    assert names[0] != names[1]
    said = b"".join(path.read_bytes() for path in (tmp_path / str(one.pk)).glob("*.*"))
    assert b"bob" not in said
    assert str(cast.bob.pk).encode() not in said


def test_a_frozen_snapshot_never_changes(cast: Cast) -> None:
    icons(cast, 2)
    rank(cast, cast.bob, in_order)
    rank(cast, cast.bob, in_order)
    snapshot = take(cast)
    changes: list[dict[str, Any]] = [{"name": "Better"}, {"frozen_at": None, "sha256": ""}, {"files": []}]
    for change in changes:
        with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
            DatasetSnapshot.objects.filter(pk=snapshot.pk).update(**change)
    rank_more = take(cast)
    assert rank_more.pk != snapshot.pk


def test_what_comes_later_is_not_in_it(cast: Cast, tmp_path: Path) -> None:
    icons(cast, 3)
    rank(cast, cast.bob, in_order)
    rank(cast, cast.bob, in_order)
    taken = take_snapshot(cast.project, cast.dave, timezone.now())
    rank(cast, cast.bob, in_order)
    assert freeze_next("a test")
    assert DatasetSnapshot.objects.get(pk=taken.pk).total("judgements") == 2


def test_held_out_prompts_evaluations_and_surplus_annotations_are_left_out(cast: Cast, tmp_path: Path) -> None:
    held_out, evaluated, late, *others = icons(cast, 5)
    for _ in range(5):
        rank(cast, cast.bob, in_order)
    Prompt.objects.filter(pk=held_out.prompt_id).update(held_out=True)
    request = evaluated.request
    assert request is not None
    request.pk, request.kind = None, GenerationRequest.Kind.EVALUATION
    request.id = DatasetSnapshot._meta.pk.get_default()
    request.save(force_insert=True)
    Item.objects.filter(pk=evaluated.pk).update(request=request)
    Assignment.objects.filter(item=late).update(state=Assignment.State.SURPLUS)
    assert {row.item for row in rows(take(cast), tmp_path)} == {one.pk for one in others}


def test_what_says_nearly_the_same_as_a_held_out_prompt_is_left_out_and_the_card_says_so(
    cast: Cast, tmp_path: Path
) -> None:
    items = icons(cast, 3)
    for _ in range(3):
        rank(cast, cast.bob, in_order)
    (kept,) = stage.make_prompts(cast.project, "Icon: the apples!")
    Prompt.objects.filter(pk=kept.pk).update(held_out=True)
    snapshot = take(cast)
    assert {row.item for row in rows(snapshot, tmp_path)} == {one.pk for one in items[1:]}
    assert "Left out: 1 prompt that say nearly what a held-out prompt says." in snapshot.manifest["remarks"]


def test_simulated_annotators_are_left_out_unless_asked_for(cast: Cast, tmp_path: Path) -> None:
    robot = stage.make_user("robot", cast.project, kind=User.Kind.SIMULATED)
    icons(cast, 4)
    for _ in range(2):
        rank(cast, robot, in_order)
    with pytest.raises(NothingToLearn, match=r"by simulated annotators.*include_simulated"):
        take(cast)
    for _ in range(2):
        rank(cast, cast.bob, in_order)
    assert take(cast).total("judgements") == 2
    both = take(cast, include_simulated=True)
    assert both.manifest["simulated"] == 2
    assert sorted(said.simulated for row in rows(both, tmp_path) for said in row.judgements) == [
        False, False, True, True,
    ]  # fmt: skip


def test_days_are_taken_from_midnight_to_midnight(cast: Cast) -> None:
    icons(cast, 4)
    moments = [datetime(2026, 3, day, hour, tzinfo=UTC) for day, hour in ((1, 23), (2, 0), (2, 23), (3, 0))]
    for moment in moments:
        rank(cast, cast.bob, in_order)
        Annotation.objects.filter(pk=Annotation.objects.latest("id").pk).update(created_at=moment)
    days: list[tuple[dict[str, Any], int]] = [
        ({}, 4),
        ({"since": "2026-03-02"}, 3),
        ({"until": "2026-03-02"}, 3),
        ({"since": "0001-01-01", "until": "9999-12-31"}, 4),
        ({"since": "2026-03-02", "until": "2026-03-02"}, 2),
    ]
    for filters, expected in days:
        assert take(cast, filters=Filters.model_validate(filters)).total("judgements") == expected


def test_template_versions_and_categories_are_told_apart(cast: Cast, tmp_path: Path) -> None:
    fruit = icons(cast, 2, category="fruit")
    definition = cast.project.template_version.form.model_dump(mode="json")
    for part in definition["components"]:
        part["exclude"] = part["name"] == "rationale"
    newer = publish(cast.project.template_version.template, definition, timezone.now())
    older = cast.project.template_version_id
    Project.objects.filter(pk=cast.project.pk).update(template_version=newer)
    cast.project.refresh_from_db()
    tools = icons(cast, 2, category="tool")
    for _ in range(4):
        rank(cast, cast.bob, in_order)
    asked: list[tuple[Filters, list[Item]]] = [
        (Filters(template_version=older), fruit),
        (Filters(template_version=newer.pk), tools),
        (Filters(categories=("tool",)), tools),
        (Filters(categories=("tool", "fruit")), fruit + tools),
    ]
    for filters, expected in asked:
        found = rows(take(cast, filters=filters), tmp_path)
        assert {row.item for row in found} == {one.pk for one in expected}
    assert {row.category for row in found} == {"fruit", "tool"}


def test_items_on_which_annotators_disagree_can_be_left_out(cast: Cast, tmp_path: Path) -> None:
    ranked_by_two(cast)
    agreed, disputed, once = icons(cast, 3)
    for _ in range(3):
        rank(cast, cast.bob, in_order)
    for answers in (in_order, backwards):
        assignment = rank(cast, cast.erin, answers)
        assert assignment.item_id == (agreed if answers is in_order else disputed).pk
    assert len(rows(take(cast), tmp_path)) == 3
    snapshot = take(cast, filters=Filters(least_agreement=0.8))
    assert snapshot.state == "failed"  # one prompt is left: once was judged once, so nobody knows
    (more,) = icons(cast, 1)
    for person in (cast.bob, cast.erin):
        while (left := annotation.lease_next(cast.project, person, timezone.now(), [])) is not None:
            stage.submit(left, in_order(sorted(str(pk) for pk in left.shown_order)))
    snapshot = take(cast, filters=Filters(least_agreement=0.8))
    assert {row.item for row in rows(snapshot, tmp_path)} == {agreed.pk, once.pk, more.pk}
    assert "Left out: 1 item whose annotators agree less than was asked." in snapshot.manifest["remarks"]


def test_who_answers_at_random_counts_less_once_enough_was_judged_by_others_too(
    cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Project.objects.filter(pk=cast.project.pk).update(overlap=3)
    cast.project.refresh_from_db()
    icons(cast, 12)
    chance = Random(0)
    for _ in range(12):
        for person in (cast.bob, cast.erin):
            rank(cast, person, in_order)
        rank(cast, cast.alice, lambda ids: {"ranking": [[one] for one in chance.sample(ids, len(ids))]})
    assert {said.weight for row in rows(take(cast), tmp_path) for said in row.judgements} == {1.0}

    monkeypatch.setattr(reliability, "OVERLAPS", 12)
    found = rows(snapshot := take(cast), tmp_path)
    weights = {said.annotator: said.weight for row in found for said in row.judgements}
    bob, erin, alice = (weights[pseudonym_in(snapshot, one.pk)] for one in (cast.bob, cast.erin, cast.alice))
    assert alice < 0.6 < 0.8 < min(bob, erin)
    for row in found:
        assert row.strengths[0] > row.strengths[-1]  # whatever alice said


def refused_at_once(cast: Cast, **options: Any) -> str:
    """Take a snapshot that is refused before anything is recorded."""
    with pytest.raises(NothingToLearn) as refused:
        take_snapshot(cast.project, cast.dave, timezone.now(), **options)
    assert not DatasetSnapshot.objects.exists()
    assert not Job.objects.filter(kind="snapshot").exists()
    return refused.value.detail


def test_a_project_without_annotations_is_refused(cast: Cast) -> None:
    icons(cast, 2)
    assert refused_at_once(cast) == "The project has no annotations yet. Rank some images first."


def test_filters_that_leave_nothing_are_refused(cast: Cast) -> None:
    icons(cast, 2)
    rank(cast, cast.bob, in_order)
    assert "leave none of the 1 annotation" in refused_at_once(cast, filters=Filters(categories=("none",)))


@pytest.mark.parametrize(
    "answers", [all_tied, lambda ids: {"ranking": [[ids[0]]]}, lambda ids: {**in_order(ids), "all_bad": True}]
)
def test_annotations_that_put_no_image_before_another_are_refused(cast: Cast, answers: Any) -> None:
    icons(cast, 2)
    for _ in range(2):
        rank(cast, cast.bob, answers)
    assert "there is no pair to learn from" in refused_at_once(cast)


def test_one_prompt_is_refused(cast: Cast) -> None:
    icons(cast, 2)
    rank(cast, cast.bob, in_order)
    assert "All annotations are of one prompt" in refused_at_once(cast)


def test_prompts_that_say_the_same_are_one_prompt_and_the_reason_is_shown(cast: Cast) -> None:
    prompts = stage.make_prompts(cast.project, "a red apple", "Red apples!")
    stage.generate(cast, prompts)
    stage.work_off()
    gather(timezone.now(), cast.project)
    for _ in range(2):
        rank(cast, cast.bob, in_order)
    snapshot = take(cast)
    assert snapshot.state == "failed"
    assert "All annotations are of one prompt" in snapshot.error
    assert (snapshot.job.error_code, snapshot.job.failures) == ("nothing_to_learn", 1)
    assert not freeze_next("a test")


def test_annotators_who_all_disagree_leave_nothing_to_learn(cast: Cast) -> None:
    ranked_by_two(cast)
    icons(cast, 2)
    for person, answers in ((cast.bob, in_order), (cast.erin, backwards)):
        for _ in range(2):
            rank(cast, person, answers)
    assert "there is no pair to learn from" in take(cast).error
    assert "whose annotators agree less" in take(cast, filters=Filters(least_agreement=0.5)).error


@pytest.mark.parametrize("broken", ["missing", "changed"])
def test_an_image_that_is_missing_or_changed_fails_the_snapshot_and_is_named(
    cast: Cast, storage_folder: Path, broken: str
) -> None:
    icons(cast, 2)
    for _ in range(2):
        rank(cast, cast.bob, in_order)
    victim = Candidate.objects.all()[0]
    path = storage_folder / victim.key
    path.unlink() if broken == "missing" else path.write_bytes(b"another picture")
    snapshot = take(cast)
    assert snapshot.state == "failed"
    assert victim.key in snapshot.error
    assert "\n" not in snapshot.error
    assert snapshot.job.error_code == "snapshot_broken"


def test_with_few_prompts_training_is_never_empty_and_an_empty_validation_is_told(cast: Cast) -> None:
    icons(cast, 2)
    for _ in range(2):
        rank(cast, cast.bob, in_order)
    for seed in range(3):
        snapshot = take(cast, shares=Shares(validation=0.5, test=0.49, seed=seed))
        counts = {split: one["rows"] for split, one in snapshot.counts.items()}
        assert counts["train"] >= 1
        told = any(one.startswith("Without a validation split") for one in snapshot.manifest["remarks"])
        assert told == (counts["validation"] == 0)


def test_freezing_again_gives_the_same_files(cast: Cast) -> None:
    icons(cast, 4)
    for _ in range(4):
        rank(cast, cast.bob, in_order)
    snapshot = take(cast)
    from easel.snapshots.freezing import Pulse, write

    again = write(DatasetSnapshot.objects.get(pk=snapshot.pk), Pulse(lambda done, note: None))
    assert again.files == snapshot.stored_files()
    assert again.manifest.sha256 == snapshot.sha256


def test_a_worker_that_dies_is_followed_by_another_and_its_own_answer_is_refused(cast: Cast) -> None:
    icons(cast, 2)
    for _ in range(2):
        rank(cast, cast.bob, in_order)
    taken = take_snapshot(cast.project, cast.dave, timezone.now())
    job = jobs.claim("snapshot", ["web"], "dies", timezone.now())
    assert job is not None
    assert not freeze_next("another")  # somebody has it
    later = timezone.now() + timedelta(minutes=5)
    jobs.sweep(later)
    much_later = later + timedelta(minutes=5)
    assert freeze_next("another", now=lambda: much_later)
    found = DatasetSnapshot.objects.select_related("job").get(pk=taken.pk)
    assert (found.state, found.job.worker, found.job.attempt) == ("frozen", "another", 2)


def test_a_sweep_rings_for_a_snapshot_whose_bell_was_lost(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    icons(cast, 2)
    for _ in range(2):
        rank(cast, cast.bob, in_order)
    take_snapshot(cast.project, cast.dave, timezone.now())
    rung: list[tuple[str, str]] = []
    monkeypatch.setattr(jobs, "send", lambda task, queue="web", **kwargs: rung.append((task, queue)))
    jobs.sweep(timezone.now())
    assert ("easel.snapshots.freeze", "web") in rung


@pytest.mark.processes
def test_memory_does_not_grow_with_the_number_of_annotations(
    committed_cast: Cast, environment_of_tests: dict[str, str]
) -> None:
    """See tests/benchmarks/snapshot.py for a hundred thousand."""
    populate(committed_cast, 3_000)
    found = measure(committed_cast.project, environment_of_tests)
    assert (found["judgements"], found["images"]) == (3_000, 12_000)
    assert found["peak_mb"] - found["warm_mb"] < 12, "MiB, from a tenth of the rows to all of them"
    assert found["peak_with_fetch_mb"] <= 256
