"""Snapshots as folders: what is written is read again, and nothing that changed since passes for the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune import snapshot
from finetune.snapshot import Facts, Manifest, SnapshotError
from finetune.types import Judgement, Preference, SnapshotImage, SnapshotReference, StoredFile
from generation.storage import Storage
from tests.finetune.snapshots import image, preference

FACTS = Facts(name="Icons, round 1", template="RLHF image ranking (batch), version 1", guidelines="Be kind.\n# Always")


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A storage of the test's own."""
    return Storage((tmp_path / "storage").as_uri())


@pytest.fixture
def rows(storage: Storage) -> list[Preference]:
    """Three rows: two of training, one of validation."""
    return [
        preference(storage, 1, [((0,), (1,), (2,)), ((0,), (2,), (1,))]),
        preference(storage, 2, [((0, 1), (2,))]),
        preference(storage, 3, split="validation"),
    ]


def everything(folder: Path) -> list[Preference]:
    """Read all rows of a folder."""
    return [row for split in snapshot.SPLITS for row in snapshot.read(folder, split)]


def stored(folder: Path, manifest: Manifest, storage: Storage) -> SnapshotReference:
    """Put a folder's files into storage, as the platform does."""
    names = [snapshot.MANIFEST, snapshot.CARD, *(f"{split}.parquet" for split in snapshot.SPLITS)]
    files = tuple(
        StoredFile(name=name, key=storage.put_file(folder / name), bytes=(folder / name).stat().st_size)
        for name in names
    )
    return SnapshotReference(id=UUID(int=7), name=manifest.name, sha256=manifest.sha256, files=files)


def test_a_folder_holds_the_rows_the_images_and_a_card(
    rows: list[Preference], storage: Storage, tmp_path: Path
) -> None:
    folder = tmp_path / "snapshot"
    manifest = snapshot.write(folder, rows, storage, FACTS)
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "images", "snapshot.json", "test.parquet", "train.parquet", "validation.parquet",
    }  # fmt: skip
    assert everything(folder) == rows
    assert snapshot.check(folder) == manifest == snapshot.manifest_of(folder)
    assert manifest.counts["train"].model_dump() == {
        "rows": 2,
        "prompts": 2,
        "images": 6,
        "judgements": 3,
        "pairs": 4,
    }  # fmt: skip -- of each row, the one pair on which the two disagree and the tie are left out
    assert manifest.counts["test"].rows == 0
    assert (manifest.annotators, manifest.simulated) == (2, 0)
    assert (manifest.agreement, manifest.compared) == (2 / 3, 3)
    assert len(list((folder / "images").rglob("*.png"))) == 9


def test_the_card_says_what_a_stranger_must_know(rows: list[Preference], storage: Storage, tmp_path: Path) -> None:
    facts = FACTS.model_copy(
        update={
            "models": (snapshot.ModelFact(name="Painter", licence="Apache-2.0"), snapshot.ModelFact(name="Old")),
            "remarks": ("Validation is empty.",),
            "filters": {"template_version": 2},
        }
    )
    manifest = snapshot.write(tmp_path / "snapshot", rows, storage, facts)
    card = (tmp_path / "snapshot" / "README.md").read_text()
    for said in (
        "# Icons, round 1", manifest.sha256, "| train | 2 | 2 | 6 | 3 | 4 |", "66.7%", "all by people",
        "pseudonyms", "- Painter: Apache-2.0", "- Old: licence unknown", "> Be kind.\n> # Always",
        "RLHF image ranking (batch), version 1", "- Validation is empty.", "template_version: 2",
    ):  # fmt: skip
        assert said in card


def test_simulated_annotators_are_named_in_the_card(storage: Storage, tmp_path: Path) -> None:
    row = preference(storage, 1)
    row = row.model_copy(update={"judgements": (row.judgements[0].model_copy(update={"simulated": True}),)})
    snapshot.write(tmp_path / "snapshot", [row], storage, FACTS)
    assert "**1 of them by simulated annotators**" in (tmp_path / "snapshot" / "README.md").read_text()


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
SHARE = st.floats(0, 1)


