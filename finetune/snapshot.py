"""Snapshots: frozen preferences as a folder of Parquet files and images, written once and read by every trainer.

    snapshot.json       what it is: format, name, counts, hash, filters, template, guidelines
    README.md           the same for people: a dataset card
    train.parquet       rows of finetune.types.Preference; and validation.parquet, test.parquet
    images/ab/abc….png  the images under the hash of their bytes

Free of Django and of torch. docs/reference/snapshot-format.md describes every column.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import IO, Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, JsonValue, ValidationError

from finetune.card import card
from finetune.errors import SnapshotBrokenError
from finetune.types import Judgement, Preference, SnapshotImage, SnapshotReference, Split
from generation.storage import Storage, StorageError
from generation.types import Contract, Sha256

FORMAT = 1
SPLITS: tuple[Split, ...] = get_args(Split)
MANIFEST = "snapshot.json"
CARD = "README.md"
IMAGES = "images"
ROW_GROUP = 256  # rows; those of one group are in memory together
_BATCH = 64  # rows that are read at once

_IMAGE = pa.struct(
    [
        ("candidate", pa.string()),
        ("key", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("model", pa.string()),
        ("seed", pa.int64()),
    ]
)
_JUDGEMENT = pa.struct(
    [
        ("annotator", pa.string()),
        ("groups", pa.list_(pa.list_(pa.int32()))),
        ("ties_are_equal", pa.bool_()),  # null, and absent from older files: yes
        ("all_bad", pa.bool_()),
        ("weight", pa.float64()),
        ("active_ms", pa.int64()),
        ("simulated", pa.bool_()),
    ]
)
_PAIR = pa.struct([("a", pa.int32()), ("b", pa.int32()), ("p", pa.float64())])
SCHEMA = pa.schema(
    [
        ("item", pa.string()),
        ("split", pa.string()),
        ("prompt", pa.string()),
        ("negative", pa.string()),
        ("category", pa.string()),
        ("images", pa.list_(_IMAGE)),
        ("judgements", pa.list_(_JUDGEMENT)),
        ("strengths", pa.list_(pa.float64())),
        ("pairs", pa.list_(_PAIR)),
        ("pair_weights", pa.list_(pa.float64())),
    ]
)


class SnapshotError(SnapshotBrokenError):
    """A snapshot cannot be written or read; the message is one line that says what, where and how to mend it."""


class ModelFact(Contract):
    """A model that made images of a snapshot."""

    name: str
    licence: str = ""


class Facts(Contract):
    """What is known of a snapshot before its rows are."""

    name: str = Field(min_length=1, max_length=100)
    created_at: datetime | None = None
    template: str = ""
    guidelines: str = ""
    filters: dict[str, JsonValue] = Field(default_factory=dict)
    split_seed: int = 0
    include_simulated: bool = False
    models: tuple[ModelFact, ...] = ()
    remarks: tuple[str, ...] = ()
    """What a reader must know, one line each: what was left out, and why."""


class Counts(Contract):
    """What is in a part of a snapshot."""

    rows: int = 0
    prompts: int = 0
    images: int = 0
    judgements: int = 0
    pairs: int = 0
    """Pairs of images, each once, of which one was put before the other by more than half."""


class Manifest(Facts):
    """snapshot.json."""

    format: int = FORMAT
    sha256: Sha256
    counts: dict[Split, Counts]
    annotators: int
    simulated: int
    """Judgements by simulated annotators."""
    agreement: float | None
    """How often two annotators of an item agree on two images that both ranked, a tie against an order half; None where
    no item has two annotators."""
    compared: int
    """How many such comparisons the agreement is the share of."""


def alike(judgements: Collection[Judgement]) -> tuple[float, int]:
    """Return how often two annotators of one item agree on two images, and how often two annotators ranked both.

    A tie against an order agrees by half. Who calls all images bad agrees and disagrees with nobody, and so does who
    did not compare the two.
    """
    same, compared = 0.0, 0
    places = [
        ({image: place for place, group in enumerate(one.groups) for image in group}, one.ties_are_equal)
        for one in judgements
        if not one.all_bad
    ]
    for (one, one_compares), (other, other_compares) in combinations(places, 2):
        for a, b in combinations(sorted(one.keys() & other.keys()), 2):
            if (one[a] == one[b] and not one_compares) or (other[a] == other[b] and not other_compares):
                continue
            compared += 1
            same += 1 - abs(_order(one[a], one[b]) - _order(other[a], other[b])) / 2
    return same, compared


def _order(a: int, b: int) -> int:
    return (a > b) - (a < b)


# Writing


def write(
    folder: Path,
    preferences: Iterable[Preference],
    storage: Storage,
    facts: Facts,
    *,
    copy_images: bool = True,
    row_group: int = ROW_GROUP,
    finish: Callable[[Manifest], Manifest] = lambda manifest: manifest,
) -> Manifest:
    """Write a snapshot into `folder`, row by row; return its manifest.

    Every image is read from `storage` and checked against its hash; `copy_images` puts it into the folder too.
    `finish` sees the manifest when all rows are written: it may add to it, or raise. `snapshot.json` comes last: a
    folder without one is no snapshot. Raises SnapshotError for an image that is missing or has changed, and where the
    folder holds a snapshot already.
    """
    if (folder / MANIFEST).exists():
        raise SnapshotError(f"{folder} holds a snapshot already, and snapshots never change. Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    digests: list[bytes] = []
    tallies = {split: _Tally() for split in SPLITS}
    writers = {split: pq.ParquetWriter(folder / f"{split}.parquet", SCHEMA, compression="zstd") for split in SPLITS}
    waiting: dict[Split, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    try:
        for preference in preferences:
            for image in preference.images:
                _take(image, preference, storage, folder if copy_images else None)
            digests.append(row_digest(preference))
            tallies[preference.split].add(preference)
            rows = waiting[preference.split]
            rows.append(_as_row(preference))
            if len(rows) >= row_group:
                writers[preference.split].write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
                rows.clear()
        for split, rows in waiting.items():
            if rows:
                writers[split].write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    finally:
        for writer in writers.values():
            writer.close()
    same, compared = (sum(getattr(one, name) for one in tallies.values()) for name in ("same", "compared"))
    manifest = Manifest.model_validate(
        {
            **dict(facts),
            "sha256": content_hash(digests),
            "counts": {split: tally.counts() for split, tally in tallies.items()},
            "annotators": len(set[str]().union(*(tally.annotators for tally in tallies.values()))),
            "simulated": sum(tally.simulated for tally in tallies.values()),
            "agreement": same / compared if compared else None,
            "compared": compared,
        }
    )
    manifest = finish(manifest)
    (folder / CARD).write_text(card(manifest.model_dump(mode="json")))
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
    return manifest


def row_digest(preference: Preference) -> bytes:
    """Return the sha256 of all that a row says: with its images' hashes, so of their bytes too."""
    row = preference.model_dump(mode="json")
    for judgement in row["judgements"]:
        if judgement["ties_are_equal"]:  # as in rows that were written before it was said
            del judgement["ties_are_equal"]
    return hashlib.sha256(json.dumps(row, sort_keys=True, separators=(",", ":")).encode()).digest()