@st.composite
def preferences(draw: st.DrawFn, storage: Storage) -> Preference:
    """Any preference that the contract allows."""
    count = draw(st.integers(2, 6))
    places = list(range(count))
    judgements = []
    for who in range(draw(st.integers(1, 3))):
        ranked = draw(st.permutations(places))[: draw(st.integers(0, count))]
        cuts = sorted(draw(st.sets(st.integers(1, max(len(ranked), 1)), max_size=3)) | {len(ranked)})
        groups = [tuple(ranked[a:b]) for a, b in zip([0, *cuts], cuts, strict=False) if ranked[a:b]]
        judgements.append(
            Judgement(
                annotator=f"{draw(TEXT)}{who}",
                groups=tuple(groups),
                ties_are_equal=draw(st.booleans()),
                all_bad=draw(st.booleans()),
                weight=draw(SHARE),
                active_ms=draw(st.integers(0, 2**40)),
                simulated=draw(st.booleans()),
            )
        )
    pairs = [(a, b, draw(SHARE)) for a in places for b in places if a < b and draw(st.booleans())]
    images = [image(storage, draw(st.integers(0, 20))) for _ in places]
    return Preference(
        item=draw(st.uuids()),
        split=draw(st.sampled_from(snapshot.SPLITS)),
        prompt=draw(TEXT),
        negative=draw(TEXT),
        category=draw(TEXT),
        images=tuple(one.model_copy(update={"seed": draw(st.none() | st.integers(0, 2**63 - 1))}) for one in images),
        judgements=tuple(judgements),
        strengths=tuple(draw(st.floats(-1e6, 1e6)) for _ in places),
        pairs=tuple(pairs),
        pair_weights=tuple(draw(st.floats(0, 1e6)) for _ in pairs),
    )


@settings(max_examples=8, deadline=None)
@given(data=st.data(), row_group=st.integers(1, 4))
def test_what_is_written_is_read_again_and_hashed_alike_in_any_order(
    data: st.DataObject, row_group: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("round")
    storage = Storage((root / "storage").as_uri())
    rows = data.draw(st.lists(preferences(storage), max_size=5))
    manifest = snapshot.write(root / "one", rows, storage, FACTS, row_group=row_group)
    assert everything(root / "one") == sorted(rows, key=lambda row: snapshot.SPLITS.index(row.split))
    others = snapshot.write(root / "other", data.draw(st.permutations(rows)), storage, FACTS)
    assert others.sha256 == manifest.sha256
    fetched = snapshot.fetch(stored(root / "one", manifest, storage), storage, root / "fetched")
    assert snapshot.check(fetched) == manifest
    shutil.rmtree(root)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_row_that_says_anything_else_has_another_hash(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    storage = Storage((tmp_path_factory.getbasetemp() / "other-hash").as_uri())
    one, other = data.draw(preferences(storage)), data.draw(preferences(storage))
    assert (snapshot.row_digest(one) == snapshot.row_digest(other)) == (one == other)


def test_fetched_files_are_those_of_the_snapshot_and_an_interrupted_fetch_goes_on(
    rows: list[Preference], storage: Storage, tmp_path: Path
) -> None:
    manifest = snapshot.write(tmp_path / "made", rows, storage, FACTS, copy_images=False)
    assert not (tmp_path / "made" / "images").exists()
    reference = stored(tmp_path / "made", manifest, storage)
    folder = snapshot.fetch(reference, storage, tmp_path / "fetched")
    assert everything(folder) == rows
    first = snapshot.image_path(folder, rows[0].images[0])
    first.write_bytes(b"half a pict")
    snapshot.image_path(folder, rows[1].images[0]).unlink()
    snapshot.fetch(reference, storage, folder)
    assert snapshot.check(folder).sha256 == manifest.sha256


@pytest.mark.parametrize("broken", ["missing", "changed"])
@pytest.mark.parametrize("copy_images", [True, False])
def test_an_image_that_is_missing_or_changed_in_storage_is_named(
    rows: list[Preference], storage: Storage, tmp_path: Path, broken: str, copy_images: bool
) -> None:
    manifest = snapshot.write(tmp_path / "sound", rows, storage, FACTS, copy_images=False)
    reference = stored(tmp_path / "sound", manifest, storage)
    victim = rows[1].images[2]
    path = tmp_path / "storage" / victim.key
    path.unlink() if broken == "missing" else path.write_bytes(b"another picture")
    for act in (
        lambda: snapshot.write(tmp_path / "late", rows, storage, FACTS, copy_images=copy_images),
        lambda: snapshot.fetch(reference, storage, tmp_path / "fetched"),
    ):
        with pytest.raises(SnapshotError) as refused:
            act()
        said = str(refused.value)
        assert "\n" not in said
        assert victim.key in said
        assert "an icon of 2 apples" in said
        assert "restore it from a backup" in said
    with pytest.raises(SnapshotError, match="is no snapshot"):
        snapshot.manifest_of(tmp_path / "late")


@pytest.mark.parametrize("broken", ["missing", "changed"])
def test_an_image_that_is_missing_or_changed_in_the_folder_is_named(
    rows: list[Preference], storage: Storage, tmp_path: Path, broken: str
) -> None:
    snapshot.write(tmp_path / "snapshot", rows, storage, FACTS)
    victim = rows[2].images[1]
    path = snapshot.image_path(tmp_path / "snapshot", victim)
    path.unlink() if broken == "missing" else path.write_bytes(b"another picture")
    for act in (snapshot.check, lambda folder: snapshot.image_bytes(folder, victim)):
        with pytest.raises(SnapshotError, match=rf"{path.name}.*Fetch the snapshot again") as refused:
            act(tmp_path / "snapshot")
        assert "\n" not in str(refused.value)


def test_rows_of_another_snapshot_do_not_pass(rows: list[Preference], storage: Storage, tmp_path: Path) -> None:
    manifest = snapshot.write(tmp_path / "one", rows, storage, FACTS)
    snapshot.write(tmp_path / "other", rows[:1], storage, FACTS)
    shutil.copy(tmp_path / "other" / "train.parquet", tmp_path / "one" / "train.parquet")
    with pytest.raises(SnapshotError, match="has changed: its rows do not have the hash"):
        snapshot.check(tmp_path / "one")
    reference = stored(tmp_path / "one", manifest, storage)
    with pytest.raises(SnapshotError, match="'Icons, round 1' has changed"):
        snapshot.fetch(reference, storage, tmp_path / "fetched")


def _gone(folder: Path) -> None:
    (folder / "snapshot.json").unlink()


def _newer(folder: Path) -> None:
    said = json.loads((folder / "snapshot.json").read_text())
    (folder / "snapshot.json").write_text(json.dumps({**said, "format": 2}))


def _torn(folder: Path) -> None:
    (folder / "snapshot.json").write_text('{"format": 1')


def _list(folder: Path) -> None:
    (folder / "snapshot.json").write_text("[]")


def _half_a_table(folder: Path) -> None:
    path = folder / "train.parquet"
    os.truncate(path, path.stat().st_size // 2)


def _no_table(folder: Path) -> None:
    (folder / "train.parquet").unlink()


def _other_columns(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"item": ["x"], "pairs": [[]]}), folder / "train.parquet")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_gone, "has no snapshot.json"),
        (_newer, "format 2; this Easel reads format 1"),
        (_torn, "cannot be read"),
        (_list, "cannot be read"),
        (_half_a_table, "train.parquet cannot be read"),
        (_no_table, "has no train.parquet"),
        (_other_columns, "train.parquet, row 1"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(
    rows: list[Preference], storage: Storage, tmp_path: Path, damage: Any, words: str
) -> None:
    snapshot.write(tmp_path / "snapshot", rows, storage, FACTS)
    damage(tmp_path / "snapshot")
    with pytest.raises(SnapshotError, match=words) as refused:
        snapshot.check(tmp_path / "snapshot")
    assert "\n" not in str(refused.value)


def test_a_snapshot_is_never_written_over(rows: list[Preference], storage: Storage, tmp_path: Path) -> None:
    snapshot.write(tmp_path / "snapshot", rows, storage, FACTS)
    with pytest.raises(SnapshotError, match="holds a snapshot already"):
        snapshot.write(tmp_path / "snapshot", rows[:1], storage, FACTS)


def test_an_image_whose_key_is_not_its_hash_is_refused(storage: Storage, tmp_path: Path) -> None:
    row = preference(storage, 1)
    wrong: tuple[SnapshotImage, ...] = (row.images[0].model_copy(update={"sha256": "0" * 64}), *row.images[1:])
    with pytest.raises(SnapshotError, match="its key says otherwise"):
        snapshot.write(tmp_path / "snapshot", [row.model_copy(update={"images": wrong})], storage, FACTS)


def test_huggingface_datasets_loads_the_folder(rows: list[Preference], storage: Storage, tmp_path: Path) -> None:
    import datasets

    folder = tmp_path / "snapshot"
    snapshot.write(folder, rows, storage, FACTS)
    files = {split: str(folder / f"{split}.parquet") for split in ("train", "validation")}
    by_file = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    by_card = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    for found in (by_file, by_card):
        assert (len(found["train"]), len(found["validation"])) == (2, 1)
        row = found["train"][0]
        assert row["prompt"] == "an icon of 1 apples"
        assert row["pairs"][0] == {"a": 0, "b": 1, "p": 1.0}
        assert row["judgements"][0]["groups"] == [[0], [1], [2]]
        assert (folder / "images" / row["images"][0]["key"]).is_file()
    assert set(by_card) == {"train", "validation"}  # the test split is empty


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([((0,), (1,))], (0, 0)),
        ([((0,), (1,)), ((0,), (1,))], (1, 1)),
        ([((0,), (1,)), ((1,), (0,))], (0, 1)),
        ([((0, 1),), ((0, 1),)], (1, 1)),
        ([((0, 1),), ((0,), (1,))], (0.5, 1)),
        ([((0,), (1,), (2,)), ((0,), (1,))], (1, 1)),
        ([((0,), (1,)), ((0,), (1,)), ((1,), (0,))], (1, 3)),
    ],
)
def test_two_annotators_agree_where_they_said_the_same_of_two_images(
    groups: list[Any], expected: tuple[float, int]
) -> None:
    judgements = [Judgement(annotator=str(who), groups=said) for who, said in enumerate(groups)]
    assert snapshot.alike(judgements) == expected