def content_hash(digests: Iterable[bytes]) -> str:
    """Return the hash of a snapshot with these rows, in whatever order and groups they were written."""
    whole = hashlib.sha256(f"easel snapshot {FORMAT}\n".encode())
    for digest in sorted(digests):
        whole.update(digest)
    return whole.hexdigest()


def image_path(folder: Path, image: SnapshotImage) -> Path:
    """Return where an image lies in a snapshot folder."""
    return folder / IMAGES / image.key


def _take(image: SnapshotImage, of: Preference, storage: Storage, folder: Path | None) -> None:
    """Check an image's bytes in storage, and copy it into the folder."""
    if Path(image.key).stem != image.sha256:
        raise SnapshotError(f"{_named(image, of)} has the sha256 {image.sha256}, and its key says otherwise.")
    try:
        if folder is None:
            with storage.open(image.key) as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # fsspec has no types
            if found != image.sha256:
                raise SnapshotError(f"{_named(image, of)} has changed in {storage.url}; restore it from a backup.")
        elif _differs(image_path(folder, image), image):
            storage.fetch(image.key, image_path(folder, image))
    except StorageError as error:
        raise SnapshotError(f"An image of the prompt {of.prompt[:80]!r}: {error}") from error


def _named(image: SnapshotImage, of: Preference) -> str:
    return f"Image {image.key} of the prompt {of.prompt[:80]!r}"


def _differs(path: Path, image: SnapshotImage) -> bool:
    """Tell whether a file is not there, or not the image."""
    if not path.is_file():
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() != image.sha256


def _as_row(preference: Preference) -> dict[str, Any]:
    row = preference.model_dump(mode="json")
    row["pairs"] = [{"a": a, "b": b, "p": p} for a, b, p in preference.pairs]
    return row


class _Tally:
    """Counts rows as they pass by, and keeps none of them."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.prompts: set[bytes] = set()
        self.annotators: set[str] = set()
        self.simulated = self.compared = 0
        self.same = 0.0

    def add(self, preference: Preference) -> None:
        """Count a row."""
        self.counted.update(
            rows=1,
            images=len(preference.images),
            judgements=len(preference.judgements),
            pairs=sum(p != 0.5 for _, _, p in preference.pairs),
        )
        self.prompts.add(hashlib.blake2b(preference.prompt.encode(), digest_size=8).digest())
        self.annotators.update(one.annotator for one in preference.judgements)
        self.simulated += sum(one.simulated for one in preference.judgements)
        same, compared = alike(preference.judgements)
        self.same, self.compared = self.same + same, self.compared + compared

    def counts(self) -> Counts:
        """What was counted."""
        return Counts(prompts=len(self.prompts), **self.counted)


# Reading


def manifest_of(folder: Path) -> Manifest:
    """Read snapshot.json. Raises SnapshotError where there is none, or one of another format."""
    path = folder / MANIFEST
    try:
        said = json.loads(path.read_text())
        if said.get("format") != FORMAT:
            raise SnapshotError(f"{path} is of format {said.get('format')}; this Easel reads format {FORMAT}.")
        return Manifest.model_validate(said)
    except FileNotFoundError as error:
        raise SnapshotError(f"{folder} is no snapshot: it has no {MANIFEST}.") from error
    except (OSError, ValueError, AttributeError) as error:  # pydantic's and json's errors are ValueErrors
        raise SnapshotError(f"{path} cannot be read: {_first_line(error)}") from error


def read(folder: Path, split: Split) -> Iterator[Preference]:
    """Yield the rows of a split in the order in which they were written, few of them in memory at once.

    Raises SnapshotError where the file is missing or damaged. Images are checked by `check` and by `image_bytes`.
    """
    path = folder / f"{split}.parquet"
    if not path.is_file():
        raise SnapshotError(f"{folder} is no snapshot: it has no {path.name}.")
    yield from read_file(path, str(path))


def read_file(file: Path | IO[bytes], name: str) -> Iterator[Preference]:
    """Yield the rows of a split's file, wherever it lies. Raises SnapshotError that calls the file by `name`."""
    number = 0
    try:
        for row in _columns(file, None):
            number += 1
            yield Preference.model_validate(
                {**row, "pairs": [(pair["a"], pair["b"], pair["p"]) for pair in row["pairs"]]}
            )
    except (ValidationError, TypeError, KeyError) as error:
        raise SnapshotError(f"{name}, row {number}: {_first_line(error)}") from error
    except (pa.ArrowException, OSError) as error:
        raise SnapshotError(f"{name} cannot be read: {_first_line(error)}. Fetch the snapshot again.") from error


def prompts_of(file: Path | IO[bytes]) -> Iterator[str]:
    """Yield the prompts of the rows of a split's file, and nothing else of them."""
    for row in _columns(file, ["prompt"]):
        yield row["prompt"]


def keys_of(file: Path | IO[bytes]) -> Iterator[str]:
    """Yield the keys of the images of a split's file: one for each image of each row."""
    for row in _columns(file, ["images"]):
        yield from (image["key"] for image in row["images"])


def _columns(file: Path | IO[bytes], names: list[str] | None) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(file) as rows:
        for batch in rows.iter_batches(batch_size=_BATCH, columns=names):
            yield from batch.to_pylist()


def image_bytes(folder: Path, image: SnapshotImage) -> bytes:
    """Return an image's file. Raises SnapshotError where it is missing or has changed."""
    path = image_path(folder, image)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror or error}. Fetch the snapshot again.") from error
    if hashlib.sha256(content).hexdigest() != image.sha256:
        raise SnapshotError(f"{path} has changed: its bytes are not those that were ranked. Fetch the snapshot again.")
    return content


def check(folder: Path) -> Manifest:
    """Check every row and image of a folder against its hash; return the manifest. Raises SnapshotError."""
    manifest = manifest_of(folder)
    digests: list[bytes] = []
    for split in SPLITS:
        for preference in read(folder, split):
            digests.append(row_digest(preference))
            for image in preference.images:
                image_bytes(folder, image)
    if content_hash(digests) != manifest.sha256:
        raise SnapshotError(f"{folder} has changed: its rows do not have the hash {manifest.sha256[:12]}… any more.")
    return manifest


def fetch(reference: SnapshotReference, storage: Storage, folder: Path) -> Path:
    """Get a snapshot's files and images out of storage, check them, and return the folder.

    What is there already is kept where it is sound, so an interrupted fetch goes on. Raises SnapshotError for a file
    or image that is missing or has changed, and for rows that do not have the reference's hash.
    """
    try:
        for file in reference.files:
            storage.fetch(file.key, folder / file.name)
    except StorageError as error:
        raise SnapshotError(f"Snapshot {reference.name!r}: {error}") from error
    digests: list[bytes] = []
    for split in SPLITS:
        for preference in read(folder, split):
            digests.append(row_digest(preference))
            for image in preference.images:
                _take(image, preference, storage, folder)
    if content_hash(digests) != reference.sha256:
        raise SnapshotError(
            f"Snapshot {reference.name!r} has changed: its rows do not have the hash {reference.sha256[:12]}… "
            "that it was frozen with. Restore its files from a backup, or take another snapshot."
        )
    return folder


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