def test_two_annotators_are_not_compared_on_images_that_they_did_not_compare() -> None:
    said = ((0,), (1, 2, 3, 4), (5,))
    opposite = [
        Judgement(annotator=str(who), groups=groups, ties_are_equal=False)
        for who, groups in enumerate([said, said[::-1]])
    ]
    assert snapshot.alike(opposite) == (0, 9)


def test_whether_images_in_one_group_are_equal_is_written_and_hashed(storage: Storage, tmp_path: Path) -> None:
    equal = preference(storage, 1, [((0,), (1, 2), (3,))])
    apart = equal.model_copy(
        update={"judgements": tuple(one.model_copy(update={"ties_are_equal": False}) for one in equal.judgements)}
    )
    snapshot.write(tmp_path / "snapshot", [apart], storage, FACTS)
    assert everything(tmp_path / "snapshot") == [apart]
    assert snapshot.row_digest(apart) != snapshot.row_digest(equal)


def test_a_snapshot_of_before_that_was_written_reads_as_it_did(storage: Storage, tmp_path: Path) -> None:
    folder = tmp_path / "snapshot"
    row = preference(storage, 1, [((0,), (1, 2), (3,))])
    manifest = snapshot.write(folder, [row], storage, FACTS)
    said = row.model_dump(mode="json")
    for judgement in said["judgements"]:
        del judgement["ties_are_equal"]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    assert snapshot.row_digest(row) == hashlib.sha256(text.encode()).digest()

    table = pq.read_table(folder / "train.parquet")
    place = table.schema.get_field_index("judgements")
    struct = table.schema.field(place).type.value_type
    older = pa.list_(pa.struct([one for one in struct if one.name != "ties_are_equal"]))
    rows = [
        [{name: value for name, value in one.items() if name != "ties_are_equal"} for one in judgements]
        for judgements in table.column(place).to_pylist()
    ]
    pq.write_table(table.set_column(place, "judgements", pa.array(rows, older)), folder / "train.parquet")
    assert everything(folder) == [row]
    assert snapshot.check(folder) == manifest
